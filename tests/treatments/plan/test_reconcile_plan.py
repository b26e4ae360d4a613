"""From a visit to rows: the published protocol, the words, the links, and what a change does to them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from clinic.audit.states import Actor
from clinic.packs.actions import load_shipped
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind
from patients.messaging.actions import dispatch
from patients.messaging.models import Message
from patients.messaging.queries import variables_of
from patients.messaging.rendering import write_email, write_sms
from patients.messaging.states import Channel, Purpose
from tests.factories.people import NOW, make_location, make_patient
from tests.factories.smtp import SmtpServer
from treatments.plan.actions import protocol_in_force, reconcile_plan
from treatments.plan.rules import Visit

pytestmark = pytest.mark.django_db
BY = Actor.task("Bo Lindqvist")
ABOUT = "appointment:1"
ZONE = "Europe/London"
BOOKED = Visit(
    kind="treatment",
    modality="nafl_1550",
    starts_at=datetime(2027, 1, 19, 14, 0),
    zone=ZONE,
    booked_at=NOW,
    areas=frozenset({"full_face"}),
    conditions=frozenset({"numbing"}),
)


@pytest.fixture
def ana():
    return make_patient(make_location(), phone="+447700900001")


@pytest.fixture
def server(settings, tmp_path):
    with SmtpServer() as running:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", running.port, False
        settings.SMS_GATEWAY, settings.SMS_FILE = "file", tmp_path / "sms.jsonl"
        yield running


def plan(ana, visit, at=NOW, about=ABOUT, **more):
    return reconcile_plan(about=about, patient=ana, location=ana.location, visit=visit, by=BY, at=at, **more)


def steps(**filters):
    return list(Message.objects.filter(**filters).order_by("due_at", "pk").values_list("step", flat=True))


def test_a_booked_treatment_has_its_whole_preparation(ana):
    result = plan(ana, BOOKED)

    assert steps() == [
        "confirmation", "precare_28", "precare_14", "precare_7", "fitness", "reminder_48h", "reminder_24h",
        "reminder_morning", "precare_0",
    ]  # fmt: skip
    assert result.planned == 9
    assert plan(ana, BOOKED).sentence == "No message changes"


def test_each_message_tells_the_clinics_wall_clock_and_opens_the_right_page(ana):
    plan(ana, BOOKED)

    fitness = Message.objects.get(step="fitness")
    assert fitness.context["when_local"] == "Tuesday 19 January, 14:00"
    assert fitness.context["where"] == "1 Harley Street, London"
    assert fitness.visit_at == BOOKED.start
    assert (fitness.purpose, fitness.channel) == (Purpose.CARE, Channel.SMS)
    assert (fitness.link_scope, fitness.link_about) == ("fitness", ABOUT)
    precare = Message.objects.get(step="precare_0")
    assert "Bring time: numbing takes 30 to 60 minutes before we start." in precare.context["do_now"]


def test_every_planned_message_can_be_written(ana):
    plan(ana, BOOKED)
    done = replace(BOOKED, completed_at=BOOKED.start + timedelta(hours=1))
    plan(ana, done, at=done.completed_at, about="session:1")

    messages = Message.objects.select_related("patient", "location")
    assert messages.count() > 15
    for message in messages:
        variables = {**variables_of(message), **({"link": "https://x.example/l/t/"} if message.link_scope else {})}
        assert write_email(message.template, variables).text
        if message.channel == Channel.SMS:
            assert write_sms(message.template, variables).text


def test_moving_moves_everything_and_says_so(ana, server):
    plan(ana, BOOKED)
    dispatch(at=NOW + timedelta(minutes=3))
    at = NOW + timedelta(hours=1)

    result = plan(ana, replace(BOOKED, starts_at=datetime(2027, 1, 26, 9, 30), moved_at=at), at=at)

    assert result.sentence == "8 messages moved, 1 already sent, 1 correction will go out"
    told = set(Message.objects.filter(status="planned").values_list("context__when_local", flat=True)) - {None}
    assert told == {"Tuesday 26 January, 09:30"}
    dispatch(at=at + timedelta(minutes=4))
    assert "No longer: Tuesday 19 January, 14:00" in server.letters[-1].text


def test_moving_into_the_preparation_joins_what_is_late_and_repeats_nothing_that_was_read(ana, server):
    plan(ana, BOOKED)
    read_on = datetime(2026, 12, 23, 12, 0, tzinfo=NOW.tzinfo)
    dispatch(at=NOW + timedelta(minutes=3))
    dispatch(at=read_on)  # four weeks before, just sent
    assert Message.objects.get(step="precare_28").status == "sent"

    sooner = replace(BOOKED, starts_at=datetime(2026, 12, 30, 14, 0), moved_at=read_on)
    plan(ana, sooner, at=read_on)

    late = Message.objects.get(step="precare_late")
    assert late.note.startswith("their days had passed at booking: “")
    assert "precare" not in late.note  # people read it
    assert "Wear sunscreen of SPF 30 or more every day." not in late.context["do_now"]
    assert "Moisturise every day." in late.context["do_now"]
    assert steps(status="superseded") == ["precare_14", "precare_7"]
    assert steps(status="planned") == [
        "precare_late", "correction", "fitness", "reminder_48h", "reminder_24h", "reminder_morning", "precare_0",
    ]  # fmt: skip


def test_cancelling_withdraws_all_with_the_reason(ana):
    plan(ana, BOOKED)

    result = plan(ana, None, at=NOW + timedelta(minutes=2), reason="visit cancelled")

    assert result.sentence == "9 messages withdrawn"
    assert set(Message.objects.values_list("reason", flat=True)) == {"Visit cancelled at 10:02 by Bo Lindqvist."}


@pytest.mark.parametrize("about", [ABOUT, "session:1"])
def test_after_the_treatment_its_care_is_planned_and_no_preparation_is_begun(ana, server, about):
    plan(ana, BOOKED)
    dispatch(at=NOW + timedelta(minutes=3))
    done = replace(BOOKED, completed_at=BOOKED.start + timedelta(hours=1))

    plan(ana, done, at=done.completed_at, about=about, links={"after_24h": ("checkin", "checkin:7")})

    after = Message.objects.filter(about=about, step__startswith="after_").order_by("due_at")
    assert [message.step for message in after][:3] == ["after_2h", "after_24h", "after_day2"]
    assert set(after.values_list("visit_at", flat=True)) == {None}
    assert (after[0].link_scope, after[0].link_about) == ("healing", about)
    assert (after[1].link_scope, after[1].link_about, after[1].purpose) == ("checkin", "checkin:7", Purpose.CHECKIN)
    waiting = Message.objects.filter(about=about, status="planned").exclude(purpose=Purpose.NEWS)
    assert all(message.step.startswith("after_") for message in waiting)
    assert not Message.objects.filter(step="correction").exists()


def test_care_two_hours_after_an_evening_treatment_leaves_in_the_evening(ana, server):
    late = replace(
        BOOKED, starts_at=datetime(2027, 1, 19, 17, 0), completed_at=BOOKED.start + timedelta(hours=4, minutes=30)
    )
    plan(ana, late, at=late.completed_at, about="session:1")

    message = Message.objects.get(step="after_2h")
    assert message.any_hour
    assert message.due_at.hour == 20
    dispatch(at=message.due_at)
    message.refresh_from_db()
    assert message.status == "sent"


def test_a_corrected_completion_moves_what_waits_and_repeats_nothing(ana, server):
    done = replace(BOOKED, completed_at=BOOKED.start + timedelta(hours=1))
    plan(ana, done, at=done.completed_at, about="session:1")
    dispatch(at=done.completed_at + timedelta(hours=2))

    result = plan(
        ana,
        replace(done, completed_at=done.completed_at - timedelta(hours=1)),
        at=done.completed_at + timedelta(hours=3),
        about="session:1",
    )

    assert result.corrections == 0
    assert Message.objects.filter(step="after_2h").count() == 1
    assert len(server.letters) == 1


def test_a_consultation_uses_its_own_protocol_and_so_does_a_review_within_a_course(ana):
    consultation = replace(BOOKED, kind="consultation", modality="")
    review = replace(BOOKED, kind="review", modality="nafl_1550")

    assert protocol_in_force(consultation).name == "consultation"
    assert protocol_in_force(review).name == "consultation"
    assert protocol_in_force(BOOKED).name == "nafl"
    assert protocol_in_force(replace(BOOKED, modality="full_co2")) is None
    assert plan(ana, replace(BOOKED, modality="full_co2")).planned == 0


def test_a_version_the_clinic_published_is_used_from_then_on(ana):
    shipped = RulePack.objects.get(kind="care", name="consultation", status="published")
    visit = replace(BOOKED, kind="consultation", modality="")
    plan(ana, visit)
    body = shipped.body.replace('title = "Your visit is tomorrow"', 'title = "See you tomorrow"')
    load_shipped(kind=PackKind.CARE, name="consultation", body=body, by=BY, at=NOW)

    result = plan(ana, visit)

    assert result.sentence == "1 message moved"
    assert Message.objects.get(step="reminder_24h").context["title"] == "See you tomorrow"
