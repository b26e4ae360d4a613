"""A gateway has a message, and PostgreSQL falls before we can write that down: nothing is lost or said wrongly."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.faults.fallen import FALLS_AT, MANY

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not os.environ.get("AFTERGLOW_FAULTS"), reason="part of make faults"),
    pytest.mark.timeout(30 * 60),
]


def test_what_was_taken_when_the_database_fell_is_not_known_and_then_resolved():
    """One test for all ways out: the PostgreSQL that falls is one of its own, and takes long to set up."""
    environment = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "CELERY_KEYPREFIX"}}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.fallen"],
        cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(json.dumps(told, indent=1) + "\n")

    for way in told.values():
        assert (way["read by the gateway"] >= FALLS_AT, way["sender ended well"]) == (True, False)
        assert way["in doubt"] >= 1  # taken by the gateway, and not written down
        assert way["in doubt and arrived"] >= 1
        assert way["doubts on record"] == way["in doubt"]
        assert way["in doubt with a link"] == 1
        assert (way["lost"], way["repeats without a doubt on record"], way["chain"]) == ([], [], "")
    # With keys: asked again, and nothing is repeated.
    keyed = told["http"]
    assert (keyed["states"], keyed["repeats"], keyed["calls asked for"]) == ({"sent": MANY}, 0, 0)
    # With a look-up: searched, but for the one with a personal link. Its next text would be another: a person asks.
    searched = told["twilio"]
    assert (searched["states"], searched["not known"]) == ({"sent": MANY - 1, "unknown": 1}, ["checkin"])
    assert (searched["repeats"], searched["calls asked for"]) == (0, 1)
    # Plain mail repeats each letter in doubt once, and never one with a link.
    plain = told["smtp"]
    assert (plain["states"], plain["not known"]) == ({"sent": MANY - 1, "unknown": 1}, ["checkin"])
    assert (plain["repeats"], plain["calls asked for"]) == (plain["in doubt and arrived"] - 1, 1)
