"""`screen`: the full shipped rules on mixed answers against a general library; screening a clinic's history anew."""

from __future__ import annotations

import itertools
import re
import resource
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection

from clinic.audit.states import Actor
from clinic.packs.models import RulePack
from clinic.packs.queries import published
from clinic.packs.states import PackKind
from clinic.premises.models import Location
from clinic.staff.models import User
from patients.candidacy.queries import pack_in_force, shipped_pack
from patients.candidacy.rules import Pack, screen
from patients.intake.models import QuestionnaireResponse
from patients.workshop.actions import save_draft, start_draft
from patients.workshop.queries import past_intakes, try_pack
from treatments.bench import ground
from treatments.bench.answers import answer_sets
from treatments.bench.crew import Crew
from treatments.bench.library import LibraryRules
from treatments.bench.rules import Cost, Count, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.states import Basis, Sense
from treatments.bench.timing import Clock, in_turn, once_in_turn

ON = date(2026, 11, 23)
GROWTH = 10
BATCH = 1000


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield screenings a second of `size` answer sets, then the re-screening of `size` and ten times as many rows."""
    yield from against_the_library(shipped_pack(), size, pairs)
    yield from anew(scratch, size, pairs)


def against_the_library(pack: Pack, size: int, pairs: int) -> Iterator[Figure]:
    """Yield the engine's rate against the library's. Raises RuntimeError if the two find different rules true."""
    sets = answer_sets(pack.questionnaire, size, ON)
    work = list(zip(sets, itertools.cycle(pack.group_of), strict=False))
    library = LibraryRules(pack, ON)
    _check_agreement(pack, library, work[:BATCH])
    found = Ratio(
        name="screen",
        unit="screening",
        floor="simpleeval, the same rules, two-valued and without reasons",
        pairs=in_turn(
            lambda: [screen(answers, pack, modality, ON) for answers, modality in work],
            lambda: [library.fired(answers, modality) for answers, modality in work],
            pairs,
            Clock(),
        ),
        units=len(work),
        goal=Goal(at_least=8),
        basis=Basis.CPU,
        sense=Sense.SHARE,
        note=f"{len(pack.rules)} rules, {len(pack.questionnaire.questions)} questions, three-valued, with reasons",
    )
    yield found
    rate = 1 / found.per_unit("app", Basis.CPU)
    yield Count("screen.rate", rate, "screenings a second of one core", Goal(at_least=60_000))


def _check_agreement(pack: Pack, library: LibraryRules, work: list[tuple[dict[str, object], str]]) -> None:
    for answers, modality in work:
        ours = {finding.rule for finding in screen(answers, pack, modality, ON).findings}
        theirs = set(library.fired(answers, modality))
        if ours != theirs:
            raise RuntimeError(f"Engine and library differ on {sorted(ours ^ theirs)}: no comparison to be made.")


def anew(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield what it takes to try a draft on past intakes, at `size` and at ten times as many, and the memory."""
    location = ground.make_place("Archive", practitioners=0, rooms=0)
    store_responses(location, size, GROWTH)
    lead = ground.make_staff(location, "lead@bench.example", role="lead_clinician")
    draft = _draft(lead)
    with Crew(1, scratch.url(), ground.FOLDER) as few, Crew(1, scratch.url(), ground.FOLDER) as many:
        given = {"user": lead.pk, "draft": draft.pk}
        small, large = _Trials(few, size, given), _Trials(many, size * GROWTH, given)
        found = Ratio(
            name="screen.growth",
            unit="row",
            floor=f"the same for {size:,} rows instead of {size * GROWTH:,}, a row",
            pairs=once_in_turn(large, small, pairs),
            units=1,
            goal=Goal(at_most=1.1),
            basis=Basis.CPU,
            note="an intake is unsealed, and screened by two packs for each group of lasers",
        )
    yield found
    yield Count("screen.anew", 1 / found.per_unit("app", Basis.WALL), "past intakes a second, one process")
    yield Count("screen.memory", large.peak, f"MB at most in {pairs} trials on {size * GROWTH:,} rows")
    yield Count("screen.memory.more", large.peak - small.peak, "MB more than for a tenth of them")


class _Trials:
    """Tries a draft on so many past intakes in a process of its own; the cost is that of one intake."""

    def __init__(self, crew: Crew, rows: int, given: dict[str, Any]) -> None:
        self.crew, self.rows, self.given = crew, rows, given
        self.peak = 0.0

    def __call__(self, number: int) -> Cost:
        (told,) = self.crew.work("treatments.bench.screen:try_stored", None, rows=self.rows, **self.given)
        if told["rows"] != self.rows:
            raise RuntimeError(f"Tried on {told['rows']} of {self.rows} stored responses.")
        self.peak = max(self.peak, told["peak_mb"])
        return Cost(told["wall"] / self.rows, told["cpu"] / self.rows)


def try_stored(rows: int, user: int, draft: int) -> dict[str, float]:
    """Try a draft of the rules on so many past intakes, as the lead clinician's workshop does; nothing is stored."""
    responses = past_intakes(User.objects.get(pk=user))[:rows]
    pack = RulePack.objects.get(pk=draft)
    cpu, wall = time.process_time(), time.perf_counter()
    trial = try_pack(draft=pack, responses=responses)
    return {
        "rows": trial.total - trial.unreadable,
        "changed": trial.changed,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _draft(user: User) -> RulePack:
    """Return a draft that asks for a longer wait after isotretinoin."""
    in_force = pack_in_force()
    body = re.sub(r"(?m)^(isotretinoin\s*=\s*)(\d+)", lambda found: f"{found[1]}{int(found[2]) + 60}", in_force.body)
    if body == in_force.body:
        raise RuntimeError("The shipped rules have no day count for isotretinoin any more: choose another to change.")
    by = Actor.staff(user)
    draft = start_draft(pack=in_force, by=by, at=ground.AT)
    return save_draft(pack=draft, body=body, shown=draft.sha256, by=by, at=ground.AT)


def store_responses(location: Location, size: int, times: int) -> None:
    """There are `size` frozen responses, each stored `times` times, every one a patient's own."""
    first = ground.make_patients(location, size * times)
    pack = published(PackKind.QUESTIONNAIRE, "intake")
    at = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    when = at.isoformat()
    sets: Iterator[dict[str, Any]] = iter(answer_sets(shipped_pack().questionnaire, size, ON))
    numbers = itertools.count(first)
    while batch := list(itertools.islice(sets, BATCH)):
        QuestionnaireResponse.objects.bulk_create(
            QuestionnaireResponse(
                patient_id=next(numbers),
                pack=pack,
                status="completed",
                started_at=at,
                completed_at=at,
                snapshot={key: {"value": value, "at": when, "by": "A patient"} for key, value in answers.items()},
            )
            for answers in batch
        )
    columns = "status, pack_id, started_at, completed_at, snapshot"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO patients_questionnaireresponse (ref, patient_id, {columns})"  # noqa: S608 - our own words
            f" SELECT gen_random_uuid(), r.patient_id + %(size)s * t, {columns} FROM patients_questionnaireresponse r"
            " CROSS JOIN generate_series(1, %(times)s - 1) AS t",
            {"size": size, "times": times},
        )
    ground.settle()
