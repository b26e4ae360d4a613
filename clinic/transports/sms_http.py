"""Texts over the plain HTTP interface that most gateways offer or can be given.

POST `{to, text, reference, callback}` as JSON with an Idempotency-Key; 2xx with `{"id": ...}` means taken over. An
error may name its `code`: `opted_out` and `invalid_number` are the two that say something about the person. To
`callback` it may report, signed, what became of the text: see docs/gateways.md.
"""

from __future__ import annotations

import json
import re
from datetime import datetime

from clinic.transports.states import BAD_NUMBER, NO_NUMBER, OPTED_OUT, Failed, Receipt, Retry, Sent, Unknown
from clinic.transports.web import Answer, AnswerLost, NotReached, ask, checked_address

_NUMBER = re.compile(r"\+[1-9]\d{5,14}")
# Our address, our password or our bill: every text would fare the same.
_OUR_FAULT = frozenset({401, 402, 403, 404, 405, 407, 410})
_NOT_NOW = frozenset({408, 409, 425})


def is_mobile(number: str) -> bool:
    """True for an international number: plus, country, up to fifteen digits."""
    return _NUMBER.fullmatch(number) is not None


class HttpGateway:
    """A gateway that keeps keys: the same key again is the same text, and it answers as it did before."""

    repeats_safely = True

    def __init__(self, url: str, token: str = "", *, callback: str = "") -> None:
        self.url, self.token, self.callback = checked_address(url), token, callback

    def send(self, *, to: str, text: str, key: str, at: datetime, unsure_since: datetime | None = None) -> Receipt:
        """Hand one text over and say what came of it; never raises for what the network or the gateway does."""
        if not is_mobile(to):
            return Failed(NO_NUMBER)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Idempotency-Key": key}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        said = {"to": to, "text": text, "reference": key} | ({"callback": self.callback} if self.callback else {})
        body = json.dumps(said, ensure_ascii=False).encode()
        try:
            answer = ask("POST", self.url, headers=headers, body=body)
        except NotReached as error:
            return Retry(str(error), gateway_down=True)
        except AnswerLost as error:
            return Unknown(str(error))
        if 200 <= answer.status < 300:
            return taken_over(answer, "id")
        code = _code(answer)
        if code == "opted_out":
            return Failed(OPTED_OUT, opted_out=True)
        if code == "invalid_number":
            return Failed(BAD_NUMBER)
        return not_taken(answer, at)


def taken_over(answer: Answer, name: str) -> Sent | Unknown:
    """Return Sent with what the gateway calls it, or Unknown if a yes names nothing: some proxy may have said it."""
    ref = answer.document.get(name)
    if isinstance(ref, str | int) and not isinstance(ref, bool) and str(ref).strip():
        return Sent(str(ref))
    return Unknown(f"The answer names no text: {answer.in_words()}"[:200])


def not_taken(answer: Answer, at: datetime) -> Retry | Failed:
    """Return what a status other than 2xx means, where its error says no more."""
    said, status = answer.in_words(), answer.status
    if status in {429, 503}:
        return Retry(said, after=answer.retry_after(at), gateway_down=True)
    if status in _OUR_FAULT or status < 400:  # also a redirect: nothing is followed with a patient's number in it
        return Retry(said, gateway_down=True)
    if status >= 500 or status in _NOT_NOW:
        return Retry(said, after=answer.retry_after(at))
    return Failed(said)


def _code(answer: Answer) -> object:
    error = answer.document.get("error")
    return error.get("code") if isinstance(error, dict) else answer.document.get("code")
