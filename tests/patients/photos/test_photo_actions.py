"""Photos enter the record whole and under consent, leave it only by being struck, and never half."""

import errno
import os
import threading
import uuid
from datetime import date, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.pictures.files import NotStored
from clinic.pictures.rules import PictureRefused
from clinic.transitions import IllegalMove
from patients.consent.actions import revoke_consent
from patients.photos import actions
from patients.photos.actions import add_photo, ask_for_photos, strike_photo, take_back_photo
from patients.photos.models import Photo
from patients.photos.queries import (
    VIEWED,
    PhotoDamaged,
    check_files,
    has_photos,
    looked_at,
    photo_consent,
    picture_of,
    shelf_of,
)
from patients.photos.rules import MOST_IN_A_DAY, file_name
from patients.photos.states import (
    DateNotPossible,
    EnoughForToday,
    LookedAtAlready,
    NoPhotoConsent,
    StrikeReasonMissing,
)
from tests.factories.people import NOW, actor, make_patient
from tests.factories.pictures import drawn, noisy, saved, talkative

TODAY = NOW.date()


@pytest.fixture
def add(ana, bo, face):
    """Add a photo of Ana, from Ana unless said otherwise."""

    def act(**given):
        source = given.setdefault("source", "patient")
        by = actor(bo) if source == "staff" else Actor.patient(ana.ref, ana.full_name)
        facts = {"patient": ana, "data": saved(), "area": face, "angle": "frontal", "taken_on": TODAY, "at": NOW}
        return add_photo(**{**facts, "by": by, **given})

    return act


def look_at(photo, bo):
    with transaction.atomic():
        actions.record(action=VIEWED, subject=photo, by=actor(bo), at=NOW)


# --- adding -----------------------------------------------------------------------------------------------------------


def test_a_photo_of_the_clinic_stands_in_the_record_under_the_consent_it_was_taken_under(add, agreed, ana, bo, files):
    photo = add(source="staff", data=talkative())

    kept = Photo.objects.get()
    assert kept == photo
    assert (kept.consent, kept.added_by, kept.taken_on, kept.source) == (agreed, "Bo Lindqvist", TODAY, "staff")
    assert files() == [f"{photo.ref.hex}.jpg", f"{photo.ref.hex}.small.jpg"]
    assert b"Secretive" not in picture_of(kept)
    event = AuditEvent.objects.get(action="photo.added")
    assert (event.patient_ref, event.actor_name, event.detail["sha256"]) == (ana.ref, bo.name, kept.sha256)


def test_without_consent_the_clinic_adds_nothing(add, files):
    with pytest.raises(NoPhotoConsent):
        add(source="staff")

    assert (Photo.objects.count(), files()) == (0, [])


def test_a_consent_that_is_only_asked_for_or_was_withdrawn_is_none(add, ana, bo, agreed):
    revoke_consent(consent=agreed, reason="By telephone.", by=actor(bo), at=NOW)
    ask_for_photos(patient=ana, by=actor(bo), at=NOW)

    assert photo_consent(ana) is None
    with pytest.raises(NoPhotoConsent):
        add(source="staff")


def test_photos_taken_under_a_consent_stay_when_it_is_withdrawn(add, agreed, bo):
    photo = add(source="staff")

    revoke_consent(consent=agreed, reason="By telephone.", by=actor(bo), at=NOW)

    assert Photo.objects.kept().get() == photo


def test_asking_twice_for_photos_is_one_question(ana, bo):
    first = ask_for_photos(patient=ana, by=actor(bo), at=NOW)

    assert ask_for_photos(patient=ana, by=actor(bo), at=NOW + timedelta(hours=1)) == first


def test_a_patient_sends_a_photo_without_having_signed_anything(add):
    assert add().consent is None


def test_a_patient_sends_so_many_in_a_day_and_more_tomorrow(add, files):
    for _ in range(MOST_IN_A_DAY):
        add()

    with pytest.raises(EnoughForToday):
        add()

    assert len(files()) == 2 * MOST_IN_A_DAY
    tomorrow = NOW + timedelta(days=1)
    add(at=tomorrow, taken_on=tomorrow.date())


@pytest.mark.parametrize("day", [TODAY + timedelta(days=1), date(1988, 5, 13)])
def test_no_photo_is_taken_tomorrow_or_before_its_patient_was_born(add, day, files):
    with pytest.raises(DateNotPossible):
        add(taken_on=day)

    assert files() == []


def test_the_same_form_twice_is_one_photo(add, files):
    key = uuid.uuid4()

    assert add(form_key=key) == add(form_key=key)
    assert len(files()) == 2


# --- nothing half -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", noisy(3000), saved()[:500], saved(drawn(mode="P"), "GIF")])
def test_a_refused_file_leaves_nothing(add, data, files):
    with pytest.raises(PictureRefused):
        add(data=data)

    assert (Photo.objects.count(), files()) == (0, [])


def test_when_the_trail_cannot_be_written_neither_row_nor_file_stays(add, files, monkeypatch):
    def broken(**given):
        raise DatabaseError("the trail is away")

    monkeypatch.setattr(actions, "record", broken)

    with pytest.raises(DatabaseError):
        add()

    assert (Photo.objects.count(), files()) == (0, [])


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_a_disk_that_fills_up_leaves_nothing_and_says_so(add, files, monkeypatch, fails_at):
    calls = []
    sync = os.fsync

    def full(handle):
        calls.append(handle)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(NotStored) as refused:
        add()

    assert "nothing was saved" in refused.value.for_people
    assert (Photo.objects.count(), files()) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_inside_somebody_elses_transaction_nothing_is_added(add, files):
    with pytest.raises(RuntimeError), transaction.atomic():
        add()

    assert (Photo.objects.count(), files()) == (0, [])


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_one_form_sent_eight_times_at_once_is_one_photo_with_its_two_files(add, files):
    key, barrier, found = uuid.uuid4(), threading.Barrier(8), []
    data = saved(drawn(320, 240))

    def send():
        barrier.wait()
        try:
            found.append(add(form_key=key, data=data).ref)
        finally:
            connection.close()

    senders = [threading.Thread(target=send) for _ in range(8)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()

    photo = Photo.objects.get()
    assert found == [photo.ref] * 8
    assert files() == [f"{photo.ref.hex}.jpg", f"{photo.ref.hex}.small.jpg"]


# --- leaving the record -----------------------------------------------------------------------------------------------


def test_a_struck_photo_is_shown_no_more_and_its_reason_and_file_stay(add, ana, bo, files):
    photo = strike_photo(photo=add(), reason=" Another patient. ", by=actor(bo), at=NOW)

    assert (photo.status, photo.ended_reason, photo.ended_by) == ("struck", "Another patient.", "Bo Lindqvist")
    assert (shelf_of(ana).count, shelf_of(ana).ended) == (0, [photo])
    assert len(files()) == 2
    assert AuditEvent.objects.get(action="photo.struck").detail["reason"] == "Another patient."


def test_striking_needs_a_reason_and_happens_once(add, bo):
    photo = add()

    with pytest.raises(StrikeReasonMissing):
        strike_photo(photo=photo, reason="  ", by=actor(bo), at=NOW)

    strike_photo(photo=photo, reason="Blurred.", by=actor(bo), at=NOW)
    with pytest.raises(IllegalMove):
        strike_photo(photo=photo, reason="Again.", by=actor(bo), at=NOW)


@pytest.mark.django_db(transaction=True)
def test_a_photo_nobody_looked_at_can_be_taken_back_files_and_all(add, ana, files):
    photo = add()

    take_back_photo(photo=photo, by=Actor.patient(ana.ref, ana.full_name), at=NOW)

    assert files() == []
    assert Photo.objects.get().status == "taken_back"
    assert has_photos([ana.pk]) == set()


def test_a_photo_somebody_looked_at_stays(add, ana, bo, files):
    photo = add()
    look_at(photo, bo)

    with pytest.raises(LookedAtAlready):
        take_back_photo(photo=photo, by=Actor.patient(ana.ref, ana.full_name), at=NOW)

    assert len(files()) == 2


def test_the_patients_own_look_is_no_look_of_the_clinic(add, ana, bo):
    mine, other = add(), add()
    with transaction.atomic():
        actions.record(action=VIEWED, subject=mine, by=Actor.patient(ana.ref, ana.full_name), at=NOW)
    look_at(other, bo)

    assert looked_at([mine, other]) == {other.ref}


def test_a_photo_of_the_clinic_is_not_the_patients_to_take_back(add, agreed, ana):
    with pytest.raises(LookedAtAlready):
        take_back_photo(photo=add(source="staff"), by=Actor.patient(ana.ref, ana.full_name), at=NOW)


# --- what the database refuses ----------------------------------------------------------------------------------------


def test_the_database_refuses_to_delete_a_photo(add):
    photo = add()

    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        photo.delete()


@pytest.mark.parametrize(
    ("column", "value"),
    [("angle", "close_up"), ("taken_on", date(2026, 1, 1)), ("sha256", "0" * 64), ("added_by", "Nobody")],
)
def test_the_database_refuses_to_rewrite_a_photo(add, column, value):
    photo = add()

    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Photo.objects.filter(pk=photo.pk).update(**{column: value})


def test_the_database_refuses_to_bring_a_struck_photo_back(add, bo):
    photo = strike_photo(photo=add(), reason="Blurred.", by=actor(bo), at=NOW)

    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Photo.objects.filter(pk=photo.pk).update(status="kept", ended_at=None, ended_reason="", ended_by="")


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"source": "staff"}, "photo_by_staff_names_its_consent"),
        ({"sha256": "x"}, "photo_is_pinned_to_its_file"),
        ({"status": "struck"}, "photo_ended_says_when_why_and_who"),
    ],
)
def test_the_database_refuses_a_photo_that_cannot_be(ana, face, changes, constraint):
    facts = {"source": "patient", "sha256": "0" * 64, "width": 1, "height": 1, "added_at": NOW, "added_by": "Ana"}
    photo = Photo(patient=ana, area=face, angle="frontal", taken_on=TODAY, **{**facts, **changes})

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        photo.save()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_whose_photos_we_have_is_one_question(add, ana, location, django_assert_num_queries):
    eli = make_patient(location, "Eli")
    add()

    with django_assert_num_queries(1):
        assert has_photos([ana.pk, eli.pk]) == {ana.pk}


def test_an_altered_or_missing_file_is_found_and_not_shown(add, settings):
    whole, altered, missing = add(), add(), add()
    (settings.MEDIA_ROOT / altered.file).write_bytes(saved(drawn(100, 100)))
    (settings.MEDIA_ROOT / missing.file).unlink()
    stray = settings.MEDIA_ROOT / file_name(uuid.uuid4())
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left by a power cut")

    found = check_files(NOW + timedelta(days=3650))

    assert (found.photos, found.altered, found.missing) == (3, [altered.file], [missing.file])
    assert found.strays == [stray.relative_to(settings.MEDIA_ROOT).as_posix()]
    assert picture_of(whole)
    for each in (altered, missing):
        with pytest.raises(PhotoDamaged):
            picture_of(each)


def test_a_file_of_an_act_that_has_not_committed_yet_is_no_stray(settings, db):
    young = settings.MEDIA_ROOT / file_name(uuid.uuid4())
    young.parent.mkdir(parents=True)
    young.write_bytes(b"being added")
    at = NOW.fromtimestamp(young.stat().st_mtime, tz=NOW.tzinfo)

    assert check_files(at + timedelta(minutes=5)).strays == []
    assert len(check_files(at + timedelta(hours=2)).strays) == 1
