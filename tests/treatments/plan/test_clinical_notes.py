"""Pre-care and aftercare, line by line as the clinical notes have them: day, check-in, photo and what must be said."""

import pytest

from treatments.plan.queries import shipped_protocol
from treatments.plan.states import Anchor, StepKind

MODALITIES = {"AFL": "afl_co2", "NAFL": "nafl_1550", "PICO": "pico_755"}

# (group, offset in days, what the step's words must contain). The notes' pre-care table.
PRE_CARE = [
    ("AFL", -60, ["strict sun care", "No sunbeds"]),
    ("AFL", -42, ["no tanning"]),
    ("AFL", -28, ["SPF 30", "pigment cream", "needling"]),
    (
        "AFL",
        -14,
        ["retinoid", "self-tan", "waxing", "filler", "injections", "smoke", "photos", "consent", "hydroquinone"],
    ),
    ("AFL", -7, ["acids, scrubs and benzoyl peroxide", "Moisturise every day", "ointment, gauze", "gentle cleanser"]),
    ("AFL", -7, ["7 to 10 days"]),
    ("AFL", -5, ["Stop the hydroquinone"]),
    ("AFL", -1, ["antiviral", "adult takes you home"]),
    ("NAFL", -28, ["SPF 30", "pigment cream", "no tanning"]),
    ("NAFL", -14, ["retinoid", "no tanning", "hydroquinone"]),
    ("NAFL", -7, ["acids and scrubs", "waxing", "Moisturise every day"]),
    ("NAFL", -1, ["antiviral"]),
    ("PICO", -28, ["no tanning"]),
    ("PICO", -14, ["self-tan"]),
    ("PICO", -7, ["retinoid", "acids", "waxing"]),
    ("PICO", -1, ["antiviral"]),
    *(
        (group, -3, ["cold sore", "infection", "new medicine", "pregnan", "tan", "unwell"])
        for group in ("AFL", "NAFL", "PICO")
    ),
    *(
        (
            group,
            0,
            [
                "no makeup, cream or lotion",
                "buttons at the front",
                "contact lenses",
                "list of your medicines",
                "blood thinners that were prescribed",
                "numbing cream of your own",
            ],
        )
        for group in ("AFL", "NAFL", "PICO")
    ),
]

# (group, offset, is a check-in, asks for a photo, what the step's words must contain). The notes' aftercare tables.
AFTERCARE = [
    ("AFL", "2h", False, False, ["sunburnt feeling", "points of blood", "pale yellow", "every 2 to 3 hours"]),
    ("AFL", "2h", False, False, ["15 minutes every 1 to 2 hours", "24 to 48 hours", "propped up", "Wash your hands"]),
    ("AFL", "2h", False, False, ["must never dry out", "antiviral"]),
    ("AFL", "1d", True, False, ["days 1 and 2", "around the eyes", "twice a day", "surgeon asked you to wait"]),
    ("AFL", "1d", True, False, ["only that recipe", "no makeup and no exercise", "No active creams", "pets"]),
    ("AFL", "2d", False, False, ["Keep the ointment on", "Pain should be falling", "Rising pain is not normal"]),
    ("AFL", "3d", True, False, ["bronze", "gritty", "peel", "Do not pick", "cluster", "lip tingles", "contact us now"]),
    ("AFL", "5d", False, False, ["Peeling and pink", "Itching is common", "no makeup, swimming or sauna"]),
    ("AFL", "7d", True, False, ["your clinician to say that the skin is closed", "moisturiser", "mineral sunscreen"]),
    ("AFL", "7d", True, False, ["makeup (day 7 to 10)", "exercise", "review visit"]),
    ("AFL", "14d", True, False, ["Redness is fading", "grid pattern", "infections show by now"]),
    ("AFL", "28d", True, True, ["pink may stay", "dark marks", "firm or itchy lines", "neck", "after four weeks"]),
    ("AFL", "42d", False, False, ["earliest time for retinoid creams or acids", "clinician agrees"]),
    ("AFL", "90d", True, True, ["light patches"]),
    ("AFL", "180d", True, True, ["light patches", "next", "6 to 12 months"]),
    ("NAFL", "2h", False, False, ["2 to 3 hours", "redness: everyone", "10 minutes every hour", "bland moisturiser"]),
    ("NAFL", "2h", False, False, ["SPF 30", "No hot bath and no exercise"]),
    ("NAFL", "1d", True, False, ["8 in 10", "first morning", "Wash gently", "head raised"]),
    ("NAFL", "2d", False, False, ["Makeup is allowed", "rough and dry", "sandpaper"]),
    ("NAFL", "3d", True, False, ["Flaking", "1 in 4", "bronzed", "No scrubs", "blister", "crust", "pain is rising"]),
    ("NAFL", "7d", True, False, ["finished peeling", "only if your skin feels normal", "Exercise and swim", "closed"]),
    ("NAFL", "14d", False, False, ["strict sun care", "SPF 30", "every day", "look like acne"]),
    ("NAFL", "28d", True, True, ["dark marks", "brown patches", "next session"]),
    ("NAFL", "90d", False, True, ["result"]),
    ("PICO", "2h", False, False, ["6 to 24 hours"]),
    ("PICO", "1d", True, False, ["pink grid", "mild swelling"]),
    ("PICO", "3d", True, False, ["Do not pick"]),
    ("PICO", "14d", False, False, ["SPF 30"]),
    ("PICO", "28d", True, True, ["dark or light marks", "blue-grey"]),
]


def words_of(step):
    return " ".join([step.title, step.what_is_normal, *(line.text for line in step.lines), *step.contact_if])


def offset_of(step):
    return f"{step.offset.minutes // 60}h" if step.offset.minutes else f"{step.offset.days}d"


def care_before(group):
    kinds = {StepKind.PRECARE, StepKind.FITNESS}
    return {step.offset.days: step for step in shipped_protocol(MODALITIES[group]).steps if step.kind in kinds}


def care_after(group):
    kinds = {StepKind.AFTERCARE, StepKind.CHECKIN}
    return {offset_of(step): step for step in shipped_protocol(MODALITIES[group]).steps if step.kind in kinds}


@pytest.mark.parametrize(("group", "offset", "says"), PRE_CARE)
def test_pre_care_says_every_point_of_the_notes(group, offset, says):
    step = care_before(group)[offset]

    assert step.anchor == Anchor.VISIT
    assert [point for point in says if point.casefold() not in words_of(step).casefold()] == []


@pytest.mark.parametrize("group", MODALITIES)
def test_pre_care_has_the_days_of_the_notes_and_no_other(group):
    assert sorted(care_before(group)) == sorted({offset for each, offset, _ in PRE_CARE if each == group})


@pytest.mark.parametrize(("group", "offset", "checkin", "photo", "says"), AFTERCARE)
def test_aftercare_says_every_point_of_the_notes(group, offset, checkin, photo, says):
    step = care_after(group)[offset]

    assert (step.anchor, step.checkin, step.photo) == (Anchor.COMPLETION, checkin, photo)
    assert [point for point in says if point.casefold() not in words_of(step).casefold()] == []


@pytest.mark.parametrize("group", MODALITIES)
def test_aftercare_has_the_times_of_the_notes_and_no_other(group):
    assert list(care_after(group)) == list(dict.fromkeys(offset for each, offset, *_ in AFTERCARE if each == group))


@pytest.mark.parametrize("group", MODALITIES)
def test_every_aftercare_message_says_what_is_normal_what_to_do_and_when_to_contact_us(group):
    assert [step.id for step in care_after(group).values() if not (step.what_is_normal and step.lines)] == []
    assert [step.id for step in care_after(group).values() if not step.contact_if] == []
