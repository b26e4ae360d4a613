"""The questionnaire: every key of the clinical list, skip logic, groups, answers and the skin-type score."""

from datetime import date

import pytest

from clinic.packfile import PackError
from patients.candidacy.queries import QUESTIONNAIRE_FILE, shipped_questionnaire
from patients.intake.pack import load_questionnaire
from patients.intake.questionnaire import AnswerRefused
from patients.intake.rules import check_value, clean_answer
from tests.factories.answers import NEUTRAL

Q = shipped_questionnaire()
TODAY = date(2026, 6, 1)

# key: type, who, critical *, expires ^, options
CONTRACT = """
age_years int PS * -
modality enum S * - afl_co2 afl_eryag nafl_1410 nafl_1440 nafl_1540 nafl_1550 nafl_1927 pico_755 full
reference_date date system * -
concerns multi P * - fine_lines wrinkles acne_scars surgical_scars burn_scars stretch_marks sun_damage age_spots \
uneven_tone texture pores laxity melasma other
treatment_areas multi PS * - full_face forehead periorbital perioral cheeks nose neck chest hands arms abdomen legs \
back other
expectation enum P - - improvement complete_removal unsure
event_date date P - -
appearance_preoccupied bool P - -
appearance_hours enum P - - lt1 1to3 gt3
appearance_impact enum P - - none some severe
fst_confirmed enum C * - 1 2 3 4 5 6
sun_exposure_last date PS - ^
tan_present enum PS - ^ none tanned sunburned
self_tanner_last date P - ^
can_avoid_sun bool P - -
can_follow_aftercare bool PS - -
active_acne enum PC * - none mild inflammatory nodulocystic
eczema enum PC * - none past active_elsewhere active_in_area
psoriasis enum PC - - none past active_elsewhere active_in_area
vitiligo enum PC - - none stable_12m active
rosacea enum P - - none controlled flaring
melasma enum PC - - none past current
pih_history bool P - -
cold_sores enum P * - never yes
cold_sore_active bool PS * ^
infection_area enum PC * ^ none bacterial viral fungal
open_wound_area bool PS - ^
scar_tendency enum PC * - none family_keloid hypertrophic keloid
changing_lesion bool PC * -
skin_cancer enum P - - none nmsc melanoma
precancer_ak enum PC - - none suspected diagnosed
tattoo_area bool PS - -
ctd enum P - - none lupus scleroderma dermatomyositis other
photosensitive_disorder bool P - -
pregnancy enum P * ^ no possible yes not_applicable
pregnancy_due date P - -
breastfeeding bool P - ^
immunosuppression enum P * - none medicine condition
diabetes enum P - - none controlled uncontrolled
poor_healing bool P - -
bleeding_disorder bool P - -
epilepsy enum P - - none controlled uncontrolled_or_light_triggered
cardiac_device bool P - -
radiotherapy_area bool P * -
eye_history multi PC - - ectropion_or_lid_laxity lower_blepharoplasty severe_dry_eye eye_surgery_6m
lidocaine_risk multi PC - - allergy_la liver heart_rhythm seizure low_weight interacting_medicine
allergies multi P - - latex adhesive antibiotic antiviral other
smoking enum P - - never ex current vape
unwell_today bool PS - ^
laser_reaction bool P - -
isotretinoin enum P * - never current stopped
isotretinoin_last date P - -
topical_retinoid_last date P - ^
exfoliant_last date P - ^
photosensitisers multi P - ^ tetracycline minocycline amiodarone st_johns_wort thiazide fluoroquinolone pdt_agent other
anticoagulants multi P - ^ aspirin clopidogrel warfarin doac nsaid supplement
gold_ever bool P * -
silver enum P - - none silver_dressings argyria
hydroquinone bool P - -
filler_last date P - -
filler_type enum P - - ha biostimulatory permanent unknown
toxin_last date P - -
peel_last date P - -
peel_depth enum P - - superficial medium_deep
laser_last date PS - -
laser_last_kind enum PS - - afl nafl pico other
wax_last date P - -
needling_last date P - -
surgery_last date P - -
escort_home bool PS - -
"""


@pytest.mark.parametrize("line", CONTRACT.strip().splitlines())
def test_every_key_of_the_clinical_list_is_asked_as_listed(line):
    key, kind, who, critical, expires, *options = line.split()
    question = Q.question(key)

    assert (question.type, question.critical, question.expires) == (kind, critical == "*", expires == "^")
    assert question.who == ({who} if who == "system" else set(who))
    assert [option.key for option in question.options] == options
    assert question.label.endswith("?") or not question.by_patient
    assert question.why


def test_there_is_no_other_question_but_the_score_and_the_name_of_an_allergy():
    listed = {line.split()[0] for line in CONTRACT.strip().splitlines()}

    assert set(Q.by_key) - listed == {*(f"fst_q{n}" for n in range(1, 9)), "allergies_text"}


def test_a_phone_screen_asks_little_and_every_question_has_its_screen():
    everything = Q.groups(NEUTRAL | {"fst_confirmed": None})

    assert all(1 <= len(group.questions) <= 4 for group in everything)
    assert {q.key for group in everything for q in group.questions} == {
        q.key for q in Q.visible(NEUTRAL | {"fst_confirmed": None}, "P")
    }
    assert {q.key for group in Q.groups({}, "C") for q in group.questions} >= {"fst_confirmed", "eczema"}


@pytest.mark.parametrize(
    ("answers", "child", "shown", "frozen"),
    [
        ({"pregnancy": "yes"}, "pregnancy_due", True, None),
        ({"pregnancy": "no"}, "pregnancy_due", False, "not_applicable"),
        ({"pregnancy": "not_sure"}, "pregnancy_due", False, None),
        ({}, "pregnancy_due", False, None),
        ({"isotretinoin": "stopped"}, "isotretinoin_last", True, None),
        ({"isotretinoin": "current"}, "isotretinoin_last", False, "not_applicable"),
        ({"laser_last": "2025-01-01"}, "laser_last_kind", True, None),
        ({"laser_last": "never"}, "laser_last_kind", False, "not_applicable"),
        ({"appearance_preoccupied": True}, "appearance_hours", True, None),
        ({"appearance_preoccupied": False}, "appearance_hours", False, "not_applicable"),
        ({"allergies": ["other"]}, "allergies_text", True, None),
        ({"allergies": []}, "allergies_text", False, "not_applicable"),
        ({}, "fst_q1", True, None),
        ({"fst_confirmed": "3"}, "fst_q1", False, "not_applicable"),
        ({"fst_confirmed": "3", "fst_q1": 2}, "fst_q1", False, 2),
    ],
)
def test_skip_logic_shows_hides_and_leaves_open(answers, child, shown, frozen):
    assert (child in {question.key for question in Q.visible(answers)}) is shown
    assert Q.with_not_applicable(answers).get(child) == frozen


def test_a_stale_answer_behind_skip_logic_is_frozen_as_not_applicable():
    frozen = Q.with_not_applicable({"pregnancy": "no", "pregnancy_due": "2026-09-01"})

    assert frozen["pregnancy_due"] == "not_applicable"


def test_next_group_walks_forward_and_comes_back_for_what_was_left_open():
    first = Q.next_group({})
    assert first.key == "concerns"
    assert Q.next_group({"concerns": ["pores"]}).key == "areas"

    done = NEUTRAL | {"fst_confirmed": None}
    del done["smoking"]
    assert Q.next_group(done, after="aftercare").key == "smoking"
    assert Q.next_group(NEUTRAL) is None


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("eczema", "past", "past"),
        ("eczema", "not_sure", "not_sure"),
        ("eczema", "prefer_not_to_say", "prefer_not_to_say"),
        ("pregnancy", "not_applicable", "not_applicable"),
        ("breastfeeding", "not_applicable", "not_applicable"),
        ("gold_ever", "true", True),
        ("gold_ever", "no", False),
        ("age_years", " 42 ", 42),
        ("fst_q1", "0", 0),
        ("fst_confirmed", 4, "4"),
        ("concerns", ["texture", "pores"], ["texture", "pores"]),
        ("eye_history", ["none_of_these"], []),
        ("eye_history", "severe_dry_eye", ["severe_dry_eye"]),
        ("eye_history", ["not_sure"], "not_sure"),
        ("wax_last", "2026-05-01", "2026-05-01"),
        ("wax_last", "never", "never"),
        ("topical_retinoid_last", "still_using", "2026-06-01"),
        ("event_date", "2026-09-01", "2026-09-01"),
        ("allergies_text", "penicillin, a rash", "penicillin, a rash"),
    ],
)
def test_what_a_person_gives_becomes_the_stored_value(key, raw, value):
    cleaned = clean_answer(Q.question(key), raw, today=TODAY)

    assert cleaned == value
    assert type(cleaned) is type(value)


@pytest.mark.parametrize(
    ("key", "raw", "sentence"),
    [
        ("eczema", "", "Please choose an answer."),
        ("eczema", None, "Please choose an answer."),
        ("eczema", "sometimes", "Please choose one of: none, past, active_elsewhere, active_in_area."),
        ("eczema", "not_applicable", "Please choose one of the answers shown."),
        ("fst_confirmed", "not_sure", "Please choose one of the answers shown."),
        ("event_date", "not_sure", "Please choose one of the answers shown."),
        ("gold_ever", "maybe", "Please answer yes or no (true or false)."),
        ("age_years", "forty", "Please give a whole number, for example 4."),
        ("age_years", "200", "Please give a whole number from 0 to 130."),
        ("concerns", [], "Please choose an answer."),
        ("treatment_areas", ["none_of_these"], "Please choose at least one."),
        ("eye_history", ["none_of_these", "severe_dry_eye"],
         "You chose “None of these” together with something else. Keep one."),
        ("eye_history", ["not_sure", "severe_dry_eye"],
         "You chose “not sure” together with something else. Keep one."),
        ("wax_last", "1.5.2026", "Please give a date as year-month-day, for example 2026-03-31."),
        ("wax_last", "2026-06-02", "This date is in the future. Please check the year."),
        ("wax_last", "1026-05-01", "Please give a date as year-month-day, for example 2026-03-31."),
        ("isotretinoin_last", "never", "Please give a date, or choose “I am not sure”."),
        ("allergies_text", "x" * 501, "Please keep this to 500 characters."),
    ],
)  # fmt: skip
def test_bad_input_is_answered_with_a_sentence(key, raw, sentence):
    with pytest.raises(AnswerRefused) as refused:
        clean_answer(Q.question(key), raw, today=TODAY)

    assert (refused.value.field, refused.value.for_people) == (key, sentence)


@pytest.mark.parametrize(
    ("total", "suggested", "band"),
    [
        (0, "I", "I"), (6, "I", "I"), (7, "II", "II"), (12, "II", "II"), (13, "III", "III"), (17, "III", "III"),
        (18, "III", "IV-VI"), (19, "IV", "IV-VI"), (24, "IV", "IV-VI"), (25, "V", "IV-VI"), (26, "V", "IV-VI"),
        (30, "V", "IV-VI"), (31, "VI", "IV-VI"), (32, "VI", "IV-VI"),
    ],
)  # fmt: skip
def test_the_eight_item_score(total, suggested, band):
    answers = {f"fst_q{n}": min(4, max(0, total - 4 * (n - 1))) for n in range(1, 9)}

    score = Q.skin_score(answers)

    assert (score.total, score.suggested, score.band, score.instrument) == (total, suggested, band, "fst8-1")


def test_the_score_waits_for_all_eight_items():
    score = Q.skin_score({"fst_q1": 4, "fst_q2": "not_sure"})

    assert (score.total, score.band) == (None, "")


def test_labels_read_as_the_person_saw_them():
    def label(key, value):
        return Q.question(key).label_of(value)

    assert [
        label("eczema", "past"), label("gold_ever", True), label("eye_history", []), label("wax_last", "never"),
        label("eczema", "not_sure"), label("fst_q1", 0), label("concerns", ["pores", "texture"]),
        label("pregnancy", "not_applicable"), label("wax_last", "2026-05-01"),
    ] == [
        "In the past", "Yes", "None of these", "Never", "I am not sure", "Light blue, light grey or light green",
        "Large pores, Rough or uneven skin", "Does not apply to me", "2026-05-01",
    ]  # fmt: skip


def test_an_amended_text_is_another_version_with_its_own_hash():
    text = QUESTIONNAIRE_FILE.read_text(encoding="utf-8")
    changed = load_questionnaire(text.replace("Large pores", "Big pores"), "intake.toml", version=2)

    assert (Q.version, changed.version) == (1, 2)
    assert changed.sha256 != Q.sha256


@pytest.mark.parametrize(
    ("old", "new", "item", "sentence"),
    [
        ('key = "eczema"\n', 'key = "psoriasis"\n', "psoriasis", "twice"),
        ('type = "bool"', 'type = "yesno"', "breastfeeding", "not a known type"),
        ('in = ["stopped"]', 'in = ["quit"]', "isotretinoin_last", "no option"),
        ('question = "pregnancy", in', 'question = "pregnant", in', "pregnancy_due", "no question"),
        ('group = "concerns"', 'group = "wishes"', "concerns", "not a known group"),
        ("starts = [0, 7, 13", "starts = [0, 13, 7", "skin_type", "rising"),
        ('never = "Never"\nyes = "Yes"', 'never = "Never"\nnot_sure = "?"', "cold_sores", "offered by the page"),
    ],
)
def test_a_faulty_questionnaire_is_refused_with_its_question(old, new, item, sentence):
    text = QUESTIONNAIRE_FILE.read_text(encoding="utf-8")
    assert old in text

    with pytest.raises(PackError) as refused:
        load_questionnaire(text.replace(old, new, 1), "intake.toml")

    assert refused.value.item == item
    assert sentence in refused.value.sentence


def test_stored_values_are_taken_as_they_are():
    assert check_value(Q.question("concerns"), ["pores"]) == ["pores"]
    assert check_value(Q.question("reference_date"), "2026-06-01") == "2026-06-01"
    with pytest.raises(AnswerRefused):
        check_value(Q.question("reference_date"), "never")
