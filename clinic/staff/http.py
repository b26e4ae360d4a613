from typing import Any

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from clinic.audit.states import Actor
from clinic.staff.models import User


class StaffRequest(HttpRequest):
    """A request as `@staff` views get it: signed in, with an actor; `location` is a premises.Location or None."""

    user: User
    actor: Actor
    location: Any
    htmx: Any


def back_to(request: StaffRequest, otherwise: str) -> str:
    """Return where the form wants to go back to, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}) else otherwise
