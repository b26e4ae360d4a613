"""Whatever a gateway answers, the log can hold it: one odd answer must not spoil those marked beside it."""

import pytest
from django.db import connection

from clinic.transports.states import Failed, Retry, Sent, Unknown

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("receipt", [Sent, Retry, Failed, Unknown])
@pytest.mark.parametrize("said", ["a\x00b", "a\ud800b", "é 你 👍", "x" * 400, ""])
def test_what_was_said_can_be_stored(receipt, said):
    kept = receipt(said)
    words = kept.ref if receipt is Sent else kept.answer

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text", [words])
        assert cursor.fetchone() == (words,)
    assert len(words) == len(said)
    assert "\x00" in said or "\ud800" in said or words == said
