"""Whose photos we have, in which order they are shown, and whether rows and files still fit together."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic.audit.models import AuditEvent
from clinic.audit.states import ActorKind
from clinic.pictures.files import kept_under, read
from patients.consent.models import Consent
from patients.consent.states import ConsentScope
from patients.photos.models import Photo
from patients.photos.rules import FOLDER, digest, file_name, thumbnail_name
from patients.photos.states import PhotoStatus, Source
from patients.registry.models import Patient

VIEWED = "photo.viewed"
# A file younger than this may belong to an act that has not committed yet.
SETTLED = timedelta(hours=1)


class PhotoDamaged(Exception):
    """The file is gone, or is not the one that was stored."""


@dataclass(frozen=True)
class Shelf:
    """A patient's photos as pages show them: kept ones by area, the newest first; apart, what no longer counts."""

    areas: list[tuple[str, list[Photo]]]
    ended: list[Photo]

    @property
    def count(self) -> int:
        return sum(len(photos) for _, photos in self.areas)


@dataclass(frozen=True)
class Check:
    """What comparing every row with its files found."""

    photos: int
    missing: list[str]
    altered: list[str]
    strays: list[str]

    @property
    def is_well(self) -> bool:
        return not (self.missing or self.altered or self.strays)


def has_photos(patients: Iterable[int]) -> set[int]:
    """Return which of these patients (by key) we have photos of, in one query."""
    return set(Photo.objects.kept().filter(patient__in=list(patients)).values_list("patient_id", flat=True))


def shelf_of(patient: Patient) -> Shelf:
    """Return the patient's photos by area, in the catalogue's order."""
    found = list(patient.photos.select_related("area").order_by("area__position", "area_id", "-taken_on", "-id"))
    areas: dict[str, list[Photo]] = {}
    for photo in found:
        if photo.is_kept:
            areas.setdefault(photo.area.label, []).append(photo)
    return Shelf(list(areas.items()), [photo for photo in found if not photo.is_kept])


def sent_by_patient(patient: Patient) -> list[Photo]:
    """Return what the patient sent and did not take back, the newest first."""
    return list(patient.photos.kept().filter(source=Source.PATIENT).select_related("area").order_by("-id"))


def photo_consent(patient: Patient) -> Consent | None:
    """Return the consent to photos for the record that is in force, None if there is none."""
    return patient.consents.in_force().filter(scope=ConsentScope.RECORD_PHOTOS).first()


def photo_consent_asked(patient: Patient) -> Consent | None:
    """Return the consent to photos that still waits for the patient's signature."""
    return patient.consents.open().filter(scope=ConsentScope.RECORD_PHOTOS, signed_at=None).first()


def looked_at(photos: Iterable[Photo]) -> set[uuid.UUID]:
    """Return the refs of those that somebody at the clinic has seen: the trail of looks says so."""
    refs = {str(photo.ref) for photo in photos}
    seen = AuditEvent.objects.filter(
        subject_type="photo", subject_id__in=refs, action=VIEWED, actor_kind=ActorKind.STAFF
    )
    return {uuid.UUID(ref) for ref in seen.values_list("subject_id", flat=True).distinct()}


def picture_of(photo: Photo) -> bytes:
    """Return the large picture, if it is the one that was stored. Raises PhotoDamaged."""
    try:
        data = read(photo.file)
    except FileNotFoundError:
        raise PhotoDamaged from None
    if digest(data) != photo.sha256:
        raise PhotoDamaged
    return data


def thumbnail_of(photo: Photo) -> bytes:
    """Return the small picture. Raises PhotoDamaged."""
    try:
        return read(photo.thumbnail)
    except FileNotFoundError:
        raise PhotoDamaged from None


def same_view(photo: Photo) -> list[Photo]:
    """Return the patient's kept photos of the same area from the same side, the oldest first: what lines up with it."""
    return list(
        Photo.objects.kept()
        .filter(patient=photo.patient_id, area=photo.area_id, angle=photo.angle)
        .order_by("taken_on", "id")
    )


def check_files(at: datetime) -> Check:
    """Compare every row with its files, and every file with its row."""
    missing, altered = [], []
    count, expected = 0, set[str]()
    for ref, sha256 in _rows():
        count += 1
        expected |= {file_name(ref), thumbnail_name(ref)}
        try:
            if digest(read(file_name(ref))) != sha256:
                altered.append(file_name(ref))
            read(thumbnail_name(ref))
        except FileNotFoundError:
            missing.append(file_name(ref))
    old = (at - SETTLED).timestamp()
    strays = [name for name, age in kept_under(FOLDER) if name not in expected and age < old]
    return Check(count, missing, altered, strays)


def _rows() -> Iterator[tuple[uuid.UUID, str]]:
    # A photo that its sender took back has no file any more.
    yield from Photo.objects.exclude(status=PhotoStatus.TAKEN_BACK).values_list("ref", "sha256").iterator()
