"""The rehearsal page: the messages of a protocol as staff see them before any patient does."""

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from clinic.packs.models import RulePack
from clinic.staff.states import Role
from patients.messaging.models import Message
from tests.factories.people import NOW, make_location, make_user


@pytest.fixture
def location(db):
    call_command("load_knowledge")
    return make_location()


@pytest.fixture
def desk(location):
    client = Client()
    client.force_login(make_user("Dee Desk", Role.FRONT_DESK, location=location))
    return client


def ask(client, **given):
    afl = RulePack.objects.get(kind="care", name="afl", status="published")
    asked = {"protocol": str(afl.ref), "visit": "2026-03-27T20:30", "zone": "Europe/London"} | given
    return client.get(reverse("rehearsal"), asked)


def test_every_message_is_listed_in_order_with_its_local_time_utc_and_reason(desk):
    page = ask(desk)

    rows = page.context["rows"]
    assert page.status_code == 200
    assert [row.utc for row in rows] == sorted(row.utc for row in rows)
    first_day = next(row for row in rows if row.title == "Day 1: how are you?")
    assert (f"{first_day.local:%Y-%m-%dT%H:%M}", f"{first_day.utc:%H:%M}") == ("2026-03-29T09:00", "08:00")
    assert "Sun 29 Mar, 08:00 UTC" in page.content.decode()
    assert first_day.why == "Sat 28 Mar 20:30 is in quiet hours: moved to Sun 29 Mar 09:00"


def test_a_message_reads_as_the_patient_would_read_it_and_a_text_counts_its_segments(desk, location):
    rows = ask(desk).context["rows"]

    text = next(row for row in rows if row.title == "Day 1: how are you?")
    letter = next(row for row in rows if row.title == "The first hours")
    assert (text.subject, text.segments) == ("", 2)
    assert text.text.startswith(f"{location.name}: how are you today?")
    assert letter.segments == 0
    assert "the skin must never dry out" in letter.text


def test_nothing_is_sent_or_stored(desk):
    ask(desk)

    assert Message.objects.count() == 0


def test_a_draft_can_be_rehearsed(desk):
    afl = RulePack.objects.get(kind="care", name="afl", status="published")
    draft = RulePack.objects.create(
        kind="care", name="afl", version=2, sha256="0" * 64, created_at=NOW, changed_at=NOW,
        body=afl.body.replace("The first hours", "Tonight"), drafted_by=make_user("Lea Lead", Role.LEAD_CLINICIAN),
    )  # fmt: skip

    titles = [row.title for row in ask(desk, protocol=str(draft.ref)).context["rows"]]

    assert "Tonight" in titles
    assert "The first hours" not in titles


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"visit": "2026-03-29T01:30"}, "visit", "01:30 does not exist in Europe/London"),
        ({"visit": "2026-10-25T01:30"}, "visit", "01:30 comes twice in Europe/London"),
        ({"visit": "soon"}, "visit", "This is not a time"),
        ({"visit": "0001-01-01T09:00"}, "visit", "This is not a time"),
        ({"zone": "Mars/Base"}, "zone", "This is not a time zone"),
        ({"zone": "../etc/passwd"}, "zone", "This is not a time zone"),
        ({"protocol": "nothing"}, "protocol", "Choose one of the protocols"),
    ],
)
def test_bad_input_is_a_sentence_at_its_field_and_nothing_typed_is_lost(desk, given, field, says):
    page = ask(desk, **given)

    assert page.status_code == 422
    assert says in page.context["form"].errors[field][0]
    assert page.context["rows"] is None


def test_the_first_page_offers_the_clinics_own_zone(desk, location):
    page = desk.get(reverse("rehearsal"))

    assert page.status_code == 200
    assert page.context["form"].initial["zone"] == location.time_zone
