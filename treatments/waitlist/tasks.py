"""The waitlist's doorbell. The tables hold who waits and what runs out; this only looks."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from clinic.audit.states import Actor
from treatments.waitlist.actions import sweep_waitlist


@shared_task(name="waitlist.sweep")
def sweep() -> None:
    """Offers that ran out have ended, and freed times are offered on. Safe twice."""
    sweep_waitlist(by=Actor.task("waitlist.sweep"), at=timezone.now())
