"""`dispatch`: messages a second over SMTP, fencing and audit on, against prepared bytes over one kept connection."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from patients.messaging.actions import dispatch
from patients.messaging.letter import as_letter, envelope_sender
from patients.messaging.models import Message
from patients.messaging.queries import variables_of
from patients.messaging.rendering import write_email
from patients.registry.models import Patient
from treatments.bench import ground, letters, sink
from treatments.bench.crew import Crew
from treatments.bench.rules import Cost, Figure, Goal, Ratio
from treatments.bench.scratch import Scratch
from treatments.bench.states import Sense
from treatments.bench.timing import once_in_turn

PATIENTS = 500
FEW = 10  # the tutorial's way is slow: a tenth of the messages tells enough
_ME = "treatments.bench.dispatch"


def bench(scratch: Scratch, size: int, pairs: int) -> Iterator[Figure]:
    """Yield messages a second of one worker against the floor and against one task a row, and of two against one."""
    location = ground.make_place("Post", practitioners=0, rooms=0)
    first = ground.make_patients(location, PATIENTS)
    ground.reach_by_email(first, PATIENTS)
    like = letters.make_template(location, Patient.objects.get(pk=first))
    ground.settle()
    with sink.running(ground.FOLDER) as (port, what):
        post = {"SMTP_HOST": sink.HOST, "SMTP_PORT": str(port), "SMTP_STARTTLS": "0", "SMTP_USER": ""}
        url = scratch.url()
        with Crew(1, url, ground.FOLDER, **post) as one, Crew(2, url, ground.FOLDER, **post) as two:

            def sent_by(crew: Crew, job: str, count: int) -> Cost:
                letters.plan_many(like, count, first, PATIENTS)
                ground.run("ANALYZE patients_message")
                return drained(crew, f"{_ME}:{job}", count)

            for crew in (one, two):
                sent_by(crew, "drain", max(size // FEW, 1))
            alone = once_in_turn(
                lambda number: sent_by(one, "drain", size),
                lambda number: summed(one.work(f"{_ME}:post_prepared", count=size, port=port, key=like.pk)),
                pairs,
            )
            yield Ratio(
                name="dispatch",
                unit="message",
                floor="smtplib over one kept connection, prepared bytes",
                pairs=alone,
                units=size,
                goal=Goal(at_least=0.6),
                sense=Sense.SHARE,
                note=f"into {what}; CPU without the database's",
            )
            few = max(size // FEW, 1)
            tutorial = once_in_turn(
                lambda number: _per(sent_by(one, "drain", few), few),
                lambda number: _per(sent_by(one, "send_one_by_one", few), few),
                pairs,
            )
            yield Ratio(
                name="dispatch.tutorial",
                unit="message",
                floor="a task a row: read it, render it, a new connection, send, save; no broker, no fencing, no audit",
                pairs=tutorial,
                units=1,
                goal=Goal(at_least=8),
                sense=Sense.SHARE,
            )
            yield Ratio(
                name="dispatch.two",
                unit="message",
                floor="one worker on as many messages",
                pairs=once_in_turn(
                    lambda number: sent_by(two, "drain", size), lambda number: sent_by(one, "drain", size), pairs
                ),
                units=size,
                goal=Goal(at_least=1.6),
                sense=Sense.SHARE,
                note="two workers; needs more than two cores to show: database and sink want theirs too",
            )


def drained(crew: Crew, job: str, count: int) -> Cost:
    """Return what it cost the crew to send so many messages. Raises RuntimeError if it sent another number."""
    told = crew.work(job)
    done = sum(each["sent"] for each in told)
    if done != count:
        raise RuntimeError(f"{done} of {count} messages were sent.")
    return summed(told)


def summed(told: list[dict[str, Any]]) -> Cost:
    """Return the cost of a crew: the wall time of its slowest, the CPU time of all."""
    return Cost(max(each["wall"] for each in told), sum(each["cpu"] for each in told))


def _per(cost: Cost, units: int) -> Cost:
    return Cost(cost.wall / units, cost.cpu / units)


def timed(work: Callable[[], int]) -> dict[str, Any]:
    """Do the work and return what it sent, and its time on both clocks."""
    cpu, wall = time.process_time(), time.perf_counter()
    sent = work()
    return {"sent": sent, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


# --- what a member of the crew does ---------------------------------------------------------------------------------


def drain() -> dict[str, Any]:
    """Send what is due as the Celery task does: tick after tick until nothing is."""

    def work() -> int:
        sent = 0
        while done := dispatch(at=letters.AT):
            sent += done
        return sent

    return timed(work)


def post_prepared(count: int, port: int, key: int) -> dict[str, Any]:
    """Hand over the same letter so often, rendered before. The floor."""
    message = Message.objects.select_related("location", "patient").get(pk=key)
    variables = variables_of(message)
    letter = as_letter(write_email(message.template, variables), to="p1@mail.example", ref=message.ref, at=letters.AT)
    sender = envelope_sender()

    def work() -> int:
        with smtplib.SMTP(sink.HOST, port) as line:
            for _ in range(count):
                line.sendmail(sender, ["p1@mail.example"], letter)
        return count

    return timed(work)


def send_one_by_one() -> dict[str, Any]:
    """Send what is due as tutorials do: each row by itself, through Django's mail classes and a new connection."""

    def work() -> int:
        due = Message.objects.filter(status="planned", try_at__lte=letters.AT)
        keys = list(due.values_list("pk", flat=True))
        for key in keys:
            message = Message.objects.select_related("patient", "location").get(pk=key)
            contact = message.patient.contacts.select_related("point").first() if message.patient else None
            written = write_email(message.template, variables_of(message))
            mail = EmailMultiAlternatives(
                written.subject, written.text, to=[contact.point.value if contact else "p1@mail.example"]
            )
            mail.attach_alternative(written.html, "text/html")
            mail.send()
            message.status, message.sent_at = "sent", timezone.now()
            message.save()
        return len(keys)

    return timed(work)
