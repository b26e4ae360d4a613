from typing import Any

from django.conf import settings
from django.http import HttpRequest

from clinic.staff.states import Permission


def house(request: HttpRequest) -> dict[str, Any]:
    """What every page knows: whether this is the demo, where we are, and what the person may do (`may.book`).

    On a patient's page, where we are is the patient's clinic: its name and telephone stand at the foot.
    """
    user = getattr(request, "user", None)
    may = {p.value: user.may(p) for p in Permission} if user is not None and user.is_authenticated else {}
    patient = getattr(getattr(request, "link", None), "patient", None)
    return {
        "demo": settings.DEMO,
        "location": patient.location if patient else getattr(request, "location", None),
        "locations": getattr(request, "locations", []),
        "may": may,
    }
