import pytest

from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.staff.states import Role
from tests.factories.people import make_clinician, make_location


@pytest.fixture
def harley(db):
    return make_location()


@pytest.fixture
def bo(harley):
    """A lead clinician who writes drafts."""
    return make_clinician("Bo Lindqvist", harley, Role.LEAD_CLINICIAN)


@pytest.fixture
def cy(harley):
    """A second lead clinician, who approves."""
    return make_clinician("Cy Amadi", harley, Role.LEAD_CLINICIAN)


@pytest.fixture
def dee(harley):
    """A clinician without a say in the rules."""
    return make_clinician("Dee Okafor", harley, Role.CLINICIAN)


@pytest.fixture
def shipped(db):
    """The candidacy rules that came with Afterglow, in force."""
    return published(PackKind.CANDIDACY, "candidacy")
