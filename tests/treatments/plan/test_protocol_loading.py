"""A protocol that cannot be relied on is refused with file, line and item."""

import pytest

from clinic.packs.rules import PackError
from treatments.plan.rules import parse_protocol

GOOD = """\
[protocol]
name = "test"
title = "Test"
visit_kinds = ["treatment"]
reminder_gap = "6h"

[quiet_hours]
starts = "20:00"
ends = "09:00"
evening = "19:00"

[late]
channel = "email"
template = "precare"
title = "Late"
what_is_normal = "Fine."
source = "G"

[[step]]
id = "one"
kind = "precare"
anchor = "visit"
offset = "-7d"
at = "10:00"
channel = "email"
template = "precare"
keep = "1d"
late = "collapse"
title = "One"
source = "HENN D"

[[step.do]]
text = "Do this."

[[step]]
id = "two"
kind = "checkin"
anchor = "completion"
offset = "1d"
at = "same"
channel = "sms"
template = "checkin"
keep = "1d"
checkin = true
title = "Two"
source = "CC C"
"""


def test_a_good_protocol_is_read():
    protocol = parse_protocol(GOOD, "test.toml")

    assert [step.id for step in protocol.steps] == ["one", "two"]
    assert protocol.steps[0].lines[0].source == "HENN D"


@pytest.mark.parametrize(
    ("old", "new", "line", "item", "says"),
    [
        ('template = "checkin"', 'template = "poem"', 42, "two", "not a known template"),
        ('channel = "sms"', 'channel = "pigeon"', 41, "two", "not a known channel"),
        ('anchor = "completion"', 'anchor = "moon"', 38, "two", "not a known anchor"),
        ('offset = "1d"', 'offset = "soon"', 39, "two", "not a length of time"),
        ('offset = "1d"', 'offset = "0h"', 39, "two", "no minutes"),
        ('at = "10:00"', 'at = "25:00"', 24, "one", "not a time of day"),
        ('at = "10:00"\n', "", 19, "one", "“at” is missing"),
        ('source = "CC C"\n', "", 35, "two", "“source” is missing"),
        ('source = "CC C"', 'source = " "', 35, "two", "“source” is missing"),
        ('title = "Two"', 'titel = "Two"', 45, "two", "“titel” is not known"),
        ('id = "two"', 'id = "one"', 35, "one", "stands twice"),
        ("checkin = true", "checkin = false", 44, "two", "“checkin” must be true"),
        ('kind = "precare"', 'kind = "poke"', 21, "one", "not a known kind"),
        ('text = "Do this."', 'text = "Safe and effective."', 33, "one.do", "may not be said"),
        ('text = "Do this."', 'needs = ["rich"]', 32, "one.do", "“text” is missing"),
        ('text = "Do this."', 'text = "Do."\nneeds = ["rich"]', 34, "one.do", "“rich” is not known"),
        ('evening = "19:00"', 'evening = "21:00"', 10, "quiet_hours", "between"),
        ('anchor = "completion"', 'anchor = "completion"\nlate = "collapse"', 39, "two", "can be late"),
        ("[late]", "[latter]", 12, "latter", "not known here"),
        ('keep = "1d"\nlate', "keep = 1\nlate", 27, "one", "must be a text"),
        ("[[step]]", "[[step]", 19, "", "Not TOML"),
    ],
)
def test_a_bad_one_is_refused_at_its_line(old, new, line, item, says):
    assert old in GOOD
    with pytest.raises(PackError) as refusal:
        parse_protocol(GOOD.replace(old, new, 1), "test.toml")

    assert (refusal.value.name, refusal.value.line, refusal.value.item) == ("test.toml", line, item)
    assert says in refusal.value.sentence


def test_late_steps_need_words_to_join_them():
    start, end = GOOD.index("[late]"), GOOD.index("[[step]]")

    with pytest.raises(PackError, match=r"\[late\] is missing"):
        parse_protocol(GOOD[:start] + GOOD[end:], "test.toml")


def test_a_protocol_without_steps_is_refused():
    with pytest.raises(PackError, match="no steps"):
        parse_protocol(GOOD[: GOOD.index("[[step]]")], "test.toml")
