"""What a draft would have changed, counted against a screening of each intake by hand; nothing is stored."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic.packs.actions import change_draft, draft_from
from patients.candidacy.models import Flag, Screening
from patients.candidacy.queries import PACK_FILE, engine_answers, shipped_pack, shipped_questionnaire
from patients.candidacy.rules import load_pack, screen
from patients.candidacy.states import Outcome
from patients.workshop.queries import offered_groups, past_intakes, try_pack
from patients.workshop.rules import SetDays, SetEffect, SetText, apply_edits
from patients.workshop.trial import Shift, Trial, gist_of, shift_of
from tests.factories.answers import NEUTRAL
from tests.factories.people import NOW, actor, make_location, make_patient
from tests.factories.screenings import TODAY, ago, make_response

EDITS = [
    SetDays("sun_exposure", {"AFL": 60, "NAFL": 28, "PICO": 28, "FULL": 42}),
    SetText("R06", "off", "The clinic decides by eye."),
    SetEffect("R17", 0, {"AFL": "not_recommended", "NAFL": "info", "PICO": "review", "FULL": "review"}),
    SetText("R05", "patient_text", "Wait until it has healed."),
]
TEXT = PACK_FILE.read_text(encoding="utf-8")
DRAFT = load_pack(apply_edits(TEXT, EDITS), "draft", shipped_questionnaire())
CHANGES = [
    {},
    {"sun_exposure_last": ago(20)},
    {"sun_exposure_last": ago(50)},
    {"cold_sore_active": True},
    {"bleeding_disorder": True},
    {"bleeding_disorder": True, "cold_sore_active": True},
    {"infection_area": "acne"},
    {"bleeding_disorder": "not_sure"},
    {"pregnancy": "yes", "sun_exposure_last": ago(20)},
]


def draft_of(shipped, by, edits=EDITS):
    draft = draft_from(pack=shipped, by=actor(by), at=NOW)
    body = apply_edits(draft.body, edits)
    return change_draft(pack=draft, body=body, shown=draft.sha256, by=actor(by), at=NOW)


def well_formed(changes):
    infection = shipped_questionnaire().by_key["infection_area"].keys - {"none"}
    return changes | ({"infection_area": min(infection)} if "infection_area" in changes else {})


@pytest.fixture
def intakes(harley):
    return [
        make_response(make_patient(harley, "Noa", f"Levi {index}", email=""), **well_formed(changes))
        for index, changes in enumerate(CHANGES)
    ]


def by_hand(responses, modalities):
    """Screen each intake for each laser by both packs, one by one, and say how many would change, and how."""
    found = {}
    for response in responses:
        for group, modality in modalities.items():
            answers = engine_answers(response, modality, TODAY)
            was, now = (screen(answers, pack, modality, TODAY) for pack in (shipped_pack(), DRAFT))
            if (was.outcome, was.earliest_date) != (now.outcome, now.earliest_date):
                found.setdefault(response.pk, []).append((group, was.outcome, now.outcome))
    return found


def test_the_counts_are_those_of_screening_each_by_hand(shipped, bo, intakes):
    trial = try_pack(draft=draft_of(shipped, bo), responses=past_intakes(bo))

    expected = by_hand(intakes, offered_groups(shipped_pack()))
    assert expected
    assert (trial.total, trial.changed) == (len(CHANGES), len(expected))
    assert sum(move.count for move in trial.moves()) == sum(len(moves) for moves in expected.values())
    assert len(trial.rows()) == sum(len(moves) for moves in expected.values())
    assert {row.intake.patient_name for row in trial.rows()} == {
        response.patient.full_name for response in intakes if response.pk in expected
    }


def test_each_laser_of_a_group_gives_the_same_so_one_speaks_for_all(intakes):
    for response in intakes:
        for group in ("AFL", "NAFL"):
            for pack in (shipped_pack(), DRAFT):
                said = {
                    (result.outcome, result.earliest_date)
                    for modality in pack.modalities(group)
                    for result in [screen(engine_answers(response, modality, TODAY), pack, modality, TODAY)]
                }
                assert len(said) == 1


def test_what_gets_milder_comes_first_with_its_rules(shipped, bo, intakes):
    trial = try_pack(draft=draft_of(shipped, bo), responses=past_intakes(bo))

    moves = trial.moves()
    assert moves[0].caution == "less"
    assert [move.caution for move in moves] == sorted((move.caution for move in moves), key=["less", "more", ""].index)
    first = next(
        row for row in trial.rows() if row.shift.before == Outcome.DEFER_UNTIL_DATE and "R06" in row.shift.rules
    )
    assert first.shift.caution == "less"
    # Milder: the cold sore, with and without the bleeding disorder, and bleeding alone where it is now information.
    # Stricter: both sun windows, and bleeding on ablative laser twice.
    assert (trial.milder, trial.stricter) == (3, 4)


def test_a_change_of_wording_changes_nobody(shipped, bo, intakes):
    trial = try_pack(draft=draft_of(shipped, bo, [EDITS[-1]]), responses=past_intakes(bo))

    assert (trial.total, trial.changed, trial.reasons_only, trial.moves()) == (len(CHANGES), 0, 0, [])


def test_another_reason_for_the_same_result_is_counted_apart(shipped, bo, intakes):
    edit = SetText("R57", "off", "Asked in person.")

    trial = try_pack(draft=draft_of(shipped, bo, [edit]), responses=past_intakes(bo))

    # “Not sure” about bleeding: R17 is open and asks for review by itself. The due date of a pregnancy is blank: the
    # pregnancy defers by itself. In both R57 spoke beside them.
    assert (trial.changed, trial.reasons_only, dict(trial.by_rule)) == (0, 2, {"R57": 2})


def test_only_intakes_of_ones_own_patients_are_tried(shipped, bo, intakes):
    make_response(make_patient(make_location("Lisbon", "Europe/Lisbon"), "Uma", "Stranger", email=""))

    assert try_pack(draft=draft_of(shipped, bo), responses=past_intakes(bo)).total == len(CHANGES)


def test_only_answers_in_force_are_tried(shipped, bo, harley):
    patient = make_patient(harley)
    make_response(patient)
    patient.responses.update(status="amended")

    assert try_pack(draft=draft_of(shipped, bo), responses=past_intakes(bo)).total == 0


def test_nothing_is_stored(shipped, bo, intakes):
    draft = draft_of(shipped, bo)
    with CaptureQueriesContext(connection) as queries:
        try_pack(draft=draft, responses=past_intakes(bo))

    assert all(query["sql"].lstrip().upper().startswith(("SELECT", "DECLARE")) for query in queries)
    assert not Screening.objects.exists()
    assert not Flag.objects.exists()


def test_the_number_of_queries_does_not_grow_with_the_intakes(shipped, bo, intakes):
    draft = draft_of(shipped, bo)
    try_pack(draft=draft, responses=past_intakes(bo))

    def count():
        with CaptureQueriesContext(connection) as queries:
            try_pack(draft=draft, responses=past_intakes(bo))
        return len(queries)

    few = count()
    for response in intakes:
        make_response(response.patient)
    assert count() == few


def test_a_laser_that_the_clinic_does_not_use_is_not_tried(db):
    assert "FULL" not in offered_groups(shipped_pack())


def test_a_row_is_listed_only_up_to_the_limit_and_counted_beyond():
    trial = Trial(listed=3)
    shift = Shift(Outcome.ELIGIBLE, Outcome.NEEDS_CLINICIAN_REVIEW, None, None, ("R10",))
    for number in range(10):
        trial.add(number, [("AFL", shift), ("NAFL", None)])

    assert (trial.total, trial.changed, trial.stricter, len(trial.rows())) == (10, 10, 10, 3)
    assert [move.count for move in trial.moves()] == [10]


ANSWERS = st.sampled_from([well_formed(each) for each in CHANGES]).map(lambda changes: NEUTRAL | changes)


@settings(max_examples=40, deadline=None)
@given(answers=ANSWERS, modality=st.sampled_from(["afl_co2", "nafl_1550", "pico_755"]))
def test_no_shift_means_the_same_gist_but_for_the_answers(answers, modality):
    was, now = (screen(answers, pack, modality, TODAY) for pack in (shipped_pack(), DRAFT))

    shift = shift_of(was, now)

    assert (shift is None) == (gist_of(was.as_dict()) == gist_of(now.as_dict()))
    assert shift_of(was, was) is None
    assert shift is None or shift.moves == ((was.outcome, was.earliest_date) != (now.outcome, now.earliest_date))


@pytest.mark.parametrize(
    ("before", "after", "dates", "caution"),
    [
        (Outcome.ELIGIBLE, Outcome.NOT_RECOMMENDED, (None, None), "more"),
        (Outcome.NOT_RECOMMENDED, Outcome.ELIGIBLE, (None, None), "less"),
        (Outcome.DEFER_UNTIL_DATE, Outcome.DEFER_UNTIL_DATE, (TODAY, TODAY + timedelta(1)), "more"),
        (Outcome.DEFER_UNTIL_DATE, Outcome.DEFER_UNTIL_DATE, (TODAY, TODAY - timedelta(1)), "less"),
        (Outcome.DEFER_UNTIL_DATE, Outcome.DEFER_UNTIL_DATE, (TODAY, None), ""),
        (Outcome.ELIGIBLE, Outcome.ELIGIBLE, (None, None), ""),
    ],
)
def test_a_shift_knows_which_way_it_goes(before, after, dates, caution):
    assert Shift(before, after, *dates, ()).caution == caution
