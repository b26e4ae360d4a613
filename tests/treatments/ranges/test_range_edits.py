"""Triage and ranges as text: a form changes one value and keeps every comment; what differs is said in words."""

import tomllib
from pathlib import Path

import pytest

from clinic.packfile import PackError
from treatments.aftercare.triage import parse_triage
from treatments.ranges.queries import check_settings, check_triage
from treatments.ranges.rules import FLAGS, TABLES, apply_part, differences, parts
from treatments.sessions.rules import parse_settings

TEXTS = {
    "triage": Path("treatments/knowledge/triage/triage.toml").read_text(),
    "sessions": Path("treatments/knowledge/sessions/settings.toml").read_text(),
}
PARTS = [(kind, part) for kind, text in TEXTS.items() for part in parts(kind, text)]


def as_it_was(part):
    return {**part.said, **{limit.field: limit.number for limit in part.limits}}


def part_of(kind, table, key):
    return next(part for name, part in PARTS if (name, part.table.key, part.id) == (kind, table, key))


def test_every_entry_of_both_packs_has_a_form():
    found = {kind: {part.table.key for name, part in PARTS if name == kind} for kind in TEXTS}

    assert found == {kind: {table.key for table in tables} for kind, tables in TABLES.items()}
    assert len(PARTS) == len({(kind, part.table.key, part.id) for kind, part in PARTS})


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=lambda each: getattr(each, "id", each))
def test_a_form_sent_back_as_it_was_leaves_every_byte_and_each_field_changes_one_value(kind, part):
    text = TEXTS[kind]
    given = as_it_was(part)

    assert apply_part(text, part, given) == text
    for field in part.table.fields:
        changed = apply_part(text, part, given | {field: not given[field] if field in FLAGS else "Changed"})
        rows, before = (tomllib.loads(each)[part.table.key] for each in (changed, text))
        other = [now for now, was in zip(rows, before, strict=True) if now != was]
        assert [row.get("id", row.get("key")) for row in other] == [part.id]
        assert {key for key in other[0] if other[0][key] != given.get(key)} & set(part.table.fields) == (
            set() if other[0].get(field) is None else {field}
        )
        assert [line for line in changed.splitlines() if line.startswith("#")] == [
            line for line in text.splitlines() if line.startswith("#")
        ]


def test_a_limit_is_a_number_of_its_own():
    part = part_of("sessions", "warning", "W23")
    limit = part.limits[0]

    text = apply_part(TEXTS["sessions"], part, as_it_was(part) | {limit.field: "40"})

    rule = next(each for each in parse_settings(text, "x").rules if each.id == "W23")
    assert [(each.label, each.sign, each.number) for each in part.limits] == [("Energy per microbeam (mJ)", ">", "45")]
    assert [check.against for check in rule.checks if check.fact == "energy_mj"] == [40]
    assert [(each.about, each.field, each.after) for each in differences(TEXTS["sessions"], text)] == [
        ("Warning W23", "When", "Laser: nafl_1550, Skin type: 4, 5, 6, Energy per microbeam (mJ): > 40")
    ]


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("sessions", part_of("sessions", "warning", "W04")),
        next((kind, part) for kind, part in PARTS if kind == "triage" and part.limits),
    ],
    ids=lambda each: getattr(each, "id", each),
)
def test_a_changed_limit_leaves_the_rest_of_its_condition(kind, part):
    first, *others = part.limits

    text = apply_part(TEXTS[kind], part, as_it_was(part) | {first.field: "8"})

    again = next(each for each in parts(kind, text) if (each.table, each.id) == (part.table, part.id))
    assert [each.number for each in again.limits] == ["8", *(each.number for each in others)]
    assert {"sessions": parse_settings, "triage": parse_triage}[kind](text, "x")


def test_what_differs_is_said_in_words_and_less_urgent_is_marked():
    part = part_of("triage", "level", "U1")
    rule = next(part for kind, part in PARTS if part.table.key == "rule" and part.said["level"] == "U1")
    text = apply_part(TEXTS["triage"], part, as_it_was(part) | {"respond": "30 minutes"})
    text = apply_part(text, rule, as_it_was(rule) | {"level": "U2"})

    changes = differences(TEXTS["triage"], text)

    assert [(each.about, each.field, each.before, each.after, each.caution) for each in changes] == [
        ("Level U1", "Answered within", "60 minutes", "30 minutes", ""),
        (f"Rule {rule.id}", "How urgent", "U1", "U2", "less"),
    ]
    assert differences(text, text) == []


def test_an_entry_put_in_or_taken_out_is_said():
    without = "[[warning]]".join(p for p in TEXTS["sessions"].split("[[warning]]") if 'id = "W01"' not in p)

    assert [(each.about, each.before, each.after) for each in differences(TEXTS["sessions"], without)] == [
        ("Warning W01", "Below 5 mJ: under the published range for fractional CO2 (5 to 40 mJ).", "nothing")
    ]


@pytest.mark.parametrize(
    ("check", "kind", "old", "new"),
    [
        (check_triage, "triage", 'respond = "60 minutes"', 'respond = "soon"'),
        (check_triage, "triage", 'key = "pain_now"', 'key = "pain"'),
        (check_settings, "sessions", '">50"', '"a lot"'),
    ],
)
def test_a_text_that_could_not_be_used_is_refused(check, kind, old, new):
    check(TEXTS[kind], "as it came")

    with pytest.raises(PackError):
        check(TEXTS[kind].replace(old, new, 1), "changed")
