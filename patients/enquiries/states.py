from django.db.models import TextChoices


class EnquiryStatus(TextChoices):
    NEW = "new", "New"
    CONTACTED = "contacted", "Contacted"
    CONVERTED = "converted", "Now a patient"
    CLOSED = "closed", "Closed"


ENQUIRY_TRANSITIONS: dict[str, frozenset[str]] = {
    EnquiryStatus.NEW: frozenset({EnquiryStatus.CONTACTED, EnquiryStatus.CONVERTED, EnquiryStatus.CLOSED}),
    EnquiryStatus.CONTACTED: frozenset({EnquiryStatus.CONVERTED, EnquiryStatus.CLOSED}),
    EnquiryStatus.CONVERTED: frozenset(),
    EnquiryStatus.CLOSED: frozenset({EnquiryStatus.NEW}),
}
