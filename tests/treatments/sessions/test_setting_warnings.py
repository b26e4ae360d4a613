"""Each published range, both sides; nothing unrecorded passes as within range."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import treatments
from clinic.packs.rules import PackError
from treatments.sessions.rules import (
    ANAESTHESIA_FACTS,
    ROW_FACTS,
    Context,
    anaesthesia_warnings,
    limit_breaches,
    parse_settings,
    warnings,
)

TEXT = (Path(treatments.__file__).parent / "knowledge" / "sessions" / "settings.toml").read_text()
SETTINGS = parse_settings(TEXT, "settings.toml")
WAVELENGTHS = {"afl_co2": 10600, "afl_eryag": 2940, "nafl_1440": 1440, "nafl_1540": 1540, "nafl_1550": 1550}
WAVELENGTHS |= {"nafl_1410": 1410, "nafl_1927": 1927, "pico_755": 755}
ROW = {
    "area": "cheeks",
    "energy_mj": Decimal(8),
    "fluence_j_cm2": Decimal("0.5"),
    "coverage_percent": Decimal(5),
    "depth_um": 100,
    "passes": 1,
    "stacked_pulses": 1,
}


def context(modality, **changes):
    known = {"skin_type": 2, "tan_present": "none", "eye_protection": "external", "planned_passes": 8}
    nm = WAVELENGTHS[modality]
    return replace(Context(modality, modality, nm, nm, device_kind="thulium", **known), **changes)


def ids(row, around):
    return [warning.rule for warning in warnings(ROW | row, around, SETTINGS)]


@pytest.mark.parametrize(
    ("modality", "inside", "outside", "rules", "around"),
    [
        ("afl_co2", {"energy_mj": 5}, {"energy_mj": Decimal("4.9")}, ["W01"], {}),
        ("afl_co2", {"energy_mj": 50}, {"energy_mj": Decimal("50.1")}, ["W02"], {}),
        ("afl_co2", {"coverage_percent": 25}, {"coverage_percent": Decimal("25.5")}, ["W03"], {}),
        (
            "afl_co2",
            {"area": "neck", "energy_mj": 20, "coverage_percent": 15},
            {"area": "neck", "energy_mj": 20, "coverage_percent": 25},
            ["W04", "W05"],
            {},
        ),
        (
            "afl_co2",
            {"area": "neck", "energy_mj": 19, "coverage_percent": 15},
            {"area": "chest", "energy_mj": 19, "coverage_percent": 25},
            ["W05"],
            {},
        ),
        ("afl_co2", {"coverage_percent": 10}, {"coverage_percent": 11}, ["W06"], {"skin_type": 4}),
        ("afl_eryag", {"depth_um": 500}, {"depth_um": 501}, ["W11"], {}),
        ("afl_eryag", {"coverage_percent": 25}, {"coverage_percent": 26}, ["W12"], {}),
        ("afl_eryag", {"coverage_percent": 16}, {"area": "neck", "coverage_percent": 16}, ["W13"], {}),
        ("nafl_1550", {"energy_mj": 70}, {"energy_mj": 71}, ["W21"], {}),
        ("nafl_1550", {"coverage_percent": 23}, {"coverage_percent": 24}, ["W22"], {"skin_type": 5}),
        ("nafl_1550", {"energy_mj": 45}, {"energy_mj": 46}, ["W23"], {"skin_type": 6}),
        ("nafl_1550", {"passes": 8}, {"passes": 9}, ["W24"], {"skin_type": 4}),
        ("nafl_1540", {"energy_mj": 70}, {"energy_mj": 71}, ["W31"], {}),
        ("nafl_1540", {"stacked_pulses": 3}, {"stacked_pulses": 4}, ["W32"], {}),
        ("nafl_1440", {"energy_mj": 9}, {"energy_mj": 10}, ["W41"], {}),
        ("nafl_1440", {"coverage_percent": 10}, {"coverage_percent": 11}, ["W42"], {}),
        ("nafl_1927", {"energy_mj": 5}, {"energy_mj": 6}, ["W51"], {"device_kind": "diode"}),
        ("nafl_1927", {"energy_mj": 20}, {"energy_mj": 21}, ["W52"], {}),
        ("nafl_1927", {"coverage_percent": 55}, {"coverage_percent": 56}, ["W53"], {}),
        ("nafl_1927", {"coverage_percent": 30}, {"coverage_percent": 31}, ["W54"], {"skin_type": 4}),
        ("pico_755", {"fluence_j_cm2": Decimal("0.71")}, {"fluence_j_cm2": Decimal("0.72")}, ["W61"], {}),
        ("nafl_1410", {"energy_mj": 70}, {"area": "periorbital"}, ["W71"], {}),
    ],
)
def test_each_range_on_both_sides(modality, inside, outside, rules, around):
    assert ids(inside, context(modality, **around)) == []
    assert ids(outside, context(modality, **around)) == rules


def test_ranges_for_darker_skin_leave_lighter_skin_alone():
    assert ids({"coverage_percent": 11}, context("afl_co2", skin_type=3)) == []
    assert ids({"energy_mj": 60}, context("nafl_1550", skin_type=3)) == []


def test_picosecond_fluence_may_not_rise_in_darker_skin_nor_meet_a_tan():
    last = {"fluence_j_cm2": Decimal("0.40")}

    assert ids({}, context("pico_755", skin_type=4)) == []
    assert ids({}, context("pico_755", skin_type=4, last=last)) == ["W62"]
    assert ids({}, context("pico_755", skin_type=3, last=last)) == []
    assert ids({"fluence_j_cm2": Decimal("0.40")}, context("pico_755", skin_type=5, last=last)) == []
    assert ids({}, context("pico_755", tan_present="tanned")) == ["W63"]


def test_coverage_adds_up_over_the_rows_of_one_area():
    earlier = ({"area": "cheeks", "coverage_percent": 20, "passes": 1},)
    elsewhere = ({"area": "forehead", "coverage_percent": 20, "passes": 1},)
    other_side = ({"area": "cheeks", "laterality": "left", "coverage_percent": 20, "passes": 1},)

    assert ids({"coverage_percent": 6}, context("afl_co2", earlier=earlier)) == ["W03"]
    assert ids({"coverage_percent": 5}, context("afl_co2", earlier=earlier)) == []
    assert ids({"coverage_percent": 6}, context("afl_co2", earlier=elsewhere)) == []
    assert ids({"coverage_percent": 6}, context("afl_co2", earlier=other_side)) == []


@pytest.mark.parametrize(
    ("modality", "row", "around", "field"),
    [
        ("afl_co2", {"coverage_percent": None}, {}, "session_coverage_percent"),
        ("afl_co2", {"coverage_percent": 11}, {"skin_type": None}, "skin_type"),
        ("nafl_1927", {"energy_mj": 6}, {"device_kind": None}, "device_kind"),
        ("pico_755", {}, {"tan_present": None}, "tan_present"),
        ("nafl_1540", {"stacked_pulses": None}, {}, "stacked_pulses"),
    ],
)
def test_what_was_not_recorded_is_said_and_is_never_within_range(modality, row, around, field):
    found = warnings(ROW | row, context(modality, **around), SETTINGS)

    assert [(warning.rule, warning.field) for warning in found] == [("W99", field)]


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 0),
        ({"device_modality": "nafl_1550"}, 1),
        ({"device_wavelength_nm": 2940}, 1),
        ({"device_wavelength_nm": None}, 1),
    ],
)
def test_the_laser_in_hand_must_be_the_planned_one(changes, count):
    found = [each for each in warnings(ROW, context("afl_co2", **changes), SETTINGS) if each.rule == "W00"]

    assert len(found) == count


NUMBING = {"type": "topical", "strength_percent": 4, "mass_g": 10, "area_cm2": 200, "minutes": 45}
NUMBING |= {"occlusion": False, "heat": False, "after_ablative_pass": False}


@pytest.mark.parametrize(
    ("inside", "outside", "rules"),
    [
        ({"area_cm2": 300}, {"area_cm2": 301}, ["N01"]),
        ({"occlusion": False}, {"occlusion": True}, ["N02"]),
        ({"heat": False}, {"heat": True}, ["N03"]),
        ({"strength_percent": 7}, {"strength_percent": 8}, ["N05"]),
        ({"strength_percent": 7}, {"strength_percent": 30}, ["N04", "N05"]),
        ({"minutes": 60}, {"minutes": 61}, ["N06"]),
        ({"after_ablative_pass": False}, {"after_ablative_pass": True}, ["N07"]),
    ],
)
def test_each_numbing_warning_on_both_sides(inside, outside, rules):
    around = context("afl_co2")

    assert anaesthesia_warnings(NUMBING | inside, around, SETTINGS) == []
    assert [each.rule for each in anaesthesia_warnings(NUMBING | outside, around, SETTINGS)] == rules


def test_numbing_put_on_again_matters_after_ablative_passes_only():
    assert anaesthesia_warnings(NUMBING | {"after_ablative_pass": True}, context("nafl_1550"), SETTINGS) == []


def test_no_numbing_needs_no_details():
    assert anaesthesia_warnings({"type": "none"}, context("afl_co2"), SETTINGS) == []


@pytest.mark.parametrize(
    ("row", "breaches"),
    [
        ({"energy_mj": Decimal(50)}, 0),
        ({"energy_mj": Decimal(51)}, 1),
        ({"energy_mj": Decimal(4)}, 1),
        ({"coverage_percent": 41}, 1),
        ({"energy_mj": None}, 0),
        ({"energy_mj": 60, "coverage_percent": 60}, 2),
    ],
)
def test_the_makers_limits(row, breaches):
    assert len(limit_breaches(row, {"energy_mj": [5, 50], "coverage_percent": 40})) == breaches


numbers = st.none() | st.integers(0, 500) | st.decimals(0, 500, places=2)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(set(ROW_FACTS) - {"area"}, numbers)),
    st.sampled_from(sorted(WAVELENGTHS)),
    st.none() | st.integers(1, 6),
)
def test_warnings_are_total(row, modality, skin_type):
    for warning in warnings(row | {"area": "neck"}, context(modality, skin_type=skin_type), SETTINGS):
        assert warning.text
        assert warning.source


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(ANAESTHESIA_FACTS), numbers | st.booleans() | st.text()))
)
def test_numbing_warnings_are_total(detail):
    assert all(each.text for each in anaesthesia_warnings(detail, context("afl_co2"), SETTINGS))


def test_every_laser_that_is_offered_has_its_published_values():
    assert {usual.modality for usual in SETTINGS.usual} == set(WAVELENGTHS)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('energy_mj = "<5"', 'energie = "<5"', "not something that is recorded"),
        ('energy_mj = "<5"', 'energy_mj = "low"', "must be compared"),
        ('energy_mj = "<5"', 'energy_mj = "<low"', "not a number"),
        ('source = "YUAN A"\n', "", "“source” is missing"),
        ('id = "W02"', 'id = "W01"', "stands twice"),
        ("[[usual]]", "[[usually]]", "not known here"),
    ],
)
def test_a_bad_pack_is_refused(old, new, says):
    assert old in TEXT
    with pytest.raises(PackError, match=says):
        parse_settings(TEXT.replace(old, new, 1), "settings.toml")
