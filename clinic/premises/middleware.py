"""Says where a request from staff happens, and lets pages show that place's wall clock."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from clinic.premises.queries import chosen_location, work_places


class Whereabouts:
    """Sets `request.location` (None for patients and visitors) and activates its time zone for the request.

    `request.locations` are all the places where the person works, for the switcher in the frame.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        locations = work_places(user) if user.is_authenticated else []
        location = chosen_location(request.session, locations)
        request.locations = locations  # type: ignore[attr-defined]
        request.location = location  # type: ignore[attr-defined]
        with timezone.override(location.zone if location else None):
            return self.get_response(request)
