"""Care protocols as text: small edits change one value and keep every comment; what differs is said in words."""

import tomllib
from pathlib import Path

import pytest

from clinic.packedit import CannotRewrite
from clinic.packfile import PackError
from treatments.plan.rules import parse_protocol
from treatments.protocols.edits import BEHIND, FLAGS, LINES, apply_step, field_of, stated
from treatments.protocols.queries import check_protocol, protocol_changes
from treatments.protocols.wording import when_words

TEXTS = {path.stem: path.read_text() for path in sorted(Path("treatments/knowledge/care").glob("*.toml"))}
STEPS = [(name, step.id) for name, text in TEXTS.items() for step in parse_protocol(text, name).steps]
AFL = TEXTS["afl"]


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_form_sent_back_as_it_was_leaves_every_byte(name, step):
    text = TEXTS[name]

    assert apply_step(text, step, stated(text, step)) == text


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_each_field_of_each_message_changes_that_value_and_nothing_else(name, step):
    text = TEXTS[name]
    before = stated(text, step)
    for field, value in before.items():
        given = before | {field: not value if field in FLAGS else "One\nTwo" if field in LINES else "changed"}
        changed = apply_step(text, step, given)

        expected = tomllib.loads(text)
        table = next(each for each in expected["step"] if each["id"] == step)
        if field.startswith("do_"):
            table["do"][int(field[3:])]["text"] = "changed"
        else:
            table[field] = given[field].splitlines() if field in LINES else given[field]
            if table[field] is False and field not in {"important"}:
                del table[field]
        assert tomllib.loads(changed) == expected
        assert [line for line in changed.splitlines() if line.startswith("#")] == [
            line for line in text.splitlines() if line.startswith("#")
        ]


def test_an_optional_value_emptied_is_taken_out_and_put_back_where_it_was():
    given = stated(AFL, "reminder_48h")

    without = apply_step(AFL, "reminder_48h", given | {"latest": ""})
    again = apply_step(without, "reminder_48h", given)

    assert "latest" not in next(each for each in tomllib.loads(without)["step"] if each["id"] == "reminder_48h")
    assert tomllib.loads(again) == tomllib.loads(AFL)


def test_a_message_that_is_not_there_cannot_be_changed():
    with pytest.raises(CannotRewrite):
        stated(AFL, "no_such_step")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("offset", "tomorrow", "is not a length of time"),
        ("at", "25:00", "is not a time of day"),
        ("at", "", "“at” is missing"),
        ("keep", "6mo", "is not a length of time"),
        ("title", "A guarantee", "may not be said to patients"),
        ("source", "", "“source” is missing"),
    ],
)
def test_a_fault_is_named_at_the_field_of_the_form(field, value, words):
    text = apply_step(AFL, "reminder_24h", stated(AFL, "reminder_24h") | {field: value})

    with pytest.raises(PackError, match=words) as refused:
        check_protocol(text, "afl v2")

    assert field_of(refused.value, text) == field


def test_what_differs_is_said_in_words():
    given = stated(AFL, "reminder_24h")
    text = apply_step(
        AFL, "reminder_24h", given | {"offset": "-2d", "at": "10:30", "important": False, "title": "Soon"}
    )

    changes = [(each.about, each.field, each.before, each.after) for each in protocol_changes(AFL, text)]

    assert changes == [
        ("Soon", "When", "1 day before the visit, at the same time of day", "2 days before the visit, at 10:30"),
        ("Soon", "Title", "Your visit is tomorrow", "Soon"),
        ("Soon", "A call if it fails", "yes", "no"),
    ]
    assert protocol_changes(AFL, AFL) == []


def test_a_message_taken_out_and_a_line_changed_are_said_too():
    steps = AFL.split("[[step]]")
    without = "[[step]]".join(part for part in steps if 'id = "reminder_48h"' not in part)
    reworded = AFL.replace("No sunbeds from now on.", "No sunbeds at all.")

    gone = [(each.about, each.field, each.after) for each in protocol_changes(AFL, without)]
    line = [(each.field, each.before, each.after) for each in protocol_changes(AFL, reworded)]

    assert gone == [("reminder_48h", "Message", "nothing")]
    assert line == [("To do, line 2", "No sunbeds from now on. [MAYO C]", "No sunbeds at all. [MAYO C]")]


def test_every_step_says_when_it_goes_out():
    words = {step.id: when_words(step) for step in parse_protocol(AFL, "afl").steps}

    assert words["confirmation"] == "3 minutes after the booking"
    assert words["reminder_morning"] == "on the day of the visit, at 09:00"
    assert words["precare_60"] == "60 days before the visit, at 10:00"
    assert all(words.values())
    assert set(BEHIND) >= FLAGS | LINES
