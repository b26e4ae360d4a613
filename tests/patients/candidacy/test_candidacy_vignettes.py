"""People as a clinic meets them: who they are, what they want, and what an expert would expect to be told."""

from dataclasses import dataclass, field
from datetime import date

import pytest

from patients.candidacy.queries import shipped_pack
from patients.candidacy.rules import screen
from tests.factories.answers import NEUTRAL

ON = date(2026, 6, 1)


@dataclass(frozen=True)
class Vignette:
    """`says`: the topics of everything that fired beyond information, in rule order."""

    who: str
    modality: str
    answers: dict
    outcome: str
    says: list
    earliest: str | None = None
    advice: list = field(default_factory=list)
    tasks: list = field(default_factory=list)


V = Vignette
NR, D, RV, E, INC = "not_recommended", "defer_until_date", "needs_clinician_review", "eligible", "incomplete"
HSV = "hsv_prophylaxis"
ANTIVIRAL = ["antiviral_decision"]

VIGNETTES = [
    V("Ana, 38, type II, fine lines and large pores, busy job, wants little downtime", "nafl_1550",
      {"age_years": 38, "concerns": ["fine_lines", "pores"], "treatment_areas": ["cheeks"]}, E, []),
    V("Bea, 52, type II, wrinkles, asks for fractional CO2 on the whole face", "afl_co2",
      {"age_years": 52, "concerns": ["wrinkles"]}, E, [HSV], tasks=ANTIVIRAL),
    V("Cem, 16, acne scars, his mother booked online", "nafl_1540",
      {"age_years": 16, "concerns": ["acne_scars"]}, NR, ["age_minor"]),
    V("Dana, 31, wants fractional CO2 while acne is still inflamed: a caution that a seed names itself", "afl_co2",
      {"age_years": 31, "concerns": ["acne_scars"], "active_acne": "inflammatory"},
      D, [HSV, "active_acne"], tasks=ANTIVIRAL),
    V("Dana asks again for a non-ablative laser", "nafl_1550",
      {"age_years": 31, "concerns": ["acne_scars"], "active_acne": "inflammatory"}, RV, ["active_acne"]),
    V("Elif, 29, acne scars but calm skin: scars are no acne", "nafl_1550",
      {"age_years": 29, "concerns": ["acne_scars"]}, E, []),
    V("Fay, 44, eczema on the cheeks today", "afl_co2",
      {"eczema": "active_in_area", "treatment_areas": ["cheeks"]}, D, [HSV, "eczema"], tasks=ANTIVIRAL),
    V("Gus, 50, childhood eczema and cold sores, CO2 around the mouth", "afl_co2",
      {"eczema": "past", "cold_sores": "yes", "treatment_areas": ["perioral"]},
      RV, [HSV, "eczema"], advice=["eczema_herpeticum"], tasks=ANTIVIRAL),
    V("Hana, 47, type V, non-ablative: a seed says never, the evidence says with care", "nafl_1550",
      {"fst_confirmed": "5", "concerns": ["uneven_tone"]}, RV, ["skin_type", "skin_type"], tasks=["test_spot"]),
    V("Hana asks for fractional CO2: a seed says almost all skin types, the evidence does not", "afl_co2",
      {"fst_confirmed": "5"}, NR, [HSV, "skin_type"], advice=["non_ablative_alternative"], tasks=ANTIVIRAL),
    V("Ines, 35, type IV, dark marks after every spot, CO2", "afl_co2",
      {"fst_confirmed": "4", "pih_history": True}, RV, [HSV, "skin_type", "pih_history"],
      advice=["pigment_test_spot"], tasks=["antiviral_decision", "test_spot", "pigment_plan"]),
    V("Jo, 41, not yet seen by a clinician, self-score on the border of type IV", "nafl_1550",
      {"fst_confirmed": None, "fst_q1": 4, "fst_q2": 4, "fst_q3": 4, "fst_q4": 2}, INC, ["skin_type"]),
    V("Kim, 34, brown patches are what bothers her, CO2", "afl_co2",
      {"concerns": ["melasma"], "melasma": "current"}, NR, [HSV, "melasma"],
      advice=["non_ablative_alternative"], tasks=ANTIVIRAL),
    V("Kim's non-ablative result", "nafl_1927", {"concerns": ["melasma"], "melasma": "current"}, RV, ["melasma"]),
    V("Lena, 55, back from the beach on 20 May, CO2 on 1 June", "afl_co2",
      {"sun_exposure_last": "2026-05-20"}, D, [HSV, "sun_exposure"], "2026-07-01", tasks=ANTIVIRAL),
    V("Lena, picosecond", "pico_755", {"sun_exposure_last": "2026-05-20"}, D, ["sun_exposure"], "2026-06-17"),
    V("Lena, non-ablative", "nafl_1550", {"sun_exposure_last": "2026-05-20"}, D, ["sun_exposure"], "2026-06-03"),
    V("Mia, 33, nails done, tanned, cannot remember when", "pico_755",
      {"tan_present": "tanned", "sun_exposure_last": "not_sure"}, D, ["sun_exposure", "not_sure"]),
    V("Nora, 36, pregnant, due 10 September", "nafl_1550",
      {"pregnancy": "yes", "pregnancy_due": "2026-09-10"}, D, ["pregnancy"], "2026-12-09"),
    V("Oya, 32, breastfeeding, CO2", "afl_co2", {"breastfeeding": True}, D, ["breastfeeding", HSV], tasks=ANTIVIRAL),
    V("Oya, non-ablative", "nafl_1550", {"breastfeeding": True}, RV, ["breastfeeding"]),
    V("Pia, 24, last isotretinoin capsule on 1 April, CO2", "afl_co2",
      {"isotretinoin": "stopped", "isotretinoin_last": "2026-04-01"}, RV, [HSV, "isotretinoin"], tasks=ANTIVIRAL),
    V("Pia, non-ablative: for information only", "nafl_1550",
      {"isotretinoin": "stopped", "isotretinoin_last": "2026-04-01"}, E, []),
    V("Pia, full-field", "full", {"isotretinoin": "stopped", "isotretinoin_last": "2026-04-01"},
      D, [HSV, "isotretinoin"], "2026-10-01", tasks=ANTIVIRAL),
    V("Quin, 26, on isotretinoin with deep cysts, CO2: acne care first", "afl_co2",
      {"isotretinoin": "current", "active_acne": "nodulocystic"}, D, [HSV, "isotretinoin", "active_acne"],
      advice=["acne_care_first"], tasks=ANTIVIRAL),
    V("Rosa, 68, gold injections for arthritis in 1999, picosecond", "pico_755",
      {"age_years": 68, "gold_ever": True}, NR, ["gold_therapy"]),
    V("Rosa, non-ablative", "nafl_1550", {"age_years": 68, "gold_ever": True}, RV, ["gold_therapy"]),
    V("Sam, 45, keloid on the chest, wants CO2 for a surgical scar", "afl_co2",
      {"scar_tendency": "keloid", "concerns": ["surgical_scars"], "treatment_areas": ["chest"]},
      NR, ["keloid", "neck_area"], advice=["non_ablative_alternative"]),
    V("Tara, 61, on warfarin, CO2: plan, never stop", "afl_co2",
      {"age_years": 61, "anticoagulants": ["warfarin"]}, RV, [HSV, "anticoagulant"], tasks=ANTIVIRAL),
    V("Tara, non-ablative", "nafl_1550", {"age_years": 61, "anticoagulants": ["warfarin"]}, E, []),
    V("Uma, 58, loose lower lids, ideal for a non-ablative laser as a seed says", "nafl_1540",
      {"concerns": ["laxity"], "treatment_areas": ["periorbital"], "eye_history": ["ectropion_or_lid_laxity"]}, E, []),
    V("Uma, CO2 around the eyes: an absolute contraindication", "afl_co2",
      {"concerns": ["laxity"], "treatment_areas": ["periorbital"], "eye_history": ["ectropion_or_lid_laxity"]},
      NR, [HSV, "eyelid"], tasks=ANTIVIRAL),
    V("Vera, 70, scaly patch that no doctor has seen; a seed calls it an indication", "nafl_1927",
      {"age_years": 70, "precancer_ak": "suspected"}, D, ["suspicious_lesion"]),
    V("Vera, once a doctor has named it", "nafl_1927",
      {"age_years": 70, "precancer_ak": "diagnosed"}, RV, ["suspicious_lesion"]),
    V("Will, 43, radiotherapy of the jaw years ago, erbium", "afl_eryag",
      {"radiotherapy_area": True}, NR, [HSV, "radiotherapy"], advice=["non_ablative_alternative"], tasks=ANTIVIRAL),
    V("Xenia, 30, thinks of her nose more than three hours a day", "pico_755",
      {"appearance_preoccupied": True, "appearance_hours": "gt3", "appearance_impact": "some"}, D, ["bdd_screen"]),
    V("Yara, 39, filler on 25 May and Botox on 28 May, as the same clinic sells them, CO2", "afl_co2",
      {"filler_last": "2026-05-25", "filler_type": "ha", "toxin_last": "2026-05-28"},
      D, [HSV, "filler", "toxin"], "2026-06-11", tasks=ANTIVIRAL),
    V("Yara, non-ablative", "nafl_1550",
      {"filler_last": "2026-05-25", "filler_type": "ha", "toxin_last": "2026-05-28"}, E, []),
    V("Zoe, 48, retinol to this day, acids last week, several weeks off as a seed says", "nafl_1550",
      {"topical_retinoid_last": "2026-06-01", "exfoliant_last": "2026-05-26"},
      D, ["retinoid_washout", "exfoliant"], "2026-06-15"),
    V("Abe, 57, pacemaker: said, noted, not refused", "afl_co2", {"cardiac_device": True}, E, [HSV], tasks=ANTIVIRAL),
    V("Bo, 37, doxycycline for rosacea that is calm", "nafl_1550",
      {"photosensitisers": ["tetracycline"], "rosacea": "controlled"}, E, []),
    V("Cleo, 49, lupus, slow healing, methotrexate, uncontrolled diabetes", "nafl_1550",
      {"ctd": "lupus", "poor_healing": True, "immunosuppression": "medicine", "diabetes": "uncontrolled"},
      RV, ["immunosuppression", "diabetes", "ctd", "healing"], advice=["senior_review"]),
    V("Dov, 46, CO2 on neck and hands", "afl_co2", {"treatment_areas": ["neck", "hands"]}, RV, ["neck_area"]),
    V("Eve, 40, does not know whether she ever had gold", "pico_755", {"gold_ever": "not_sure"}, RV, ["not_sure"]),
    V("Flo, 42, would rather not speak of pregnancy", "nafl_1550", {"pregnancy": "prefer_not_to_say"}, RV, []),
    V("Gil, 53, left the page on scars blank", "nafl_1550", {"scar_tendency": None}, INC, []),
    V("Hedy, 60, allergic to aciclovir, CO2 on the face", "afl_co2",
      {"allergies": ["antiviral"]}, RV, [HSV, "allergy"], tasks=ANTIVIRAL),
    V("Ivo, 44, works on a roof and cannot stay out of the sun, CO2", "afl_co2",
      {"can_avoid_sun": False}, D, [HSV, "aftercare_capacity"], tasks=ANTIVIRAL),
    V("Judy, 51, permanent brows, picosecond on the forehead", "pico_755",
      {"tattoo_area": True, "treatment_areas": ["forehead"]}, NR, ["tattoo"]),
    V("Kai, 59, fever this morning and waxed yesterday", "nafl_1550",
      {"unwell_today": True, "wax_last": "2026-05-31"}, D, ["unwell", "waxing"]),
    V("Lou, 45, non-ablative session five weeks after CO2", "nafl_1550",
      {"laser_last": "2026-04-27", "laser_last_kind": "afl"}, D, ["prior_laser_interval"], "2026-06-22"),
    V("Mo, 36, wants burn scars gone completely", "nafl_1550",
      {"concerns": ["burn_scars"], "expectation": "complete_removal", "scar_tendency": "hypertrophic"},
      RV, ["keloid", "expectations"]),
]  # fmt: skip


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda each: f"{each.who.split(',')[0]}-{each.modality}")
def test_vignette(vignette):
    result = screen(NEUTRAL | vignette.answers, shipped_pack(), vignette.modality, ON)

    assert result.outcome == vignette.outcome
    assert [finding.topic for finding in result.findings if finding.effect != "info"] == vignette.says
    assert result.earliest_date == (date.fromisoformat(vignette.earliest) if vignette.earliest else None)
    assert [each.key for each in result.advice] == vignette.advice
    assert list(result.tasks) == vignette.tasks


def test_there_are_enough_people():
    assert len(VIGNETTES) >= 30
