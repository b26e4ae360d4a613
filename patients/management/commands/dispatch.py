"""`manage.py dispatch`: one tick of the sender, for cron and for trying things out."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from patients.messaging.actions import dispatch
from patients.messaging.queries import database_clock


class Command(BaseCommand):
    help = "Send what is due: one tick of the sender, as the Celery beat rings it every 15 seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=100, help="how many messages to claim at most")

    def handle(self, *args: Any, limit: int, **options: Any) -> None:
        count = dispatch(at=database_clock(), limit=limit)
        self.stdout.write(f"{count} {'message' if count == 1 else 'messages'} dealt with.")
