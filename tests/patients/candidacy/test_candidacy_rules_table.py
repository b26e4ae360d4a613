"""Every rule in every scope, on both sides of every boundary, as the clinical table states it."""

from datetime import date, timedelta

import pytest

from patients.candidacy.queries import shipped_pack
from patients.candidacy.rules import screen
from tests.factories.answers import GROUPS, MODALITIES, NEUTRAL

ON = date(2026, 6, 1)
NR, D, RV, T, I = "not_recommended", "defer", "review", "task", "info"  # noqa: E741  the table's own letters


def ago(days):
    return (ON - timedelta(days=days)).isoformat()


def ahead(days):
    return (ON + timedelta(days=days)).isoformat()


def effects(rule, changes, group):
    """The effects of one rule on the neutral adult with some answers changed."""
    result = screen(NEUTRAL | changes, shipped_pack(), GROUPS[group], ON)
    return {finding.effect.value for finding in result.findings if finding.rule == rule}


def each(afl, nafl, pico, full):
    return dict(zip(GROUPS, (afl, nafl, pico, full), strict=True))


def everywhere(effect):
    return each(effect, effect, effect, effect)


SELF_SCORED = {"fst_confirmed": None, "fst_q1": 4, "fst_q2": 4, "fst_q3": 4}

# rule, changed answers, effect on AFL, NAFL, PICO and FULL (None: silent; a set: several)
TABLE = [
    ("R01", {"age_years": 17}, everywhere(NR)),
    ("R01", {"age_years": 18}, everywhere(None)),
    ("R02", {"pregnancy": "yes"}, everywhere(D)),
    ("R02", {"pregnancy": "no"}, everywhere(None)),
    ("R02", {"pregnancy": "not_applicable"}, everywhere(None)),
    ("R03", {"pregnancy": "possible"}, everywhere(D)),
    ("R03", {"pregnancy": "yes"}, everywhere(None)),
    ("R04", {"breastfeeding": True}, each(D, RV, RV, RV)),
    ("R05", {"infection_area": "bacterial"}, everywhere(D)),
    ("R05", {"infection_area": "viral"}, everywhere(D)),
    ("R05", {"infection_area": "fungal"}, everywhere(D)),
    ("R06", {"cold_sore_active": True}, everywhere(D)),
    ("R07", {}, each(T, None, None, T)),
    ("R07", {"cold_sores": "yes", "treatment_areas": ["perioral"]}, each(T, None, None, T)),
    ("R07", {"cold_sores": "not_sure", "treatment_areas": ["nose"]}, each(T, None, None, T)),
    ("R07", {"treatment_areas": ["hands"]}, everywhere(None)),
    ("R08", {"cold_sores": "yes"}, each(None, T, T, None)),
    ("R08", {"cold_sores": "yes", "treatment_areas": ["hands"]}, each(None, T, T, None)),
    ("R08", {"cold_sores": "never"}, everywhere(None)),
    ("R09", {"open_wound_area": True}, everywhere(D)),
    ("R09", {"tan_present": "sunburned"}, everywhere(D)),
    ("R09", {"tan_present": "tanned"}, everywhere(None)),
    ("R10", {"sun_exposure_last": ago(13)}, each(D, D, D, RV)),
    ("R10", {"sun_exposure_last": ago(14)}, each(D, None, D, RV)),
    ("R10", {"sun_exposure_last": ago(27)}, each(D, None, D, RV)),
    ("R10", {"sun_exposure_last": ago(28)}, each(D, None, None, RV)),
    ("R10", {"sun_exposure_last": ago(41)}, each(D, None, None, RV)),
    ("R10", {"sun_exposure_last": ago(42)}, everywhere(None)),
    ("R10", {"sun_exposure_last": ago(27), "fst_confirmed": "4"}, each(D, D, D, RV)),
    ("R10", {"sun_exposure_last": ago(28), "fst_confirmed": "6"}, each(D, None, None, RV)),
    ("R10", {"sun_exposure_last": ago(27), "fst_confirmed": "3"}, each(D, None, D, RV)),
    # Dark skin by the self-score alone, 18 and 17 points, and against a clinician who saw type II.
    ("R10", {"sun_exposure_last": ago(27), **SELF_SCORED, "fst_q4": 2}, each(D, D, D, RV)),
    ("R10", {"sun_exposure_last": ago(28), **SELF_SCORED, "fst_q4": 2}, each(D, None, None, RV)),
    ("R10", {"sun_exposure_last": ago(27), **SELF_SCORED, "fst_q4": 1}, each(D, None, D, RV)),
    ("R10", {"sun_exposure_last": ago(27), **SELF_SCORED, "fst_q4": 2, "fst_confirmed": "2"}, each(D, None, D, RV)),
    ("R10", {"tan_present": "tanned"}, each(D, D, D, RV)),
    ("R10", {"tan_present": "tanned", "sun_exposure_last": ago(60)}, everywhere(None)),
    ("R11", {"self_tanner_last": ago(13)}, each(I, I, D, I)),
    ("R11", {"self_tanner_last": ago(14)}, everywhere(None)),
    ("R12", {"isotretinoin": "current"}, each(None, None, None, D)),
    ("R12", {"isotretinoin": "stopped", "isotretinoin_last": ago(182)}, each(None, None, None, D)),
    ("R12", {"isotretinoin": "stopped", "isotretinoin_last": ago(183)}, everywhere(None)),
    ("R13", {"isotretinoin": "current"}, each(RV, None, None, None)),
    ("R13", {"isotretinoin": "stopped", "isotretinoin_last": ago(182)}, each(RV, None, None, None)),
    ("R13", {"isotretinoin": "stopped", "isotretinoin_last": ago(183)}, everywhere(None)),
    ("R14", {"isotretinoin": "current"}, each(None, I, I, None)),
    ("R14", {"isotretinoin": "stopped", "isotretinoin_last": ago(182)}, each(None, I, I, None)),
    ("R14", {"isotretinoin": "stopped", "isotretinoin_last": ago(183)}, everywhere(None)),
    ("R15", {"photosensitisers": ["pdt_agent"]}, everywhere(D)),
    ("R15", {"photosensitisers": ["minocycline"]}, everywhere(RV)),
    ("R15", {"photosensitisers": ["amiodarone"]}, everywhere(RV)),
    ("R15", {"photosensitisers": ["st_johns_wort"]}, everywhere(RV)),
    ("R15", {"photosensitisers": ["tetracycline"]}, everywhere(I)),
    ("R15", {"photosensitisers": ["thiazide", "fluoroquinolone", "other"]}, everywhere(I)),
    ("R15", {"photosensitisers": ["thiazide", "minocycline"]}, everywhere(RV)),
    ("R15", {"photosensitisers": ["pdt_agent", "minocycline"]}, everywhere(D)),
    ("R16", {"anticoagulants": ["aspirin"]}, each(RV, I, I, RV)),
    ("R16", {"anticoagulants": ["clopidogrel"]}, each(RV, I, I, RV)),
    ("R16", {"anticoagulants": ["warfarin"]}, each(RV, I, I, RV)),
    ("R16", {"anticoagulants": ["doac", "nsaid"]}, each(RV, I, I, RV)),
    ("R16", {"anticoagulants": ["nsaid"]}, everywhere(I)),
    ("R16", {"anticoagulants": ["supplement"]}, everywhere(I)),
    ("R17", {"bleeding_disorder": True}, everywhere(RV)),
    ("R18", {"gold_ever": True}, each(RV, RV, NR, RV)),
    ("R19", {"silver": "argyria"}, everywhere(NR)),
    ("R19", {"silver": "silver_dressings"}, everywhere(RV)),
    ("R20", {"scar_tendency": "keloid"}, each(NR, RV, RV, RV)),
    ("R20", {"scar_tendency": "hypertrophic"}, everywhere(None)),
    ("R21", {"scar_tendency": "hypertrophic"}, everywhere(RV)),
    ("R21", {"scar_tendency": "family_keloid"}, each(RV, I, I, RV)),
    ("R21", {"scar_tendency": "keloid"}, everywhere(None)),
    ("R22", {"radiotherapy_area": True}, each(NR, RV, RV, RV)),
    ("R23", {"vitiligo": "active"}, each(NR, RV, RV, RV)),
    ("R23", {"vitiligo": "stable_12m"}, everywhere(RV)),
    ("R24", {"psoriasis": "active_in_area"}, everywhere(D)),
    ("R24", {"psoriasis": "active_elsewhere"}, everywhere(RV)),
    ("R24", {"psoriasis": "past"}, each(RV, I, I, RV)),
    ("R25", {"eczema": "active_in_area"}, everywhere(D)),
    ("R25", {"eczema": "active_elsewhere"}, everywhere(RV)),
    ("R25", {"eczema": "past"}, everywhere(I)),
    ("R26", {"eczema": "past", "cold_sores": "yes"}, everywhere(RV)),
    ("R26", {"eczema": "past", "cold_sores": "never"}, everywhere(None)),
    ("R26", {"eczema": "none", "cold_sores": "yes"}, everywhere(None)),
    ("R27", {"active_acne": "mild"}, each(RV, I, I, RV)),
    ("R27", {"active_acne": "inflammatory"}, each(D, RV, RV, RV)),
    ("R27", {"active_acne": "nodulocystic"}, everywhere(D)),
    ("R28", {"fst_confirmed": "3"}, everywhere(None)),
    ("R28", {"fst_confirmed": "4"}, each(RV, {RV, T}, {RV, T}, RV)),
    ("R28", {"fst_confirmed": 4}, each(RV, {RV, T}, {RV, T}, RV)),
    ("R28", {"fst_confirmed": 3}, everywhere(None)),
    ("R28", {"fst_confirmed": "5"}, each(NR, {RV, T}, {RV, T}, RV)),
    ("R28", {"fst_confirmed": "6"}, each(NR, {RV, T}, {RV, T}, RV)),
    ("R28", {"fst_confirmed": None, "fst_q1": 4, "fst_q2": 4, "fst_q3": 4, "fst_q4": 2}, everywhere(RV)),  # 18
    ("R28", {"fst_confirmed": None, "fst_q1": 4, "fst_q2": 4, "fst_q3": 4, "fst_q4": 1}, everywhere(None)),  # 17
    ("R28", {"fst_confirmed": "2", "fst_q1": 4, "fst_q2": 4, "fst_q3": 4, "fst_q4": 4}, everywhere(None)),
    ("R29", {"pih_history": True, "fst_confirmed": "3"}, everywhere(RV)),
    ("R29", {"pih_history": True, "fst_confirmed": "6"}, everywhere(RV)),
    ("R29", {"pih_history": True, "fst_confirmed": "2"}, everywhere(I)),
    ("R30", {"melasma": "current", "concerns": ["melasma"]}, each(NR, RV, RV, RV)),
    ("R30", {"melasma": "current", "concerns": ["pores"]}, everywhere(RV)),
    ("R30", {"melasma": "past"}, each(RV, I, I, RV)),
    ("R31", {"eye_history": ["ectropion_or_lid_laxity"]}, each(NR, I, I, RV)),
    ("R31", {"eye_history": ["ectropion_or_lid_laxity"], "treatment_areas": ["periorbital"]}, each(NR, I, I, RV)),
    ("R31", {"eye_history": ["ectropion_or_lid_laxity"], "treatment_areas": ["cheeks"]}, each(None, I, I, None)),
    ("R31", {"eye_history": ["lower_blepharoplasty"]}, each(RV, I, I, RV)),
    ("R31", {"eye_history": ["severe_dry_eye"]}, each(RV, I, I, RV)),
    ("R31", {"eye_history": ["eye_surgery_6m"]}, everywhere(RV)),
    ("R31", {"eye_history": ["eye_surgery_6m"], "treatment_areas": ["hands"]}, each(None, RV, RV, None)),
    ("R32", {"changing_lesion": True}, everywhere(D)),
    ("R32", {"precancer_ak": "suspected"}, everywhere(D)),
    ("R32", {"precancer_ak": "diagnosed"}, everywhere(RV)),
    ("R32", {"skin_cancer": "nmsc"}, everywhere(RV)),
    ("R32", {"skin_cancer": "melanoma"}, everywhere(RV)),
    *(
        ("R33", {"treatment_areas": [area]}, each(RV, None, None, RV))
        for area in ("neck", "chest", "hands", "arms", "legs", "back", "abdomen")
    ),
    ("R33", {"treatment_areas": ["full_face", "other"]}, everywhere(None)),
    ("R34", {"immunosuppression": "medicine"}, everywhere(RV)),
    ("R34", {"immunosuppression": "condition"}, everywhere(RV)),
    ("R35", {"diabetes": "uncontrolled"}, everywhere(RV)),
    ("R35", {"diabetes": "controlled"}, everywhere(I)),
    *(("R36", {"ctd": kind}, everywhere(RV)) for kind in ("lupus", "scleroderma", "dermatomyositis", "other")),
    ("R36", {"photosensitive_disorder": True}, everywhere(RV)),
    ("R37", {"poor_healing": True}, everywhere(RV)),
    ("R38", {"smoking": "current"}, everywhere(I)),
    ("R38", {"smoking": "vape"}, everywhere(I)),
    ("R38", {"smoking": "ex"}, everywhere(None)),
    ("R39", {"unwell_today": True}, everywhere(D)),
    *(
        ("R40", {"lidocaine_risk": [risk]}, everywhere(RV))
        for risk in ("allergy_la", "liver", "heart_rhythm", "seizure", "low_weight", "interacting_medicine")
    ),
    ("R41", {"epilepsy": "uncontrolled_or_light_triggered"}, everywhere(RV)),
    ("R41", {"epilepsy": "controlled"}, everywhere(I)),
    ("R42", {"cardiac_device": True}, everywhere(I)),
    ("R43", {"filler_last": ago(13), "filler_type": "ha"}, each(D, I, I, RV)),
    ("R43", {"filler_last": ago(14), "filler_type": "ha"}, everywhere(None)),
    *(
        ("R43", {"filler_last": ago(900), "filler_type": kind}, everywhere(RV))
        for kind in ("biostimulatory", "permanent", "unknown")
    ),
    ("R44", {"toxin_last": ago(13)}, each(D, I, I, RV)),
    ("R44", {"toxin_last": ago(14)}, everywhere(None)),
    ("R45", {"peel_last": ago(13), "peel_depth": "superficial"}, everywhere(D)),
    ("R45", {"peel_last": ago(14), "peel_depth": "superficial"}, everywhere(None)),
    ("R45", {"peel_last": ago(89), "peel_depth": "medium_deep"}, each(D, D, D, RV)),
    ("R45", {"peel_last": ago(90), "peel_depth": "medium_deep"}, each(D, None, None, RV)),
    ("R45", {"peel_last": ago(182), "peel_depth": "medium_deep"}, each(D, None, None, RV)),
    ("R45", {"peel_last": ago(183), "peel_depth": "medium_deep"}, everywhere(None)),
    ("R46", {"laser_last": ago(27), "laser_last_kind": "nafl"}, each(D, D, D, RV)),
    ("R46", {"laser_last": ago(28), "laser_last_kind": "pico"}, each(D, None, None, RV)),
    ("R46", {"laser_last": ago(27), "laser_last_kind": "other"}, each(D, D, D, RV)),
    ("R46", {"laser_last": ago(28), "laser_last_kind": "other"}, each(D, None, None, RV)),
    ("R46", {"laser_last": ago(55), "laser_last_kind": "other"}, each(D, None, None, RV)),
    ("R46", {"laser_last": ago(56), "laser_last_kind": "other"}, everywhere(None)),
    ("R46", {"laser_last": ago(56), "laser_last_kind": "nafl"}, everywhere(None)),
    ("R46", {"laser_last": ago(55), "laser_last_kind": "afl"}, everywhere(D)),
    ("R46", {"laser_last": ago(56), "laser_last_kind": "afl"}, everywhere(None)),
    ("R47", {"wax_last": ago(6)}, each(D, D, D, RV)),
    ("R47", {"wax_last": ago(7)}, each(D, None, None, RV)),
    ("R47", {"wax_last": ago(13)}, each(D, None, None, RV)),
    ("R47", {"wax_last": ago(14)}, everywhere(None)),
    ("R48", {"needling_last": ago(13)}, each(D, D, D, RV)),
    ("R48", {"needling_last": ago(14)}, each(D, None, None, RV)),
    ("R48", {"needling_last": ago(27)}, each(D, None, None, RV)),
    ("R48", {"needling_last": ago(28)}, everywhere(None)),
    ("R49", {"surgery_last": ago(182)}, everywhere(RV)),
    ("R49", {"surgery_last": ago(183)}, everywhere(None)),
    ("R50", {"tattoo_area": True}, each(RV, RV, NR, RV)),
    ("R51", {"expectation": "complete_removal"}, everywhere(RV)),
    ("R51", {"expectation": "unsure"}, everywhere(None)),
    ("R52", {"appearance_preoccupied": True, "appearance_hours": "lt1", "appearance_impact": "none"}, everywhere(None)),
    ("R52", {"appearance_preoccupied": True, "appearance_hours": "1to3", "appearance_impact": "none"}, everywhere(RV)),
    ("R52", {"appearance_preoccupied": True, "appearance_hours": "lt1", "appearance_impact": "some"}, everywhere(RV)),
    ("R52", {"appearance_preoccupied": True, "appearance_hours": "gt3", "appearance_impact": "none"}, everywhere(D)),
    ("R52", {"appearance_preoccupied": True, "appearance_hours": "lt1", "appearance_impact": "severe"}, everywhere(D)),
    ("R52", {"appearance_preoccupied": False, "appearance_hours": "gt3"}, everywhere(None)),
    ("R53", {"can_follow_aftercare": False}, each(D, RV, RV, RV)),
    ("R53", {"can_avoid_sun": False}, each(D, RV, RV, RV)),
    ("R54", {"event_date": ahead(0)}, each(I, I, I, None)),
    ("R54", {"event_date": ahead(2)}, each(I, I, I, None)),
    ("R54", {"event_date": ahead(3)}, each(I, I, None, None)),
    ("R54", {"event_date": ahead(6)}, each(I, I, None, None)),
    ("R54", {"event_date": ahead(7)}, each(I, None, None, None)),
    ("R54", {"event_date": ahead(13)}, each(I, None, None, None)),
    ("R54", {"event_date": ahead(14)}, everywhere(None)),
    ("R54", {"event_date": ago(1)}, everywhere(None)),
    ("R55", {"topical_retinoid_last": ago(6)}, each(D, D, D, RV)),
    ("R55", {"topical_retinoid_last": ago(7)}, each(D, D, None, RV)),
    ("R55", {"topical_retinoid_last": ago(13)}, each(D, D, None, RV)),
    ("R55", {"topical_retinoid_last": ago(14)}, everywhere(None)),
    ("R56", {"exfoliant_last": ago(6)}, everywhere(D)),
    ("R56", {"exfoliant_last": ago(7)}, everywhere(None)),
    ("R57", {"smoking": "not_sure"}, everywhere(RV)),
    ("R57", {"gold_ever": "not_sure"}, everywhere(RV)),
    ("R57", {"eye_history": "not_sure"}, everywhere(RV)),
    ("R57", {"smoking": "prefer_not_to_say"}, everywhere(None)),
    ("R58", {"laser_reaction": True}, everywhere(RV)),
    ("R59", {"rosacea": "flaring"}, each(D, RV, RV, RV)),
    ("R59", {"rosacea": "controlled"}, everywhere(I)),
    ("R60", {"allergies": ["antiviral"]}, each(RV, I, I, RV)),
    ("R60", {"allergies": ["antiviral"], "cold_sores": "yes"}, everywhere(RV)),
    ("R60", {"allergies": ["antiviral"], "treatment_areas": ["hands"]}, everywhere(I)),
    ("R60", {"allergies": ["latex"]}, everywhere(I)),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), TABLE)
def test_rule_in_every_scope(rule, changes, expected):
    wanted = {group: each if isinstance(each, set) else {each} - {None} for group, each in expected.items()}

    assert {group: effects(rule, changes, group) for group in GROUPS} == wanted


@pytest.mark.parametrize("rule", [f"R{number:02}" for number in range(1, 61)])
def test_the_neutral_adult_fires_nothing_but_the_antiviral_task(rule):
    found = {group: effects(rule, {}, group) for group in GROUPS}

    due = {T} if rule == "R07" else set()
    assert found == {"AFL": due, "NAFL": set(), "PICO": set(), "FULL": due}


def test_the_table_covers_all_sixty_rules():
    assert {row[0] for row in TABLE} == {rule.id for rule in shipped_pack().rules} == {f"R{n:02}" for n in range(1, 61)}


TOPICS = [
    "age_minor",
    "pregnancy",
    "pregnancy",
    "breastfeeding",
    "active_infection",
    "active_cold_sore",
    "hsv_prophylaxis",
    "hsv_prophylaxis",
    "open_wound",
    "sun_exposure",
    "self_tanner",
    "isotretinoin",
    "isotretinoin",
    "isotretinoin",
    "photosensitiser",
    "anticoagulant",
    "bleeding_disorder",
    "gold_therapy",
    "silver",
    "keloid",
    "keloid",
    "radiotherapy",
    "vitiligo",
    "psoriasis",
    "eczema",
    "eczema",
    "active_acne",
    "skin_type",
    "pih_history",
    "melasma",
    "eyelid",
    "suspicious_lesion",
    "neck_area",
    "immunosuppression",
    "diabetes",
    "ctd",
    "healing",
    "smoking",
    "unwell",
    "lidocaine_risk",
    "epilepsy",
    "cardiac_device_info",
    "filler",
    "toxin",
    "peel",
    "prior_laser_interval",
    "waxing",
    "needling",
    "surgery_area",
    "tattoo",
    "expectations",
    "bdd_screen",
    "aftercare_capacity",
    "event_clash",
    "retinoid_washout",
    "exfoliant",
    "not_sure",
    "laser_reaction",
    "rosacea",
    "allergy",
]


def test_topics_are_those_of_the_table():
    assert [rule.topic for rule in shipped_pack().rules] == TOPICS


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_neutral_adult_is_eligible(modality):
    result = screen(NEUTRAL, shipped_pack(), modality, ON)

    ablative = modality in {"afl_co2", "afl_eryag", "full"}
    assert (result.outcome, result.earliest_date, result.undecided, result.missing) == ("eligible", None, (), ())
    assert [(finding.rule, finding.effect) for finding in result.findings] == ([("R07", "task")] if ablative else [])
    assert result.tasks == (("antiviral_decision",) if ablative else ())


# changed answers, group, outcome, earliest date
DATES = [
    ({"pregnancy": "yes", "pregnancy_due": "2026-08-01"}, "AFL", "2026-10-30"),
    ({"pregnancy": "yes"}, "AFL", None),
    ({"pregnancy": "yes", "pregnancy_due": "not_sure"}, "PICO", None),
    ({"pregnancy": "yes", "pregnancy_due": "never"}, "PICO", None),
    ({"pregnancy": "yes", "pregnancy_due": "2025-12-01"}, "NAFL", None),
    ({"infection_area": "viral"}, "NAFL", None),
    ({"sun_exposure_last": "2026-05-30"}, "AFL", "2026-07-11"),
    ({"sun_exposure_last": "2026-05-30"}, "NAFL", "2026-06-13"),
    ({"sun_exposure_last": "2026-05-30", "fst_confirmed": "5"}, "NAFL", "2026-06-27"),
    ({"sun_exposure_last": "2026-05-30"}, "PICO", "2026-06-27"),
    ({"tan_present": "tanned"}, "NAFL", None),
    ({"tan_present": "tanned", "sun_exposure_last": "2026-05-30"}, "NAFL", "2026-06-13"),
    ({"isotretinoin": "stopped", "isotretinoin_last": "2026-03-01"}, "FULL", "2026-08-31"),
    ({"isotretinoin": "current"}, "FULL", None),
    ({"self_tanner_last": "2026-05-31"}, "PICO", "2026-06-14"),
    ({"filler_last": "2026-05-31", "filler_type": "ha"}, "AFL", "2026-06-14"),
    ({"toxin_last": "2026-05-31"}, "AFL", "2026-06-14"),
    ({"peel_last": "2026-05-31", "peel_depth": "superficial"}, "FULL", "2026-06-14"),
    ({"peel_last": "2026-05-31", "peel_depth": "medium_deep"}, "AFL", "2026-11-30"),
    ({"peel_last": "2026-05-31", "peel_depth": "medium_deep"}, "PICO", "2026-08-29"),
    ({"laser_last": "2026-05-31", "laser_last_kind": "afl"}, "NAFL", "2026-07-26"),
    ({"laser_last": "2026-05-31", "laser_last_kind": "nafl"}, "NAFL", "2026-06-28"),
    ({"wax_last": "2026-05-31"}, "AFL", "2026-06-14"),
    ({"needling_last": "2026-05-31"}, "NAFL", "2026-06-14"),
    ({"topical_retinoid_last": "2026-05-31"}, "PICO", "2026-06-07"),
    ({"exfoliant_last": "2026-05-31"}, "PICO", "2026-06-07"),
    # The latest of several; none as soon as one has no date.
    (
        {"wax_last": "2026-05-31", "sun_exposure_last": "2026-05-30", "exfoliant_last": "2026-06-01"},
        "AFL",
        "2026-07-11",
    ),
    ({"wax_last": "2026-05-31", "unwell_today": True}, "AFL", None),
]


@pytest.mark.parametrize(("changes", "group", "earliest"), DATES)
def test_deferral_says_the_earliest_date(changes, group, earliest):
    result = screen(NEUTRAL | changes, shipped_pack(), GROUPS[group], ON)

    assert result.outcome == "defer_until_date"
    assert result.earliest_date == (date.fromisoformat(earliest) if earliest else None)


def test_a_clinic_may_switch_isotretinoin_before_fractional_ablative_to_a_wait():
    result = screen(
        NEUTRAL | {"isotretinoin": "stopped", "isotretinoin_last": "2026-03-01"}, shipped_pack(), "afl_co2", ON
    )

    (finding,) = [each for each in result.findings if each.rule == "R13"]
    assert (finding.effect, finding.earliest_date, result.earliest_date) == ("review", date(2026, 8, 31), None)


def test_keloid_may_be_overridden_only_where_scars_are_the_concern():
    def may_override(concerns):
        result = screen(NEUTRAL | {"scar_tendency": "keloid", "concerns": concerns}, shipped_pack(), "afl_co2", ON)
        return next(each.may_override for each in result.findings if each.rule == "R20")

    assert [may_override(["pores"]), may_override(["pores", "acne_scars"]), may_override(["stretch_marks"])] == [
        False, True, False,
    ]  # fmt: skip


def test_blood_thinner_text_never_tells_to_stop():
    (rule,) = [rule for rule in shipped_pack().rules if rule.id == "R16"]

    assert rule.patient_text == "Do not stop prescribed blood thinners."
