"""`manage.py verify_photos` says which files are not what was stored."""

import os
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from clinic.audit.states import Actor
from patients.photos.actions import add_photo
from tests.factories.people import NOW
from tests.factories.pictures import saved


def said(*options):
    out = StringIO()
    call_command("verify_photos", *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def photo(ana, face):
    by = Actor.patient(ana.ref, ana.full_name)
    return add_photo(
        patient=ana, data=saved(), area=face, angle="frontal", taken_on=NOW.date(), source="patient", by=by, at=NOW
    )


def test_all_is_well(photo):
    assert said() == "Photos: 1. Every file is as it was stored.\n"


def test_one_altered_byte_is_found(photo, settings):
    path = settings.MEDIA_ROOT / photo.file
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)

    with pytest.raises(CommandError, match="do not fit"):
        said()


def test_strays_are_removed_when_asked(photo, settings, files):
    stray = settings.MEDIA_ROOT / "photos" / "ab" / "left.jpg"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left")
    os.utime(stray, (0, 0))

    with pytest.raises(CommandError, match="do not fit"):
        said()
    assert "Removed 1" in said("--remove-strays")
    assert len(files()) == 2
