import pytest

from clinic.catalogue.models import BodyArea
from patients.consent.actions import sign_consent
from patients.photos.actions import ask_for_photos
from tests.factories.people import NOW, actor, make_clinician, make_location, make_patient


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MFA_COMPULSORY = False


@pytest.fixture
def files(settings):
    """The names of the files that stand on the disk, as a function."""
    return lambda: sorted(path.name for path in settings.MEDIA_ROOT.rglob("*") if path.is_file())


@pytest.fixture
def location(db):
    return make_location()


@pytest.fixture
def ana(location):
    return make_patient(location)


@pytest.fixture
def bo(location):
    return make_clinician(location=location)


@pytest.fixture
def face(db):
    return BodyArea.objects.get(key="full_face")


@pytest.fixture
def agreed(ana, bo):
    """Ana's consent to photos for the record, signed."""
    asked = ask_for_photos(patient=ana, by=actor(bo), at=NOW)
    return sign_consent(
        consent=asked,
        risks_ticked=[risk["key"] for risk in asked.wording.body["risks"]],
        questions="",
        signed_name="Ana Reyes",
        signed_as="patient",
        signature=None,
        by=actor(bo),
        at=NOW,
    )
