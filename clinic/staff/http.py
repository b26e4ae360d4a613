from typing import Any

from django.http import HttpRequest

from clinic.audit.states import Actor
from clinic.staff.models import User


class StaffRequest(HttpRequest):
    """A request as `@staff` views get it: signed in, with an actor; `location` is a premises.Location or None."""

    user: User
    actor: Actor
    location: Any
    htmx: Any
