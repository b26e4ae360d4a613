"""Drafting, changing, discarding and publishing a version, by the database and by the acts."""

import hashlib
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from clinic.audit.models import AuditEvent
from clinic.packs import actions
from clinic.packs.actions import approve_and_publish, carry_on_draft, change_draft, discard_draft, draft_from
from clinic.packs.models import RulePack
from clinic.packs.states import (
    DraftOutdated,
    DraftUnchanged,
    MayNotPublish,
    NoDraftAnyMore,
    NotYourDraft,
    SecondPersonNeeded,
    StaleDraft,
)
from clinic.staff.states import Role
from tests.factories.people import NOW, actor, make_location, make_user

LATER = NOW + timedelta(hours=1)


class Broken(Exception):
    pass


@pytest.fixture
def no_trail(monkeypatch):
    """The last write of an act fails."""

    def fail(**_kwargs):
        raise Broken

    def switch():
        monkeypatch.setattr(actions, "record", fail)
        monkeypatch.setattr("clinic.transitions.record", fail)

    return switch


def drafted(pack, by, body=None):
    """An open draft, with a text of its own."""
    draft = draft_from(pack=pack, by=actor(by), at=NOW)
    text = pack.body + "\n# a note\n" if body is None else body
    return change_draft(pack=draft, body=text, shown=draft.sha256, by=actor(by), at=NOW)


# --- draft_from -------------------------------------------------------------------------------------------------------


def test_a_draft_starts_with_the_text_and_the_next_number(shipped, bo):
    draft = draft_from(pack=shipped, by=actor(bo), at=NOW)

    assert (draft.body, draft.sha256, draft.version) == (shipped.body, shipped.sha256, shipped.version + 1)
    assert (draft.status, draft.drafted_by, draft.based_on, draft.is_shipped) == ("draft", bo, shipped, False)
    assert AuditEvent.objects.filter(action="rulepack.drafted", subject_id=str(draft.ref)).count() == 1


@pytest.mark.parametrize("role", [Role.FRONT_DESK, Role.CLINICIAN, Role.MANAGER])
def test_nobody_else_drafts(shipped, harley, role):
    with pytest.raises(MayNotPublish):
        draft_from(pack=shipped, by=actor(make_user("Someone Else", role, location=harley)), at=NOW)


def test_a_second_call_finds_the_same_draft_and_leaves_it(shipped, bo):
    draft = drafted(shipped, bo)

    again = draft_from(pack=shipped, by=actor(bo), at=LATER)

    assert (again.pk, again.sha256) == (draft.pk, draft.sha256)


def test_two_authors_have_a_draft_each(shipped, bo, cy):
    ours = [draft_from(pack=shipped, by=actor(user), at=NOW) for user in (bo, cy)]

    assert [draft.version for draft in ours] == [shipped.version + 1, shipped.version + 2]


def test_nobody_starts_from_the_draft_of_another(shipped, bo, cy):
    with pytest.raises(NoDraftAnyMore):
        draft_from(pack=drafted(shipped, bo), by=actor(cy), at=NOW)


def test_a_draft_that_leaves_no_trail_is_not_made(shipped, bo, no_trail):
    no_trail()

    with pytest.raises(Broken):
        draft_from(pack=shipped, by=actor(bo), at=NOW)

    assert not RulePack.objects.filter(status="draft", drafted_by=bo).exists()


def test_the_database_refuses_a_second_draft_of_one_author(shipped, bo):
    drafted(shipped, bo)

    with pytest.raises(IntegrityError, match="one_draft_per_author"), transaction.atomic():
        RulePack.objects.create(
            kind="candidacy", name="candidacy", version=90, body="", sha256="", created_at=NOW, drafted_by=bo
        )


# --- change_draft -----------------------------------------------------------------------------------------------------


def test_a_change_is_saved_with_its_fingerprint(shipped, bo):
    draft = draft_from(pack=shipped, by=actor(bo), at=NOW)

    changed = change_draft(pack=draft, body="# new\n", shown=draft.sha256, by=actor(bo), at=LATER)

    assert (changed.body, changed.changed_at) == ("# new\n", LATER)
    assert changed.sha256 == hashlib.sha256(b"# new\n").hexdigest()
    assert changed.digest_matches


def test_only_the_author_changes_a_draft(shipped, bo, cy):
    draft = drafted(shipped, bo)

    with pytest.raises(NotYourDraft):
        change_draft(pack=draft, body="# mine\n", shown=draft.sha256, by=actor(cy), at=LATER)


def test_a_text_that_changed_since_it_was_shown_is_not_overwritten(shipped, bo):
    draft = drafted(shipped, bo)
    change_draft(pack=draft, body="# in another window\n", shown=draft.sha256, by=actor(bo), at=NOW)

    with pytest.raises(StaleDraft) as refused:
        change_draft(pack=draft, body="# here\n", shown=draft.sha256, by=actor(bo), at=LATER)

    assert "Bo Lindqvist changed this draft" in refused.value.for_people
    assert RulePack.objects.get(pk=draft.pk).body == "# in another window\n"


def test_the_same_text_again_changes_nothing(shipped, bo):
    draft = drafted(shipped, bo)

    again = change_draft(pack=draft, body=draft.body, shown="an old one", by=actor(bo), at=LATER)

    assert again.changed_at == NOW
    assert AuditEvent.objects.filter(action="rulepack.changed").count() == 1


def test_a_published_version_is_no_draft(shipped, bo):
    with pytest.raises(NoDraftAnyMore):
        change_draft(pack=shipped, body="# x\n", shown=shipped.sha256, by=actor(bo), at=NOW)


def test_a_change_that_leaves_no_trail_is_not_made(shipped, bo, no_trail):
    draft = drafted(shipped, bo)
    no_trail()

    with pytest.raises(Broken):
        change_draft(pack=draft, body="# x\n", shown=draft.sha256, by=actor(bo), at=LATER)

    assert RulePack.objects.get(pk=draft.pk).body == draft.body


# --- discard_draft ----------------------------------------------------------------------------------------------------


def test_a_discarded_draft_is_gone_and_its_fingerprint_stays(shipped, bo):
    draft = drafted(shipped, bo)

    discard_draft(pack=draft, by=actor(bo), at=LATER)

    assert not RulePack.objects.filter(pk=draft.pk).exists()
    assert AuditEvent.objects.get(action="rulepack.discarded").detail["sha256"] == draft.sha256


def test_nobody_discards_the_draft_of_another(shipped, bo, cy):
    with pytest.raises(NotYourDraft):
        discard_draft(pack=drafted(shipped, bo), by=actor(cy), at=LATER)


def test_a_draft_is_discarded_once_and_a_version_in_force_never(shipped, bo):
    draft = drafted(shipped, bo)
    discard_draft(pack=draft, by=actor(bo), at=LATER)

    for pack in (draft, shipped):
        with pytest.raises(NoDraftAnyMore):
            discard_draft(pack=pack, by=actor(bo), at=LATER)


def test_a_draft_whose_end_leaves_no_trail_stays(shipped, bo, no_trail):
    draft = drafted(shipped, bo)
    no_trail()

    with pytest.raises(Broken):
        discard_draft(pack=draft, by=actor(bo), at=LATER)

    assert RulePack.objects.filter(pk=draft.pk).exists()


# --- approve_and_publish ----------------------------------------------------------------------------------------------


def test_a_second_person_puts_a_draft_in_force_and_retires_the_last(shipped, bo, cy):
    draft = drafted(shipped, bo)

    version = approve_and_publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)

    shipped.refresh_from_db()
    assert (version.status, version.drafted_by, version.approved_by) == ("published", bo, cy)
    assert (version.published_at, version.body, version.applied_at) == (LATER, draft.body, None)
    assert shipped.status == "retired"


def test_nobody_approves_what_they_wrote(shipped, bo):
    draft = drafted(shipped, bo)

    with pytest.raises(SecondPersonNeeded):
        approve_and_publish(pack=draft, shown=draft.sha256, by=actor(bo), at=LATER)


def test_the_database_refuses_one_person_alone(shipped, bo):
    draft = drafted(shipped, bo)

    with pytest.raises(IntegrityError, match="pack_approved_by_second_person"), transaction.atomic():
        RulePack.objects.filter(pk=draft.pk).update(approved_by=bo)


def test_the_database_refuses_a_version_that_nobody_approved(shipped, bo):
    draft = drafted(shipped, bo)
    RulePack.objects.filter(pk=shipped.pk).update(status="retired")

    with pytest.raises(IntegrityError, match="pack_published_by_two_people"), transaction.atomic():
        RulePack.objects.filter(pk=draft.pk).update(status="published", published_at=NOW)


def test_a_clinician_does_not_approve(shipped, bo, dee):
    draft = drafted(shipped, bo)

    with pytest.raises(MayNotPublish):
        approve_and_publish(pack=draft, shown=draft.sha256, by=actor(dee), at=LATER)


def test_what_is_approved_is_what_was_read(shipped, bo, cy):
    draft = drafted(shipped, bo)
    change_draft(pack=draft, body="# other\n", shown=draft.sha256, by=actor(bo), at=NOW)

    with pytest.raises(StaleDraft):
        approve_and_publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)


def test_a_draft_that_changes_nothing_is_not_published(shipped, bo, cy):
    draft = draft_from(pack=shipped, by=actor(bo), at=NOW)

    with pytest.raises(DraftUnchanged):
        approve_and_publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)


def test_a_second_approval_finds_no_draft(shipped, bo, cy):
    draft = drafted(shipped, bo)
    approve_and_publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)

    with pytest.raises(NoDraftAnyMore):
        approve_and_publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)


def test_a_version_published_meanwhile_outdates_a_draft_until_its_author_has_looked(shipped, bo, cy):
    late = drafted(shipped, cy, shipped.body + "\n# late\n")
    first = drafted(shipped, bo)
    approve_and_publish(pack=first, shown=first.sha256, by=actor(cy), at=LATER)

    with pytest.raises(DraftOutdated):
        approve_and_publish(pack=late, shown=late.sha256, by=actor(bo), at=LATER)
    carry_on_draft(pack=late, shown=late.sha256, by=actor(cy), at=LATER)
    version = approve_and_publish(pack=late, shown=late.sha256, by=actor(bo), at=LATER)

    assert version.status == "published"
    assert version.version > first.version


def test_a_publication_that_leaves_no_trail_changes_nothing(shipped, bo, cy, no_trail):
    draft = drafted(shipped, bo)
    no_trail()

    with pytest.raises(Broken):
        approve_and_publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)

    statuses = dict(RulePack.objects.filter(pk__in=[draft.pk, shipped.pk]).values_list("pk", "status"))
    assert statuses == {draft.pk: "draft", shipped.pk: "published"}


# --- carry_on_draft ---------------------------------------------------------------------------------------------------


def test_only_the_author_carries_on(shipped, bo, cy):
    draft = drafted(shipped, bo)

    with pytest.raises(NotYourDraft):
        carry_on_draft(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)


def test_carrying_on_a_text_that_changed_is_refused(shipped, bo):
    draft = drafted(shipped, bo)

    with pytest.raises(StaleDraft):
        carry_on_draft(pack=draft, shown=shipped.sha256, by=actor(bo), at=LATER)


def test_carrying_on_that_leaves_no_trail_is_not_done(shipped, bo, no_trail):
    draft = drafted(shipped, bo)
    no_trail()

    with pytest.raises(Broken):
        carry_on_draft(pack=draft, shown=draft.sha256, by=actor(bo), at=LATER)

    assert RulePack.objects.get(pk=draft.pk).changed_at == NOW


# --- what is published stays ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"body": "# x"}, {"sha256": "0" * 64}, {"version": 99}, {"name": "other"}])
def test_the_database_keeps_a_published_text_for_ever(shipped, change):
    with pytest.raises(IntegrityError, match="can never change"), transaction.atomic():
        RulePack.objects.filter(pk=shipped.pk).update(**change)


def test_the_database_never_deletes_a_published_version(shipped):
    with pytest.raises(IntegrityError, match="can never change"), transaction.atomic():
        shipped.delete()


def test_a_retired_text_stays_too(shipped, bo, cy):
    draft = drafted(shipped, bo)
    approve_and_publish(pack=draft, shown=draft.sha256, by=actor(cy), at=LATER)

    with pytest.raises(IntegrityError, match="can never change"), transaction.atomic():
        RulePack.objects.filter(pk=shipped.pk).update(body="# rewritten")


# --- two at once ------------------------------------------------------------------------------------------------------


@pytest.fixture
def raced():
    """A pack of its own, because what a race commits is not rolled back; taken away again afterwards."""
    harley = make_location()
    bo, cy, eve = (
        make_user(name, Role.LEAD_CLINICIAN, location=harley) for name in ("Bo Lindqvist", "Cy Amadi", "Eve Roth")
    )
    fields = {"kind": "consent", "name": "raced", "created_at": NOW}
    base = RulePack.objects.create(
        **fields, version=1, body="a", sha256="a", status="published", is_shipped=True, published_at=NOW
    )
    yield base, bo, cy, eve
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM clinic_rulepack WHERE name = 'raced'")
        cursor.execute("SET session_replication_role = origin")


def together(*acts):
    """Do the acts at the same moment, each in a thread and a connection of its own; return what came of each."""
    gate = threading.Barrier(len(acts))
    came = [None] * len(acts)

    def run(index, act):
        try:
            gate.wait()
            came[index] = act()
        except Exception as error:
            came[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_approvers_of_one_draft_one_publishes(raced):
    base, bo, cy, eve = raced
    draft = drafted(base, bo, "b")

    came = together(
        *(
            lambda who=who: approve_and_publish(pack=draft, shown=draft.sha256, by=actor(who), at=LATER)
            for who in (cy, eve)
        )
    )

    assert {type(each) for each in came} == {RulePack, NoDraftAnyMore}
    assert RulePack.objects.filter(name="raced", status="published").count() == 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_drafts_published_at_once_the_second_is_outdated(raced):
    base, bo, cy, eve = raced
    drafts = [drafted(base, bo, "b"), drafted(base, cy, "c")]

    came = together(
        *(
            lambda draft=draft: approve_and_publish(pack=draft, shown=draft.sha256, by=actor(eve), at=LATER)
            for draft in drafts
        )
    )

    assert {type(each) for each in came} == {RulePack, DraftOutdated}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_taps_on_draft_make_one(raced):
    base, bo, _, _ = raced

    came = together(*[lambda: draft_from(pack=base, by=actor(bo), at=NOW)] * 2)

    assert [type(each) for each in came] == [RulePack, RulePack]
    assert came[0].pk == came[1].pk
