"""Adding photos to the record, striking one, and taking one's own back before anybody looked."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import date, datetime

from django.db import IntegrityError, transaction

from clinic.audit.actions import record
from clinic.audit.states import Actor
from clinic.catalogue.models import BodyArea
from clinic.pictures.files import discard, keep
from clinic.pictures.rules import Picture, clean_picture
from clinic.transitions import lock, move
from patients.consent.actions import ask_consent
from patients.consent.models import Consent
from patients.consent.states import ConsentScope
from patients.photos.models import Photo
from patients.photos.queries import looked_at, photo_consent
from patients.photos.rules import MOST_IN_A_DAY, check_taken_on, digest, file_name, thumbnail_name
from patients.photos.states import (
    Angle,
    EnoughForToday,
    LookedAtAlready,
    NoPhotoConsent,
    PhotoStatus,
    Source,
    StrikeReasonMissing,
)
from patients.registry.models import Patient

REASON_LENGTH = 300


def add_photo(
    *,
    patient: Patient,
    data: bytes,
    area: BodyArea,
    angle: str,
    taken_on: date,
    source: str,
    form_key: uuid.UUID | None = None,
    by: Actor,
    at: datetime,
) -> Photo:
    """The photo is in the patient's record, made anew from its pixels. The same form_key twice is one photo.

    The files are written before the row commits; whatever goes wrong, neither stays. Raises PictureRefused, NotStored,
    NoPhotoConsent for one that the clinic took, EnoughForToday for one that the patient sent, DateNotPossible, and
    RuntimeError inside a transaction: the caller's rollback would leave files without a row.
    """
    if form_key and (known := Photo.objects.filter(form_key=form_key).first()):
        return known
    picture = clean_picture(data, field="photo")
    photo = Photo(
        patient=patient,
        area=area,
        angle=Angle(angle),
        taken_on=taken_on,
        source=Source(source),
        sha256=digest(picture.image),
        width=picture.width,
        height=picture.height,
        form_key=form_key,
        added_at=at,
        added_by=by.name[:200],
    )
    try:
        _keep_files(photo, picture)
        _store(photo, by, at)
    except BaseException as error:
        _discard_files(photo.ref)
        known = Photo.objects.filter(form_key=form_key).first() if form_key else None
        if known is not None and isinstance(error, IntegrityError):
            return known  # the same form arrived twice at the same instant: the other one won
        raise
    return photo


def _keep_files(photo: Photo, picture: Picture) -> None:
    keep(photo.file, picture.image)
    keep(photo.thumbnail, picture.thumbnail)


def _discard_files(ref: uuid.UUID) -> None:
    for name in (file_name(ref), thumbnail_name(ref)):
        with suppress(OSError):
            discard(name)


@transaction.atomic(durable=True)
def _store(photo: Photo, by: Actor, at: datetime) -> None:
    """The row stands, if the patient agreed (clinic) or has not sent too many (patient)."""
    patient = lock(photo.patient)
    today = at.astimezone(patient.location.zone).date()
    check_taken_on(photo.taken_on, born_on=patient.born_on, today=today)
    if photo.source == Source.STAFF:
        photo.consent = photo_consent(patient)
        if photo.consent is None:
            raise NoPhotoConsent
    elif _sent_within_a_day(patient, at) >= MOST_IN_A_DAY:
        raise EnoughForToday
    photo.save(force_insert=True)
    record(
        action="photo.added",
        subject=photo,
        by=by,
        at=at,
        area=photo.area_id,
        angle=photo.angle,
        source=photo.source,
        consent=photo.consent,
        sha256=photo.sha256,
    )


def _sent_within_a_day(patient: Patient, at: datetime) -> int:
    day = at.astimezone(patient.location.zone).date()
    return patient.photos.filter(source=Source.PATIENT, taken_on=day).count()


@transaction.atomic
def strike_photo(*, photo: Photo, reason: str, by: Actor, at: datetime) -> Photo:
    """The photo counts no longer and is shown no more; row, file and reason stay. Raises StrikeReasonMissing."""
    text = reason.strip()[:REASON_LENGTH]
    if not text:
        raise StrikeReasonMissing(field="reason")
    return move(
        photo,
        PhotoStatus.STRUCK,
        by=by,
        at=at,
        reason=text,
        ended_at=at,
        ended_reason=text,
        ended_by=by.name[:200],
    )


@transaction.atomic
def take_back_photo(*, photo: Photo, by: Actor, at: datetime) -> Photo:
    """The patient's own photo is gone, files and all, if nobody at the clinic has looked. Raises LookedAtAlready."""
    fresh = lock(photo)
    if fresh.source != Source.PATIENT or looked_at([fresh]):
        raise LookedAtAlready
    ended = move(
        fresh,
        PhotoStatus.TAKEN_BACK,
        by=by,
        at=at,
        ended_at=at,
        ended_reason="Taken back before anybody looked.",
        ended_by=by.name[:200],
    )
    transaction.on_commit(lambda: _discard_files(ended.ref))
    return ended


def ask_for_photos(*, patient: Patient, by: Actor, at: datetime) -> Consent:
    """The patient is asked to agree to photos for the record. Twice is one question. Raises WordingMissing."""
    return ask_consent(
        patient=patient,
        scope=ConsentScope.RECORD_PHOTOS,
        about=f"patient:{patient.ref}",
        plan={},
        group="",
        by=by,
        at=at,
    )


def remove_strays(*, names: list[str]) -> int:
    """Files that belong to no row are gone: what a power cut between file and row left behind. Returns how many."""
    for name in names:
        discard(name)
    return len(names)
