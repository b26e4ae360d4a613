"""The desk notes who is out and rearranges what that hits in one pass; the manager sets days that are not as usual."""

import re
from datetime import date, datetime, time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.premises.models import Absence, DatedHours
from clinic.staff.states import Role
from tests.factories.people import make_location, make_patient, make_practitioner, make_user
from tests.factories.visits import book
from treatments.booking.actions import cancel_appointment
from treatments.disruption.models import Disruption
from treatments.waitlist.models import WaitlistOffer

pytestmark = pytest.mark.django_db


@pytest.fixture
def tuesday(place):
    """A Tuesday at least a week away, whenever this runs."""
    today = timezone.now().astimezone(place.zone).date()
    return today + timedelta(days=7 + (1 - today.weekday()) % 7)


@pytest.fixture
def desk(client, place):
    client.force_login(make_user("Dina Desk", Role.FRONT_DESK, location=place))
    return client


@pytest.fixture
def manager(client, place):
    client.force_login(make_user("Noor Manager", Role.MANAGER, location=place))
    return client


def visit_at(place, bo, day, hour, name="Ana"):
    starts_at = datetime.combine(day, time(hour), tzinfo=place.zone)
    return book(make_patient(place, name), bo, starts_at, at=timezone.now())


def typed(bo, day, **changes):
    return {
        "thing": f"practitioner~{bo.ref}",
        "starts_on": day,
        "starts_time": "",
        "ends_on": day,
        "ends_time": "",
        "reason": "Unwell",
        **changes,
    }


def as_shown(page):
    """What a browser sends back from the page, as the lists stand."""
    text = page.content.decode()
    data = {"visit": re.findall(r'name="visit" value="([^"]+)"', text)}
    data |= dict(re.findall(r'name="(version-[^"]+)" value="([^"]+)"', text))
    for name, options in re.findall(r'<select[^>]*name="(do-[^"]+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        data[name] = re.search(r'value="([^"]+)" selected', options).group(1)
    return data


def test_from_unwell_to_everybody_rearranged(desk, place, bo, tuesday):
    ida = make_practitioner("Ida Moss", place)
    first, second = visit_at(place, bo, tuesday, 10, "First"), visit_at(place, bo, tuesday, 11, "Second")
    visit_at(place, ida, tuesday, 11, "Hers")

    noted = desk.post(reverse("disruption_new"), typed(bo, tuesday))
    page = desk.get(noted.url)
    assert "2 visits: 2 still to decide" in page.content.decode()
    done = desk.post(noted.url, as_shown(page))

    assert (noted.status_code, done.status_code, done.url) == (302, 302, noted.url)
    assert "2 visits: 1 reassigned, 1 offered another time" in desk.get(noted.url).content.decode()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.practitioner, second.status) == (ida, "cancelled")
    assert WaitlistOffer.objects.get().entry.patient == second.patient
    assert "No visit is hit" in desk.get(reverse("disruptions")).content.decode()


def test_sent_twice_does_it_once(desk, place, bo, tuesday):
    make_practitioner("Ida Moss", place)
    visit = visit_at(place, bo, tuesday, 10)
    url = desk.post(reverse("disruption_new"), typed(bo, tuesday)).url
    data = as_shown(desk.get(url))

    desk.post(url, data)
    desk.post(url, data)

    visit.refresh_from_db()
    assert visit.version == 2
    assert Disruption.objects.get().results.filter(outcome="moved").count() == 1


def test_looking_changes_nothing(desk, place, bo, tuesday):
    visit = visit_at(place, bo, tuesday, 10)
    url = desk.post(reverse("disruption_new"), typed(bo, tuesday)).url

    desk.get(url)

    visit.refresh_from_db()
    assert (visit.version, Disruption.objects.get().results.count()) == (1, 0)


def test_a_visit_gone_meanwhile_is_said_alone(desk, place, bo, tuesday):
    ida = make_practitioner("Ida Moss", place)
    gone, fine = visit_at(place, bo, tuesday, 10, "Gone"), visit_at(place, bo, tuesday, 12, "Fine")
    url = desk.post(reverse("disruption_new"), typed(bo, tuesday)).url
    data = as_shown(desk.get(url))
    cancel_appointment(appointment=gone, reason="patient", by=_kim(), at=timezone.now())

    desk.post(url, data)

    page = desk.get(url).content.decode()
    fine.refresh_from_db()
    assert fine.practitioner == ida
    assert "Some could not be done. Each says why." in page
    assert "Kim Cole changed this visit at" in page


def _kim():
    return Actor.staff(make_user("Kim Cole", Role.FRONT_DESK))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"thing": ""}, "This field is required."),
        ({"ends_on": "2020-01-01"}, "The end comes after the beginning."),
        ({"starts_on": "2020-01-01", "ends_on": "2020-01-02"}, "That time has passed."),
        ({"reason": ""}, "This field is required."),
        ({"thing": "practitioner~nobody"}, "is not one of the available choices"),
    ],
)
def test_what_cannot_be_is_said_at_the_field_and_nothing_typed_is_lost(desk, bo, tuesday, changes, sentence):
    page = desk.post(reverse("disruption_new"), typed(bo, tuesday, **changes))

    text = page.content.decode()
    assert page.status_code == 422
    assert sentence in text
    if "reason" not in changes:
        assert 'value="Unwell"' in text
    assert not Absence.objects.exists()


@pytest.mark.parametrize("sent", [{}, {"visit": "x"}, {"visit": "00000000-0000-4000-8000-000000000000"}])
def test_a_page_sent_back_empty_or_broken_does_nothing(desk, place, bo, tuesday, sent):
    visit = visit_at(place, bo, tuesday, 10)
    url = desk.post(reverse("disruption_new"), typed(bo, tuesday)).url

    assert desk.post(url, sent).status_code == 302

    visit.refresh_from_db()
    assert visit.version == 1


def test_a_visit_of_another_place_cannot_be_slipped_in(desk, place, bo, tuesday):
    lisbon = make_location("Lisbon", "Europe/Lisbon")
    theirs = visit_at(lisbon, make_practitioner("Rui", lisbon), tuesday, 10)
    url = desk.post(reverse("disruption_new"), typed(bo, tuesday)).url
    data = {"visit": str(theirs.ref), f"version-{theirs.ref}": "1", f"do-{theirs.ref}": "cancel"}

    assert desk.post(url, data).status_code == 404

    theirs.refresh_from_db()
    assert theirs.status == "booked"


def test_over_is_said_once(desk, bo, tuesday):
    url = desk.post(reverse("disruption_new"), typed(bo, tuesday)).url
    over = reverse("disruption_over", args=[Disruption.objects.get().ref])

    desk.post(over)
    assert "Bo Lindqvist can be booked again." in desk.get(url).content.decode()
    desk.post(over)
    assert "This is over already." in desk.get(url).content.decode()


def test_a_bank_holiday_leads_to_the_visits_it_hits(manager, place, bo, tuesday):
    visit_at(place, bo, tuesday, 10)
    data = {"first": tuesday, "last": "", "kind": "closed", "reason": "Bank holiday"}

    saved = manager.post(reverse("special_hours"), data)

    assert saved.url == reverse("disruption", args=[Disruption.objects.get().ref])
    assert "1 visit: 1 still to decide" in manager.get(saved.url).content.decode()
    assert "Bank holiday" in manager.get(reverse("special_hours")).content.decode()


def test_an_extra_sunday_is_set_and_taken_back(manager, place, bo, tuesday):
    sunday = tuesday + timedelta(days=5)
    data = {"first": sunday, "kind": "open", "opens": "10:00", "closes": "13:00", "people": [str(bo.ref)]}

    assert manager.post(reverse("special_hours"), data | {"reason": "Open day"}).url == reverse("special_hours")
    assert [(row.practitioner, row.opens) for row in DatedHours.objects.order_by("id")] == [
        (None, time(10)),
        (bo, time(10)),
    ]
    assert "10:00 – 13:00 · Bo Lindqvist" in manager.get(reverse("special_hours")).content.decode()

    manager.post(reverse("special_hours_end"), {"first": sunday, "last": sunday})
    assert not DatedHours.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"first": "2020-01-01"}, "That day has passed."),
        ({"last": "2020-01-01"}, "The last day comes before the first."),
        ({"opens": "", "closes": ""}, "Please give both times."),
        ({"opens": "13:00", "closes": "10:00"}, "Closing comes after opening."),
        ({"opens_again": "11:00", "closes_again": "15:00"}, "These hours overlap."),
        ({"reason": ""}, "This field is required."),
    ],
)
def test_hours_that_cannot_be_are_said_at_their_field(manager, tuesday, changes, sentence):
    data = {"first": tuesday, "kind": "open", "opens": "10:00", "closes": "13:00", "reason": "Open day"} | changes

    page = manager.post(reverse("special_hours"), data)

    assert (page.status_code, sentence in page.content.decode()) == (422, True)
    assert not DatedHours.objects.exists()


def test_the_manager_changes_the_clock_and_the_visit_keeps_its_time(manager, place, bo, tuesday):
    visit = visit_at(place, bo, tuesday, 10)
    assert "1 visit to come keeps its hour" in manager.get(reverse("special_hours")).content.decode()

    saved = manager.post(reverse("special_hours_clock"), {"time_zone": "Europe/Paris"})

    visit.refresh_from_db()
    assert saved.url == reverse("special_hours")
    assert f"{visit.starts_at.astimezone(visit.location.zone):%A %H:%M} {visit.location.time_zone}" == (
        "Tuesday 10:00 Europe/Paris"
    )


def test_a_zone_that_is_none_is_said_at_its_field_and_stays_there(manager, place):
    page = manager.post(reverse("special_hours_clock"), {"time_zone": "Londn"})

    text = page.content.decode()
    place.refresh_from_db()
    assert (page.status_code, place.time_zone) == (422, "Europe/London")
    assert "“Londn” is not a time zone." in text
    assert 'value="Londn"' in text


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        ((3, 10, 0), (3, 11, 0), ("2026-03-10", "2026-03-10")),
        ((3, 28, 0), (3, 30, 0), ("2026-03-28", "2026-03-29")),  # the night in which the clocks go forward
        ((3, 10, 0), (3, 11, 12), None),
        ((3, 10, 9), (3, 10, 17), None),
    ],
)
def test_whole_days_are_said_as_days_and_parts_of_days_as_times(place, begins, ends, said):
    starts_at, ends_at = (datetime(2026, *each, tzinfo=place.zone) for each in (begins, ends))
    row = Disruption(location=place, starts_at=starts_at, ends_at=ends_at)

    assert row.whole_days == (said and tuple(date.fromisoformat(day) for day in said))
