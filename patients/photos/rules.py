"""Names of a photo's files, and when it may have been taken. Pure."""

from __future__ import annotations

import hashlib
import uuid
from datetime import date

from patients.photos.states import DateNotPossible

FOLDER = "photos"
# So many from one patient in a day: six angles, each taken twice.
MOST_IN_A_DAY = 12


def file_name(ref: uuid.UUID) -> str:
    """Return the name of the photo's file: made from its ref alone, never from what the sender called it."""
    return f"{FOLDER}/{ref.hex[:2]}/{ref.hex}.jpg"


def thumbnail_name(ref: uuid.UUID) -> str:
    return f"{FOLDER}/{ref.hex[:2]}/{ref.hex}.small.jpg"


def digest(data: bytes) -> str:
    """Return the sha256 of a file in hex."""
    return hashlib.sha256(data).hexdigest()


def check_taken_on(day: date, *, born_on: date, today: date) -> date:
    """Return the day, if a photo of somebody born then can have been taken on it. Raises DateNotPossible."""
    if not born_on <= day <= today:
        raise DateNotPossible(field="taken_on")
    return day
