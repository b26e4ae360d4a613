"""`manage.py import_visits`: the visits of another calendar, through the same gates as any other."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.premises.models import Location
from treatments.imports.actions import import_visits
from treatments.imports.rules import MORE, NEEDED, TableUnreadable


class Command(BaseCommand):
    help = (
        f"Book the visits of a CSV file at one place. Columns: {', '.join(NEEDED)}; if wanted {', '.join(MORE)}; "
        "others are passed over. Dates as 2026-12-07, times as 14:30 on the clock of the place. Every gate of booking "
        "holds, patients are told as of any visit that is booked, a row that is refused says why, and the same file "
        "twice is once. Exit 1 if any row was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--place", required=True, help="the name of the location")
        parser.add_argument("--try", action="store_true", dest="only_try", help="say what would happen, keep nothing")

    def handle(self, *args: Any, file: Path, place: str, only_try: bool, **options: Any) -> None:
        here = Location.objects.filter(name=place, is_active=True).first()
        if here is None:
            raise CommandError(f"No place is called “{place}”.", returncode=2)
        by = Actor.command("import_visits")
        try:
            text = file.read_text(encoding="utf-8-sig")
            found = import_visits(text=text, place=here, by=by, at=timezone.now(), only_try=only_try)
        except (OSError, UnicodeDecodeError, TableUnreadable) as error:
            raise CommandError(f"{file}: {error}", returncode=2) from None
        for each in found:
            if each.why:
                self.stdout.write(f"line {each.line}: {each.why}")
        new, refused = sum(each.is_new for each in found), sum(bool(each.why) for each in found)
        would = "would be booked" if only_try else "booked"
        self.stdout.write(f"{new} {would}, {len(found) - new - refused} known already, {refused} refused.")
        if refused:
            raise CommandError("Some rows were refused.", returncode=1)
