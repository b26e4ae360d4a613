import sys
from typing import Any

from django.core.management.base import BaseCommand

from clinic.audit.queries import walk_chain


class Command(BaseCommand):
    help = "Walk the hash chain of the audit trail; exit 1 and name the first broken event if it was tampered with."

    def handle(self, *args: Any, **options: Any) -> None:
        report = walk_chain()
        if report.broken:
            self.stdout.write(f"BROKEN after {report.events} events: {report.broken}.")
            sys.exit(1)
        self.stdout.write(f"{report.events} events, unbroken. Head {report.head or '(empty)'}.")
