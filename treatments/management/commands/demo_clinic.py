from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.catalogue.rules import parse_catalogue
from clinic.staff.models import User
from patients.messaging.models import Message
from patients.messaging.sender import dispatch
from patients.messaging.states import MessageStatus
from treatments.aftercare.alarms import climb_due
from treatments.aftercare.silence import note_missed_checkins
from treatments.demo.actions import build_clinic, ring_the_silent

DEMO = Actor.command("demo")
A_LITTLE = timedelta(minutes=5)


class Command(BaseCommand):
    help = "Fill empty tables with a synthetic clinic that looks lived in, and send what it would have sent by now."

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")  # a power cut here costs a made-up clinic, no more
        path = settings.BASE_DIR / "clinic/knowledge/catalogue.toml"
        if build_clinic(catalogue=parse_catalogue(path.read_text(encoding="utf-8"), path.name), by=DEMO, at=at):
            send_the_past(at)


def send_the_past(at: datetime) -> None:
    """Every message due by now has gone out at its own time, five minutes more or less."""
    while (due := _next_due(at)) is not None:
        tick = min(due + A_LITTLE, at)
        while dispatch(at=tick):
            pass
    note_missed_checkins(by=DEMO, at=at)
    ring_the_silent(before=at - timedelta(days=2), by=Actor.staff(User.objects.get(email="tom.wren@demo.example")))
    climb_due(by=DEMO, at=at)


def _next_due(at: datetime) -> datetime | None:
    planned = Message.objects.filter(status=MessageStatus.PLANNED, try_at__lte=at).order_by("try_at")
    return planned.values_list("try_at", flat=True).first()
