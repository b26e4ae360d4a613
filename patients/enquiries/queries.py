"""Reading enquiries."""

from __future__ import annotations

from clinic.staff.models import User
from patients.enquiries.models import Enquiry, EnquiryQuerySet
from patients.enquiries.states import EnquiryStatus

OPEN = (EnquiryStatus.NEW, EnquiryStatus.CONTACTED)


def enquiries_for(user: User, status: str) -> EnquiryQuerySet:
    """Return the enquiries the person may see in this state, newest first; "open" means new and contacted."""
    rows = Enquiry.objects.visible_to(user).select_related("location", "patient")
    return rows.filter(status__in=OPEN) if status == "open" else rows.filter(status=status)
