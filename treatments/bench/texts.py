"""`sms`: texts a second over HTTP, fencing and audit on, against prepared bytes over a bare urllib3 pool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import urllib3

from patients.messaging.models import Message
from patients.messaging.queries import variables_of
from patients.messaging.rendering import write_sms
from patients.messaging.states import Channel
from patients.registry.models import Patient
from treatments.bench import dispatch, ground, letters, sink
from treatments.bench.crew import Crew
from treatments.bench.rules import Cost, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.states import Sense
from treatments.bench.timing import once_in_turn

PATIENTS = 500
_TO = "+447000000001"
_TOKEN = "bench"  # noqa: S105 - of a sink that asks for none
_ME = "treatments.bench.texts"


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield texts a second of one worker against the floor."""
    location = ground.make_place("Phone", practitioners=0, rooms=0)
    first = ground.make_patients(location, PATIENTS)
    ground.reach_by_phone(first, PATIENTS)
    like = letters.make_template(location, Patient.objects.get(pk=first), channel=Channel.SMS)
    ground.settle()
    with sink.texts(ground.FOLDER) as port:
        url = f"http://{sink.HOST}:{port}/messages"
        gateway = {"SMS_GATEWAY": "http", "SMS_HTTP_URL": url, "SMS_HTTP_TOKEN": _TOKEN, "SMS_A_MINUTE": "0"}
        with Crew(1, scratch.url(), ground.FOLDER, **gateway) as one:

            def sent(count: int) -> Cost:
                letters.plan_many(like, count, first, PATIENTS)
                ground.run("ANALYZE patients_message")
                return dispatch.drained(one, "treatments.bench.dispatch:drain", count)

            sent(max(size // 10, 1))
            yield Ratio(
                name="sms",
                unit="text",
                floor="prepared bytes over one kept connection of a urllib3 pool",
                pairs=once_in_turn(
                    lambda number: sent(size),
                    lambda number: dispatch.summed(one.work(f"{_ME}:post_prepared", count=size, url=url, key=like.pk)),
                    pairs,
                ),
                units=size,
                goal=Goal(at_least=0.5),
                sense=Sense.SHARE,
                note="into an asyncio sink; CPU without the database's",
            )


def post_prepared(count: int, url: str, key: int) -> dict[str, Any]:
    """Hand over the same text so often, written before, and read each answer. The floor."""
    message = Message.objects.select_related("location", "patient").get(pk=key)
    ref = str(message.ref)
    body = json.dumps(
        {"to": _TO, "text": write_sms(message.template, variables_of(message)).text, "reference": ref},
        ensure_ascii=False,
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Idempotency-Key": ref,
        "Authorization": f"Bearer {_TOKEN}",
    }

    def work() -> int:
        with urllib3.PoolManager(maxsize=1) as pool:
            return sum(pool.request("POST", url, body=body, headers=headers).status == 201 for _ in range(count))

    return dispatch.timed(work)
