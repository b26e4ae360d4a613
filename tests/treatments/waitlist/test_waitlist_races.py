"""Threads on the real database: taking a time at the moment it runs out, and several sweeps at once."""

from datetime import date, time, timedelta

import pytest

from clinic.audit.states import Actor
from tests.factories.people import NOW, make_location, make_patient, make_practitioner
from tests.factories.visits import BY, get_type
from tests.treatments.booking.test_booking_races import overlaps, together
from treatments.booking.models import Appointment
from treatments.waitlist.actions import accept_offer, end_offer, join_waitlist, offer_time, sweep_waitlist
from treatments.waitlist.models import WaitlistOffer
from treatments.waitlist.states import OfferOver, OfferStatus

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
SWEEP = Actor.task("waitlist.sweep")


def wait(patient, **fields):
    return join_waitlist(
        patient=patient,
        type=get_type(),
        location=patient.location,
        **{"earliest_on": date(2026, 11, 24), "latest_on": date(2026, 12, 20), **fields},
        by=BY,
        at=NOW,
    )


def test_accepting_at_the_moment_it_runs_out_resolves_one_way_200_times():
    place = make_location()
    make_practitioner("Bo Lindqvist", place)
    ana, ends = make_patient(place), []
    entry = wait(ana)

    for _ in range(200):
        offer = offer_time(entry=entry, by=BY, at=NOW)
        accepted, ended = together(
            lambda offer=offer: accept_offer(offer=offer, by=BY, at=offer.ends_at - timedelta(microseconds=1)),
            lambda offer=offer: end_offer(offer=offer, to=OfferStatus.EXPIRED, by=SWEEP, at=offer.ends_at),
        )

        offer.refresh_from_db()
        visit = Appointment.objects.get(pk=offer.appointment_id)
        found = (offer.status, visit.status, visit.claims.filter(active=True).count(), type(accepted), ended)
        if ended is True:
            assert found == ("expired", "cancelled", 0, OfferOver, True)
        else:
            assert found == ("accepted", "booked", 2, Appointment, False)
            entry = wait(ana)
        ends.append(offer.status)

    assert len(ends) == 200
    assert overlaps() == 0


def test_four_sweeps_at_once_offer_one_time_to_one_person():
    place = make_location()
    make_practitioner("Bo Lindqvist", place)
    for number in range(5):
        ten = (time(10), time(10))
        wait(make_patient(place, f"P{number}", "Crowd"), latest_on=date(2026, 11, 24), between=ten)

    results = together(*[lambda: sweep_waitlist(by=SWEEP, at=NOW)] * 4)

    assert sorted(results) == [(0, 0), (0, 0), (0, 0), (0, 1)]
    assert [each.status for each in WaitlistOffer.objects.all()] == ["open"]
    assert overlaps() == 0
