"""Texts over Twilio's Messages API. It keeps no keys; what may have left is looked up by number and exact text.

Sources: Twilio, "Message resource" (create, list) and its error dictionary for the codes named here.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode

from clinic.transports.sms_http import is_mobile, not_taken, taken_over
from clinic.transports.states import BAD_NUMBER, NO_NUMBER, OPTED_OUT, Failed, Receipt, Retry, Sent, Unknown
from clinic.transports.web import Answer, AnswerLost, NotReached, ask, checked_address

_OPTED_OUT, _BAD_NUMBER = 21610, 21211
# Our own sender is not valid, or not ours: every text would fare the same.
_OUR_SENDER = frozenset({21212, 21603, 21606})
# A try is noted after it left, and two clocks are never the same. Wider, and an earlier equal text would be found.
_CLOCKS_DIFFER = timedelta(minutes=5)
_PAGE = 50


class Twilio:
    """A Twilio account. `sender` is one of its numbers, or the SID of a messaging service (MG…).

    A lost answer is looked up at once, while the text is in hand, and again before it is ever sent once more.
    """

    repeats_safely = False

    def __init__(
        self, account: str, token: str, sender: str, url: str = "https://api.twilio.com", *, callback: str = ""
    ) -> None:
        self.sender, self.callback = sender, callback
        self._messages = f"{checked_address(url)}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
        self._headers = {
            "Authorization": f"Basic {b64encode(f'{account}:{token}'.encode()).decode()}",
            "Accept": "application/json",
        }

    def send(self, *, to: str, text: str, key: str, at: datetime, unsure_since: datetime | None = None) -> Receipt:
        """Hand one text over and say what came of it; never raises for what the network or Twilio does.

        With `unsure_since` it may have left before: it is sent only if Twilio has had no such text since then.
        """
        if not is_mobile(to):
            return Failed(NO_NUMBER)
        if unsure_since is not None:
            try:
                found = self._find(to, text, unsure_since, at)
            except _NoLook as error:
                return Retry(str(error), after=error.after, gateway_down=True)
            if found:
                return Sent(found)
        return self._create(to, text, key, at)

    def _create(self, to: str, text: str, key: str, at: datetime) -> Receipt:
        ours = "MessagingServiceSid" if self.sender.startswith("MG") else "From"
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        fields = {"To": to, ours: self.sender, "Body": text}
        if self.callback:  # it keeps no keys, but repeats the address it reports to: our name for the text stands there
            fields["StatusCallback"] = f"{self.callback}?{urlencode({'key': key})}"
        body = urlencode(fields).encode()
        try:
            answer = ask("POST", self._messages, headers=headers, body=body)
        except NotReached as error:
            return Retry(str(error), gateway_down=True)
        except AnswerLost as error:
            return self._resolved(to, text, at, Unknown(str(error)))
        if 200 <= answer.status < 300:
            receipt = taken_over(answer, "sid")
            return receipt if isinstance(receipt, Sent) else self._resolved(to, text, at, receipt)
        return self._refusal(to, text, at, answer)

    def _refusal(self, to: str, text: str, at: datetime, answer: Answer) -> Receipt:
        code = answer.document.get("code")
        if code == _OPTED_OUT:
            return Failed(OPTED_OUT, opted_out=True)
        if code == _BAD_NUMBER:
            return Failed(BAD_NUMBER)
        if code in _OUR_SENDER:
            return Retry(answer.in_words(), gateway_down=True)
        receipt = not_taken(answer, at)
        if answer.status >= 500 and answer.status != 503:  # it fell over, perhaps after it had taken the text
            return self._resolved(to, text, at, receipt)
        return receipt

    def _resolved(self, to: str, text: str, at: datetime, otherwise: Retry | Failed | Unknown) -> Receipt:
        """Return Sent if Twilio has the text after all; Unknown if even that cannot be asked."""
        try:
            found = self._find(to, text, at, at)
        except _NoLook:
            return Unknown(otherwise.answer)
        return Sent(found) if found else otherwise

    def _find(self, to: str, text: str, since: datetime, at: datetime) -> str:
        """Return the SID of such a text to this number since then, "" if there is none. Raises _NoLook."""
        try:
            answer = ask("GET", f"{self._messages}?{urlencode({'To': to, 'PageSize': _PAGE})}", headers=self._headers)
        except (NotReached, AnswerLost) as error:
            raise _NoLook(str(error)) from error
        rows = answer.document.get("messages")
        if answer.status != 200 or not isinstance(rows, list):
            raise _NoLook(answer.in_words(), answer.retry_after(at))
        return next((str(row["sid"]) for row in rows if _is_it(row, text, since - _CLOCKS_DIFFER)), "")


class _NoLook(Exception):
    """Twilio did not let us look."""

    def __init__(self, answer: str, after: timedelta | None = None) -> None:
        self.after = after
        super().__init__(answer)


def _is_it(row: object, text: str, since: datetime) -> bool:
    if not isinstance(row, dict) or not row.get("sid") or not str(row.get("direction")).startswith("outbound"):
        return False
    try:
        made = parsedate_to_datetime(str(row.get("date_created")))
    except ValueError:
        return False
    return str(row.get("body")).strip() == text.strip() and made.tzinfo is not None and made >= since
