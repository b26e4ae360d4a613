from pathlib import Path

import pytest

import clinic
from clinic.catalogue.rules import group_of, parse_catalogue
from clinic.catalogue.states import Group
from clinic.packs.rules import PackError

TEXT = (Path(clinic.__file__).parent / "knowledge" / "catalogue.toml").read_text()
CATALOGUE = parse_catalogue(TEXT, "catalogue.toml")


def test_the_lasers_are_those_of_the_notes():
    assert {entry.key: entry.wavelength_nm for entry in CATALOGUE.modalities} == {
        "afl_co2": 10600,
        "afl_eryag": 2940,
        "nafl_1410": 1410,
        "nafl_1440": 1440,
        "nafl_1540": 1540,
        "nafl_1550": 1550,
        "nafl_1927": 1927,
        "pico_755": 755,
        "full": None,
    }
    assert [entry.key for entry in CATALOGUE.modalities if not entry.is_enabled] == ["full"]


@pytest.mark.parametrize(
    ("group", "ablative", "interval", "downtime"),
    [(Group.AFL, True, 56, (5, 14)), (Group.NAFL, False, 28, (3, 7)), (Group.PICO, False, 28, (1, 3))],
)
def test_intervals_and_downtime_follow_the_group(group, ablative, interval, downtime):
    entries = [entry for entry in CATALOGUE.modalities if entry.group == group]

    assert entries
    for entry in entries:
        assert entry.is_ablative is ablative
        assert entry.min_interval_days == interval
        assert entry.min_interval_after_afl_days == 56
        assert (entry.downtime_days_from, entry.downtime_days_to) == downtime
        assert "longer" in entry.downtime_note or "weeks" in entry.downtime_note


def test_concerns_and_areas_have_the_keys_of_the_questionnaire():
    assert [concern.key for concern in CATALOGUE.concerns] == [
        "fine_lines", "wrinkles", "acne_scars", "surgical_scars", "burn_scars", "stretch_marks", "sun_damage",
        "age_spots", "uneven_tone", "texture", "pores", "laxity", "melasma", "other",
    ]  # fmt: skip
    assert [area.key for area in CATALOGUE.areas] == [
        "full_face", "forehead", "periorbital", "perioral", "cheeks", "nose", "neck", "chest", "hands", "arms",
        "abdomen", "legs", "back", "other",
    ]  # fmt: skip


def test_every_device_of_the_sources_is_there_with_its_wavelength():
    assert {(device.model, device.wavelength_nm) for device in CATALOGUE.devices} == {
        ("PicoSure Focus", 755),
        ("re:fine", 1410),
        ("Affirm", 1440),
        ("StarLux 1440", 1440),
        ("StarLux 1540", 1540),
        ("Icon", 1540),
        ("re:store", 1550),
        ("re:store DUAL", 1550),
        ("Fractional CO2", 10600),
    }


def test_visits_have_their_phases_and_say_nothing_on_a_patients_calendar():
    treatment = next(entry for entry in CATALOGUE.appointment_types if entry.key == "treatment_nafl")

    assert (treatment.minutes_before, treatment.minutes_work) == (60, 30)
    assert {entry.kind for entry in CATALOGUE.appointment_types} == {"consultation", "test_spot", "treatment", "review"}
    assert {entry.patient_label for entry in CATALOGUE.appointment_types} == {"Consultation", "Visit", "Review"}


@pytest.mark.parametrize(
    "phrase", ["non-invasive", "non-wounding", "surface intact", "safe and effective", "long lasting"]
)
def test_patients_are_promised_nothing(phrase):
    assert phrase not in TEXT.casefold()


def test_a_key_tells_its_group():
    assert group_of("nafl_1550") == Group.NAFL
    with pytest.raises(ValueError, match="not a modality"):
        group_of("moonbeam")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('group = "NAFL"', 'group = "AFL"', "must begin with its group"),
        ("is_ablative = true", "is_ablative = false", "Ablative is what"),
        ("min_interval_days = 28", "min_interval_days = 0", "interval of at least a day"),
        ("downtime_days_to = 14", "downtime_days_to = 2", "ends before it begins"),
        (
            'model = "Icon"\nmodality = "nafl_1540"\nwavelength_nm = 1540',
            'model = "Icon"\nmodality = "nafl_1540"\nwavelength_nm = 755',
            "not 755 nm",
        ),
        ('model = "Icon"\nmodality = "nafl_1540"', 'model = "Icon"\nmodality = "ipl"', "not a known modality"),
        ("minutes_work = 30", "minutes_work = 0", "at least a minute"),
        ("practitioner_joins_after = 60", "practitioner_joins_after = 600", "before the work ends"),
        ('key = "wrinkles"', 'key = "fine_lines"', "stands twice"),
        ('source = "seed 000"\n', "", "“source” is missing"),
        ('label = "Neck"', 'labl = "Neck"', "not known here"),
    ],
)
def test_a_bad_catalogue_is_refused_with_its_line(old, new, says):
    assert old in TEXT
    with pytest.raises(PackError, match=says) as refusal:
        parse_catalogue(TEXT.replace(old, new, 1), "catalogue.toml")

    assert refusal.value.line > 1
