from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patients.messaging.rules import FIRST_WAIT, LONGEST_WAIT, lint_discreet, next_attempt, segments


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("é" * 160, 1),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # 152 signs leave one place; a sign of two places goes to the next segment whole.
        ("a" * 152 + "€" + "a" * 153, 3),
        ("a" * 151 + "€" + "a" * 153, 2),
        ("í" * 70, 1),
        ("í" * 71, 2),
        ("í" * 134, 2),
        ("í" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        # 67 is odd: a sign of two places is never split, so 33 of them fill a segment.
        ("😀" * 66, 2),
        ("😀" * 67, 3),
        ("’" + "a" * 69, 1),
        ("’" + "a" * 70, 2),
    ],
)
def test_segments_are_counted_as_phones_do(text, count):
    assert segments(text) == count


@given(st.text(max_size=400), st.text(max_size=40))
def test_a_longer_text_never_takes_fewer_segments(text, more):
    assert segments(text) <= segments(text + more)


@pytest.mark.parametrize(
    "text",
    [
        "Your laser visit is on Monday",
        "How is your skin?",
        "Your CO2 session",
        "About your cold sore",
        "Time to stop RETINOL",
        "Start your antiviral tablets",
        "We saw scarring",
        "Your aftercare",
        "{{ clinic_name }}: resurfacing at nine",
    ],
)
def test_texts_that_tell_are_found(text):
    assert lint_discreet(text)


@pytest.mark.parametrize(
    "text",
    [
        "A message from your clinic",
        "Hi Ana, your visit is on Monday at 09:00. Questions? 020 7946 0000",
        "A few health questions before your visit: https://example.org/skin/laser/x",
        "Call this number",
        "{{ treatment_name_in_a_variable_is_the_templates_own_fault }}",
    ],
)
def test_discreet_texts_pass(text):
    assert lint_discreet(text, name="Ana") == []


def test_a_name_and_a_link_never_stand_together():
    assert lint_discreet("Hi Ana, see https://example.org/a", name="Ana") == [
        "A name and a link may not stand together."
    ]
    assert lint_discreet("Hi {{ first_name }}, see {{ link }}") == ["A name and a link may not stand together."]
    assert lint_discreet("Banana day: https://example.org/ana", name="Ana") == []


def test_long_texts_are_found_and_subjects_have_no_segments():
    assert lint_discreet("a" * 307) == ["The text takes 3 segments; 2 is the most."]
    assert lint_discreet("a" * 307, max_segments=None) == []


def test_the_clinics_own_name_is_its_own_choice():
    assert lint_discreet("Laser Skin Clinic: your visit is booked", allowed=["Laser Skin Clinic"]) == []


@given(st.integers(1, 500), st.text(max_size=20))
def test_waits_grow_to_an_hour_and_stay_apart(attempts, seed):
    wait = next_attempt(attempts, seed=seed)
    full = min(FIRST_WAIT * 3 ** min(attempts - 1, 10), LONGEST_WAIT)

    assert full * 0.75 <= wait <= full
    assert wait == next_attempt(attempts, seed=seed)


def test_messages_that_failed_together_do_not_come_back_together():
    assert len({next_attempt(3, seed=str(number)) for number in range(100)}) == 100


@pytest.mark.parametrize("attempts", [0, -1])
def test_there_is_no_wait_before_the_first_try(attempts):
    with pytest.raises(ValueError, match="first try"):
        next_attempt(attempts, seed="x")


def test_six_tries_take_less_than_an_hour():
    assert sum((next_attempt(number, seed="x") for number in range(1, 6)), timedelta()) < timedelta(hours=1)
