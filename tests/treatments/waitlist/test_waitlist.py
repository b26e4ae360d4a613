"""Who waits is offered a freed time when ready, one at a time, with a hold that runs out."""

from datetime import date, time, timedelta

import pytest
from django.utils import timezone

from clinic.audit.states import Actor
from patients.messaging.models import Message
from patients.registry.access import KEY
from patients.registry.actions import issue_link
from patients.registry.states import LinkScope
from tests.factories.people import NOW, make_device, make_patient
from tests.factories.visits import BY, book, get_type, make_course, utc
from treatments.booking.actions import cancel_appointment, move_appointment
from treatments.booking.models import Appointment
from treatments.courses.models import Course
from treatments.waitlist.actions import (
    accept_offer,
    decline_offer,
    join_waitlist,
    leave_waitlist,
    offer_time,
    sweep_waitlist,
)
from treatments.waitlist.models import WaitlistEntry, WaitlistOffer
from treatments.waitlist.queries import standing_of
from treatments.waitlist.states import AlreadyWaiting, NotOffered, OfferOver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_a_monday_at_ten")]
SWEEP = Actor.task("waitlist.sweep")
TEN = utc("2026-11-24T10:00")
TUESDAY = date(2026, 11, 24)


def wait(patient, type="consultation", at=NOW, **fields):
    """Waits for ten o'clock on Tuesday, unless the fields say otherwise."""
    return join_waitlist(
        patient=patient,
        type=get_type(type),
        location=patient.location,
        **{"earliest_on": TUESDAY, "latest_on": TUESDAY, "between": (time(10), time(10)), **fields},
        by=BY,
        at=at,
    )


def states():
    return [each.status for each in WaitlistOffer.objects.order_by("pk")]


def test_a_cancelled_time_is_held_for_the_longest_waiting_alone(place, bo):
    taken = book(make_patient(place, "Cy", "Holt"), bo, TEN)
    eva = wait(make_patient(place, "Eva", "Moss"), at=NOW + timedelta(minutes=1))
    ana = wait(make_patient(place), at=NOW)
    assert sweep_waitlist(by=SWEEP, at=NOW) == (0, 0)

    cancel_appointment(appointment=taken, reason="patient", by=BY, at=NOW)
    assert sweep_waitlist(by=SWEEP, at=NOW) == (0, 1)
    assert sweep_waitlist(by=SWEEP, at=NOW) == (0, 0)

    offer = WaitlistOffer.objects.get()
    assert (offer.entry, offer.appointment.starts_at, offer.appointment.status) == (ana, TEN, "proposed")
    assert (offer.told_at, offer.ends_at) == (NOW, NOW + timedelta(hours=2))
    assert [(each.template, each.due_at, each.not_after) for each in Message.objects.filter(about=offer.about)] == [
        ("waitlist_offer", NOW, offer.ends_at)
    ]
    assert eva.offers.count() == 0


def test_who_does_not_answer_goes_on_waiting_and_the_next_is_asked(place, bo):
    ana, eva = wait(make_patient(place)), wait(make_patient(place, "Eva", "Moss"))
    sweep_waitlist(by=SWEEP, at=NOW)

    assert sweep_waitlist(by=SWEEP, at=NOW + timedelta(hours=2)) == (1, 1)

    assert states() == ["expired", "open"]
    assert [each.entry for each in WaitlistOffer.objects.order_by("pk")] == [ana, eva]
    ana.refresh_from_db()
    assert ana.status == "waiting"
    first = WaitlistOffer.objects.order_by("pk")[0]
    assert (first.appointment.status, first.appointment.cancel_reason) == ("cancelled", "not_taken")
    assert [each.status for each in Message.objects.filter(about=first.about)] == ["superseded"]


def test_a_time_that_was_declined_is_not_offered_to_the_same_person_again(place, bo):
    ana = wait(make_patient(place))
    decline_offer(offer=offer_time(entry=ana, by=BY, at=NOW), by=BY, at=NOW)

    assert sweep_waitlist(by=SWEEP, at=NOW) == (0, 0)
    with pytest.raises(OfferOver):
        decline_offer(offer=WaitlistOffer.objects.get(), by=BY, at=NOW)


def test_an_accepted_offer_is_a_visit_and_nobody_waits(place, bo):
    ana = wait(make_patient(place))
    offer = offer_time(entry=ana, by=BY, at=NOW)

    visit = accept_offer(offer=offer, by=BY, at=NOW + timedelta(minutes=5))

    assert (visit.status, visit.starts_at) == ("booked", TEN)
    assert states() == ["accepted"]
    assert WaitlistEntry.objects.get().status == "placed"
    with pytest.raises(OfferOver):
        accept_offer(offer=offer, by=BY, at=NOW + timedelta(minutes=6))


def test_nothing_is_accepted_at_the_instant_the_hold_ends(place, bo):
    offer = offer_time(entry=wait(make_patient(place)), by=BY, at=NOW)

    with pytest.raises(OfferOver):
        accept_offer(offer=offer, by=BY, at=offer.ends_at)

    assert states() == ["open"]


def test_at_night_the_hold_begins_when_it_can_be_read(place, bo):
    night = utc("2026-11-23T22:30")
    day = date(2026, 11, 25)
    offer = offer_time(entry=wait(make_patient(place), earliest_on=day, latest_on=day), by=BY, at=night)

    assert (offer.told_at, offer.ends_at) == (utc("2026-11-24T09:00"), utc("2026-11-24T11:00"))
    assert [each.due_at for each in Message.objects.filter(about=offer.about)] == [offer.told_at]


def test_a_time_too_soon_to_ask_first_is_not_offered(place, bo):
    entry = wait(make_patient(place))

    with pytest.raises(NotOffered, match="too soon"):
        offer_time(entry=entry, by=BY, at=utc("2026-11-23T22:30"))


def test_while_a_move_can_be_undone_its_place_is_nobodys(place, bo):
    visit = book(make_patient(place, "Cy", "Holt"), bo, TEN)
    wait(make_patient(place))
    move_appointment(appointment=visit, starts_at=TEN + timedelta(hours=3), expected_version=1, by=BY, at=NOW)

    assert sweep_waitlist(by=SWEEP, at=NOW + timedelta(minutes=2)) == (0, 0)
    assert sweep_waitlist(by=SWEEP, at=NOW + timedelta(minutes=4)) == (0, 1)


def test_leaving_gives_the_held_time_back(place, bo):
    ana = wait(make_patient(place))
    offer_time(entry=ana, by=BY, at=NOW)

    leave_waitlist(entry=ana, reason="Found another time.", by=BY, at=NOW)

    assert states() == ["withdrawn"]
    assert book(make_patient(place, "Eva", "Moss"), bo, TEN).status == "booked"


def test_one_waits_once_for_one_thing(place, bo):
    ana = make_patient(place)
    wait(ana)

    with pytest.raises(AlreadyWaiting):
        wait(ana)
    assert wait(ana, type="review").status == "waiting"


def test_the_list_says_why_somebody_is_not_ready(place, bo):
    make_device(place)
    ana = make_patient(place)
    course = make_course(ana)
    entry = wait(ana, type="treatment_nafl", course=course)

    assert standing_of(entry, NOW).reasons == ("The consent is not signed.",)
    Course.objects.filter(pk=course.pk).update(status="on-hold")
    entry = WaitlistEntry.objects.get()
    assert standing_of(entry, NOW).reasons == ("The course is on hold.", "The consent is not signed.")


def test_a_gate_that_shut_since_withdraws_the_offer(place, bo):
    offer = offer_time(entry=wait(make_patient(place)), by=BY, at=NOW)
    book_over = place.hours.filter(practitioner=None)
    book_over.delete()

    with pytest.raises(Exception, match="closed"):
        accept_offer(offer=offer, by=BY, at=NOW)

    assert states() == ["withdrawn"]
    assert [each.status for each in Appointment.objects.all()] == ["cancelled"]


def test_only_a_post_answers_on_the_patients_page(place, bo, client):
    at = timezone.now()
    day = at.date()
    ana = make_patient(place)
    entry = wait(ana, at=at, earliest_on=day, latest_on=day + timedelta(days=12), between=(time(0), time(23)))
    offer = offer_time(entry=entry, by=BY, at=at)
    link, _url = issue_link(patient=ana, scope=LinkScope.OFFER, about=offer.about, by=BY, at=at)
    session = client.session
    session[KEY] = {str(link.ref): {"opened": int(at.timestamp()), "used": int(at.timestamp())}}
    session.save()
    client.cookies["sessionid"] = session.session_key
    page = f"/my/{link.ref}/offer/"

    assert "Take this time" in client.get(page).content.decode()
    assert states() == ["open"]
    client.post(page, {})
    assert states() == ["open"]
    assert client.post(page, {"answer": "yes"}).status_code == 302
    assert states() == ["accepted"]
    assert "It is yours" in client.get(page).content.decode()
    assert client.post(page, {"answer": "no"}).status_code == 409
    assert states() == ["accepted"]


def test_wishes_are_said_in_words(place, bo):
    any_time = wait(make_patient(place), between=(time(0), time(23, 59)))
    mornings = wait(make_patient(place, "Eva", "Moss"), weekdays=[4, 0], between=(time(9), time(12)))

    assert (any_time.days_in_words, any_time.hours_in_words) == ("any day", "at any time")
    assert (mornings.days_in_words, mornings.hours_in_words) == ("Mon, Fri", "09:00 – 12:00")
