"""A gateway has a message, and PostgreSQL falls before we can write that down: nothing is lost or said wrongly."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.faults.fallen import FALLS_AT, MANY

pytestmark = [pytest.mark.faults, pytest.mark.timeout(30 * 60)]


@pytest.fixture(scope="module")
def told():
    """What happened on each way out. One PostgreSQL of its own falls for all three: nobody else may be cut off."""
    environment = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "CELERY_KEYPREFIX"}}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.fallen"],
        cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    return told


@pytest.mark.parametrize("way", ["smtp", "http", "twilio"])
def test_what_was_taken_when_the_database_fell_is_not_known_and_then_resolved(told, way):
    told = told[way]
    assert (told["read by the gateway"] >= FALLS_AT, told["sender ended well"]) == (True, False)
    assert told["in doubt"] >= 1  # taken by the gateway, and not written down
    assert told["in doubt and arrived"] >= 1
    assert told["doubts on record"] == told["in doubt"]
    assert told["in doubt with a link"] == 1
    assert (told["lost"], told["chain"]) == ([], "")
    assert told["repeats without a doubt on record"] == []


def test_a_gateway_with_keys_is_asked_again_and_nothing_is_repeated(told):
    told = told["http"]
    assert (told["states"], told["repeats"], told["calls asked for"]) == ({"sent": MANY}, 0, 0)


def test_a_gateway_that_can_be_searched_is_searched_and_nothing_is_repeated(told):
    """But for the one with a personal link: its next text would be another, so a person asks."""
    told = told["twilio"]
    assert (told["states"], told["not known"]) == ({"sent": MANY - 1, "unknown": 1}, ["checkin"])
    assert (told["repeats"], told["calls asked for"]) == (0, 1)


def test_plain_mail_repeats_each_letter_in_doubt_once_and_never_one_with_a_link(told):
    told = told["smtp"]
    assert (told["states"], told["not known"]) == ({"sent": MANY - 1, "unknown": 1}, ["checkin"])
    assert (told["repeats"], told["calls asked for"]) == (told["in doubt and arrived"] - 1, 1)
