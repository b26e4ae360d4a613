"""Who may open a view. Each view carries exactly one of these marks; the Doorkeeper refuses a view without one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone

from clinic.audit.actions import record
from clinic.audit.states import Outcome
from clinic.staff.states import Permission

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def mark(view: View, access: str) -> View:
    """The view says who may open it, as the table of all addresses shows it."""
    view.access = access  # type: ignore[attr-defined]
    return view


def public(view: View) -> View:
    """Anyone may open the view; it shows and changes nothing about a patient."""
    return mark(view, "public")


def signed(view: View) -> View:
    """Only a gateway that signs its calls may use the view, which itself checks the signature and refuses others."""
    return mark(view, "signed")


def staff(permission: Permission) -> Callable[[View], View]:
    """Only signed-in staff whose role holds the permission may open the view; a refusal leaves an audit event."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            if not request.user.may(permission):
                refuse(request, f"permission:{permission.value}")
            return view(request, *args, **kwargs)

        return mark(guarded, f"staff:{permission.value}")  # type: ignore[return-value]

    return decorate


def refuse(request: HttpRequest, why: str) -> None:
    """The refusal stands in the audit trail, then the request ends with 403."""
    match = request.resolver_match
    with transaction.atomic():
        record(
            action="access.refused",
            subject=f"view:{match.view_name if match else ''}",
            by=request.actor,  # type: ignore[attr-defined]
            at=timezone.now(),
            outcome=Outcome.REFUSED,
            why=why,
            target={key: str(value) for key, value in (match.kwargs if match else {}).items() if key == "ref"},
        )
    raise PermissionDenied


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send to the sign-in page; a fragment asked for by htmx sends the whole page there."""
    if getattr(request, "htmx", False):
        response = HttpResponse(status=204)
        response["HX-Redirect"] = "/accounts/login/"
        return response
    return redirect_to_login(request.get_full_path())
