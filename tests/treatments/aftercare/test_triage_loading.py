from pathlib import Path

import pytest

import treatments
from clinic.packs.rules import PackError
from treatments.aftercare.rules import parse_triage
from treatments.aftercare.vocabulary import parse_vocabulary

KNOWLEDGE = Path(treatments.__file__).parent / "knowledge"
TEXT = (KNOWLEDGE / "triage" / "triage.toml").read_text()
EVENTS = (KNOWLEDGE / "aftercare" / "adverse_events.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('{ pain_now = ">=7" }', '{ pain = ">=7" }', "not a question"),
        ('{ pain_now = ">=7" }', '{ pain_now = "seven" }', "not an answer"),
        ('{ swelling = "eye_closing" }', '{ swelling = ">=2" }', "no number"),
        ('{ swelling = "eye_closing" }', "{ swelling = true }", "neither a yes-or-no"),
        ('{ swelling = "eye_closing" }', '{ swelling = "huge" }', "not an answer"),
        ('level = "U1"\nwhen = [{ pain_now', 'level = "U9"\nwhen = [{ pain_now', "not a known level"),
        ('history = ["cold_sores"]', 'history = ["rich"]', "not known in history"),
        ('respond = "3 working_days"', 'respond = "soon"', "“respond” must be like"),
        ('respond = "3 working_days"', 'respond = "0 working_days"', "“respond” must be like"),
        ('source = "section 7: AVRAM B"\n', "", "“source” is missing"),
        ("from_day = 3\nto_day = 6", "from_day = 4\nto_day = 6", "AFL: day 3 has no questions"),
        ("from_day = 3\nto_day = 6", "from_day = 2\nto_day = 6", "AFL: day 2 has no questions, or two"),
        ('["colour", "firm_or_raised", "redness", "mood"]', '["colour", "mood"]', "3 to 6"),
        ('["colour", "firm_or_raised", "redness", "mood"]', '["colour", "colour", "mood"]', "3 to 6"),
        ('when = [{ itch = ">=7" }]', "when = []", "never match"),
        ('id = "T37"', 'id = "T38"', "stands twice"),
        ('[[level]]\nkey = "U2"', '[[level]]\nkey = "U1"', "stands twice"),
    ],
)
def test_a_bad_triage_pack_is_refused_at_its_line(old, new, says):
    assert old in TEXT
    place = TEXT.index(old)

    with pytest.raises(PackError) as refusal:
        parse_triage(TEXT.replace(old, new, 1), "triage.toml")

    assert says in refusal.value.sentence
    if refusal.value.item != "triage":
        assert abs(refusal.value.line - TEXT[:place].count("\n")) < 12


def test_the_vocabulary_is_that_of_the_notes():
    words = parse_vocabulary(EVENTS, "adverse_events.toml")
    keys = {word.key for word in words.events}

    assert {
        "erythema_prolonged", "oedema", "pain_excess", "blister", "burn_1", "burn_2", "burn_3", "crust_excess",
        "hyperpigmentation_pih", "hypopigmentation", "leukoderma_vitiligo", "melasma_aggravation", "hsv_reactivation",
        "eczema_herpeticum", "infection_bacterial", "infection_fungal", "infection_mycobacterial", "acneiform", "milia",
        "folliculitis", "contact_dermatitis", "urticaria", "anaphylaxis", "scar_hypertrophic", "scar_keloid",
        "scar_atrophic", "textural_grid", "ectropion", "corneal_injury", "retinal_injury", "eye_exposure",
        "anaesthetic_toxicity", "vasovagal", "bleeding_excess", "purpura", "chrysiasis", "argyria_darkening",
        "tattoo_reaction", "psych_distress", "dissatisfaction", "device_fault", "wrong_setting", "wrong_area",
        "near_miss",
    } == keys  # fmt: skip
    assert words.event("anaphylaxis").min_grade == 4
    assert words.event("corneal_injury").min_grade == 3
    assert words.close_review_from_grade == 3
    assert {word.group for word in words.events if word.one_click} == {"burns", "colour", "scars"}
    assert all(len(key) <= 40 for key in keys)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("min_grade = 4", "min_grade = 6", "1 to 5"),
        ('id = "milia"', 'id = "acneiform"', "stands twice"),
        ('adverse_from = "any, grade 4"\n', "", "“adverse_from” is missing"),
        ('id = "5"\nlabel', 'id = "7"\nlabel', "not a known id"),
    ],
)
def test_a_bad_vocabulary_is_refused(old, new, says):
    assert old in EVENTS
    with pytest.raises(PackError, match=says):
        parse_vocabulary(EVENTS.replace(old, new, 1), "adverse_events.toml")
