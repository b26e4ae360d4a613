"""Default deny: a view that does not say who may open it is refused, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from clinic.audit.states import Actor

# Views of libraries cannot carry our mark: whole name spaces of addresses, and what guards each.
LIBRARY_VIEWS = {
    "account": "sign-in itself",
    "mfa": "signed-in staff; allauth checks",
    "admin": "staff with a second factor; the admin site checks",
}
# Pages of allauth that a clinic does not offer: accounts, and the address they sign in with, are made by a manager.
CLOSED = {
    "account_signup",
    "account_inactive",
    "account_email",
    "account_email_verification_sent",
    "account_confirm_email",
}


def library_of(view_name: str) -> str | None:
    """Return the library whose view this is, by the first word of its name."""
    first = view_name.replace(":", "_").partition("_")[0]
    return first if first in LIBRARY_VIEWS else None


class Doorkeeper:
    """Says who acts (`request.actor`), refuses unmarked views, asks for the second factor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        request.actor = Actor.staff(user) if user.is_authenticated else Actor.visitor()  # type: ignore[attr-defined]
        response = self.get_response(request)
        if user.is_authenticated or "/my/" in request.path:
            response.setdefault("Cache-Control", "no-store")
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        name = request.resolver_match.view_name if request.resolver_match else ""
        library = library_of(name)
        if name in CLOSED or (library is None and not hasattr(view, "access")):
            raise PermissionDenied
        if library in {"account", "mfa"} or getattr(view, "access", "") in {"public", "signed"}:
            return None
        return self._second_factor(request)

    def _second_factor(self, request: HttpRequest) -> HttpResponseBase | None:
        user = request.user
        if settings.MFA_COMPULSORY and user.is_authenticated and user.needs_second_factor and not is_mfa_enabled(user):
            if request.headers.get("HX-Request"):  # a fragment must not become a page inside a page
                return HttpResponse(status=204)
            return redirect("mfa_index")
        return None
