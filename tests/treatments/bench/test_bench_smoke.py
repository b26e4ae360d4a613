"""Each benchmark runs on a handful of rows and says what it should. No test here looks at a clock."""

import os
from collections import Counter
from datetime import date

import pytest
from celery import current_app

from patients.candidacy.queries import shipped_pack
from patients.candidacy.rules import screen
from patients.intake.rules import check_answers
from treatments.bench import timing
from treatments.bench.answers import answer_sets
from treatments.bench.benches import BENCHES
from treatments.bench.library import LibraryRules
from treatments.bench.rules import Ratio
from treatments.bench.scratch import NAME, scratch_database

SMALL = {
    "screen": 6,
    "slots": 200,
    "races": 3,
    "diary": 20,
    "claim": 40,
    "history": 800,
    "dispatch": 20,
    "sms": 20,
    "plan": 3,
    "search": 60,
    "board": 4,
    "start": 1,
}
ON = date(2026, 11, 23)
# What a bench must find whatever the machine: nobody twice, no statement for each row.
ALWAYS = ["races.doubles", "races.deadlocks", "search.skips", "diary.queries", "diary.more"]


@pytest.fixture(scope="module")
def ready(worker_id, django_db_blocker):
    """A migrated database, once for all benchmarks of this worker."""
    name = f"{NAME}_{worker_id}_smoke"
    with django_db_blocker.unblock(), scratch_database(os.environ["DATABASE_URL"], name) as scratch:
        yield scratch


@pytest.fixture(params=sorted(BENCHES))
def figures(request, ready, monkeypatch):
    """The figures of one benchmark, on a fresh copy; nobody reads its times, so short runs are not repeated."""
    monkeypatch.setattr(timing, "LEAST_SECONDS", 0)
    name = request.param
    with ready.copy("one") as scratch:
        scratch.use()
        yield name, list(BENCHES[name].run(scratch, SMALL[name], 5))


@pytest.mark.timeout(1200)
def test_a_benchmark_measures_both_sides_and_finds_what_must_be_so(figures):
    name, found = figures
    names = [each.name for each in found]

    assert all(each == name or each.startswith(f"{name}.") for each in names)
    assert [each for each, count in Counter(names).items() if count > 1] == []
    ratios = [each for each in found if isinstance(each, Ratio)]
    assert ratios
    for each in ratios:
        assert len(each.pairs) == 5
        assert all(pair.app.wall > 0 and pair.floor.wall > 0 for pair in each.pairs)
    assert [each.name for each in found if each.name in ALWAYS and not each.is_met] == []


def test_answer_sets_are_well_formed_mixed_and_the_same_every_time():
    questionnaire = shipped_pack().questionnaire

    sets = answer_sets(questionnaire, 400, ON)

    assert sets == answer_sets(questionnaire, 400, ON)
    for answers in sets:
        check_answers(questionnaire, answers)
    outcomes = Counter(screen(answers, shipped_pack(), "nafl_1550", ON).outcome for answers in sets)
    assert len(outcomes) == 5
    assert max(outcomes.values()) < 300


@pytest.mark.parametrize("modality", ["afl_co2", "nafl_1550", "pico_755", "full"])
def test_the_librarys_rules_are_the_engines_rules(modality):
    pack = shipped_pack()
    library = LibraryRules(pack, ON)

    for answers in answer_sets(pack.questionnaire, 300, ON):
        ours = {finding.rule for finding in screen(answers, pack, modality, ON).findings}
        assert set(library.fired(answers, modality)) == ours


def test_the_scratch_database_does_not_ring_the_clinics_workers(ready):
    assert ready.name.startswith(NAME)
    assert current_app.conf.broker_url == "memory://"
