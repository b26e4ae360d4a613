"""Where text gateways call us: what became of a text, and what somebody wrote back.

Nothing is believed that is not signed. A forged call is refused with 403 and stands in the audit trail; a signed one
that cannot be read gets 400, so that whoever runs the gateway learns of it. The same call again acts once.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from clinic.audit.states import Actor
from clinic.staff.access import refuse, signed
from clinic.transports.signatures import is_signed, is_twilios
from patients.replies.actions import receive_reply
from patients.replies.receipts import receive_receipt
from patients.replies.rules import Garbled, heard_by_http, heard_by_twilio, told_by_http, told_by_twilio

logger = logging.getLogger(__name__)

HTTP, TWILIO = Actor.task("gateway.http"), Actor.task("gateway.twilio")
LONGEST_CALL = 64 * 1024  # bytes
# So many refusals a minute are told in the audit trail; more are a flood, and only in the log.
_TOLD_A_MINUTE = 60
_refusals: deque[float] = deque(maxlen=_TOLD_A_MINUTE)

View = Callable[[HttpRequest], HttpResponse]


def _for_gateways(view: View) -> View:
    """The view takes POST from machines only: no session, no form's token, no body beyond the cap."""

    @csrf_exempt
    @require_POST
    def capped(request: HttpRequest) -> HttpResponse:
        said = request.META.get("CONTENT_LENGTH") or "0"
        if not said.isdecimal() or int(said) > LONGEST_CALL:
            return HttpResponse("Too long.\n", status=413, content_type="text/plain")
        try:
            return view(request)
        except Garbled as error:
            logger.warning("A signed call of a text gateway could not be read: %s", error)
            return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")

    return signed(capped)


@_for_gateways
def http_receipt(request: HttpRequest) -> HttpResponse:
    """The plain gateway says what became of a text."""
    receive_receipt(gateway="http", told=told_by_http(_signed_body(request)), by=HTTP, at=timezone.now())
    return HttpResponse(status=204)


@_for_gateways
def http_reply(request: HttpRequest) -> HttpResponse:
    """The plain gateway brings what somebody wrote."""
    receive_reply(gateway="http", heard=heard_by_http(_signed_body(request)), by=HTTP, at=timezone.now())
    return HttpResponse(status=204)


@_for_gateways
def twilio_receipt(request: HttpRequest) -> HttpResponse:
    """Twilio says what became of a text; our own name for it stands in the address."""
    told = told_by_twilio(_twilios_fields(request), request.GET.get("key", ""))
    receive_receipt(gateway="twilio", told=told, by=TWILIO, at=timezone.now())
    return HttpResponse(status=204)


@_for_gateways
def twilio_reply(request: HttpRequest) -> HttpResponse:
    """Twilio brings what somebody wrote. The answer is empty TwiML: what we say back goes out as any message does."""
    receive_reply(gateway="twilio", heard=heard_by_twilio(_twilios_fields(request)), by=TWILIO, at=timezone.now())
    return HttpResponse("<Response/>", content_type="text/xml")


def _signed_body(request: HttpRequest) -> bytes:
    body = request.body
    if not is_signed(
        secret=settings.SMS_HTTP_SECRET,
        timestamp=request.headers.get("X-Signature-Timestamp", ""),
        body=body,
        given=request.headers.get("X-Signature", ""),
        at=timezone.now(),
    ):
        _refuse(request)
    return body


def _twilios_fields(request: HttpRequest) -> dict[str, str]:
    try:
        fields = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200)
    except ValueError:  # more fields than Twilio has
        fields = []
    # Twilio signs the address as it was given it, whatever a proxy made of it since.
    url = (settings.SMS_CALLBACK_URL or settings.PUBLIC_URL) + request.get_full_path()
    given = request.headers.get("X-Twilio-Signature", "")
    if not is_twilios(token=settings.TWILIO_AUTH_TOKEN, url=url, fields=fields, given=given):
        _refuse(request)
    return dict(fields)


def _refuse(request: HttpRequest) -> None:
    """The refusal stands in the audit trail, unless it is one of a flood; the request ends with 403."""
    now = time.monotonic()
    if len(_refusals) == _TOLD_A_MINUTE and now - _refusals[0] < 60:
        logger.warning("Another call of a text gateway without a valid signature was refused.")
        raise PermissionDenied
    _refusals.append(now)
    refuse(request, "signature")
