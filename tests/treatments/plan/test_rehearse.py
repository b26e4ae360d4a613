import json

import pytest
from django.core.management import CommandError, call_command

LONDON = {"zone": "Europe/London", "visit": "2026-03-30T09:00"}


def rehearse(capsys, **options):
    call_command("rehearse", as_json=True, **{"modality": "afl_co2"} | LONDON | options)
    return json.loads(capsys.readouterr().out)


def test_it_lists_every_message_in_order_with_exactly_these_keys(capsys):
    rows = rehearse(capsys)

    assert all(list(row) == ["step", "kind", "channel", "local", "utc", "note"] for row in rows)
    assert [row["utc"] for row in rows] == sorted(row["utc"] for row in rows)
    assert len({row["step"] for row in rows}) == len(rows) == 27


def test_nine_o_clock_stays_nine_o_clock_over_the_clock_change(capsys):
    rows = {row["step"]: row for row in rehearse(capsys)}

    assert rows["reminder_48h"]["local"] == "2026-03-28T09:00"
    assert rows["reminder_48h"]["utc"] == "2026-03-28T09:00:00Z"
    assert rows["reminder_24h"]["local"] == "2026-03-29T09:00"
    assert rows["reminder_24h"]["utc"] == "2026-03-29T08:00:00Z"


def test_a_moved_message_says_why(capsys):
    rows = {row["step"]: row for row in rehearse(capsys, visit="2026-03-27T20:30")}

    assert rows["after_2h"]["local"] == "2026-03-27T22:30"
    assert "can't wait" in rows["after_2h"]["note"]
    assert rows["after_24h"]["local"] == "2026-03-29T09:00"
    assert rows["after_24h"]["note"] == "Sat 28 Mar 20:30 is in quiet hours: moved to Sun 29 Mar 09:00"


def test_the_true_completion_moves_aftercare(capsys):
    rows = {row["step"]: row for row in rehearse(capsys, completed="2026-03-31T10:00")}

    assert rows["after_24h"]["local"] == "2026-04-01T10:00"


def test_what_only_some_patients_get_is_marked_and_can_be_left_out(capsys):
    everything = {row["step"]: row["note"] for row in rehearse(capsys)}
    bare = {row["step"] for row in rehearse(capsys, conditions=["none"])}

    assert everything["precare_5"] == "only for: told to stop hydroquinone before the visit"
    assert set(everything) - bare == {"precare_1", "precare_5", "review_request"}


def test_people_read_a_table(capsys):
    call_command("rehearse", **{"modality": "consultation"} | LONDON)

    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[2] for line in lines] == ["confirmation", "reminder_48h", "reminder_24h", "reminder_morning"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"modality": "full"}, "not offered"),
        ({"modality": "nafl_9999"}, "not offered"),
        ({"visit": "tomorrow"}, "not a time"),
        ({"visit": "2026-02-30T09:00"}, "not a time"),
        ({"visit": "2026-03-30T09:00+01:00"}, "names an offset"),
        ({"visit": "0001-01-01T09:00"}, "out of reach"),
        ({"visit": "2026-03-29T01:30"}, "01:30 does not exist in Europe/London on 29 March 2026"),
        ({"visit": "2026-10-25T01:30"}, "01:30 comes twice in Europe/London on 25 October 2026"),
        ({"completed": "2026-10-25T01:30"}, "--completed: 01:30 comes twice"),
        ({"booked": "2026-03-29T01:30"}, "--booked: 01:30 does not exist"),
        ({"zone": ""}, "not a time zone"),
        ({"zone": "Mars/Base"}, "not a time zone"),
        ({"zone": "../../etc/passwd"}, "not a time zone"),
        ({"patient_zone": "Nowhere"}, "not a time zone"),
    ],
)
def test_bad_input_is_a_sentence(capsys, options, says):
    with pytest.raises(CommandError, match=says) as refusal:
        rehearse(capsys, **options)

    assert refusal.value.returncode == 2
