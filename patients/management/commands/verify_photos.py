from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from patients.photos.actions import remove_strays
from patients.photos.queries import check_files


class Command(BaseCommand):
    help = "Compare every photo with its files: altered, missing, and files that belong to no photo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--remove-strays", action="store_true", help="delete files that belong to no photo")

    def handle(self, *args: Any, **options: Any) -> None:
        found = check_files(timezone.now())
        strays = found.strays
        if options["remove_strays"]:
            self.stdout.write(f"Removed {remove_strays(names=strays)} files that belonged to no photo.")
            strays = []
        for word, names in (("altered", found.altered), ("missing", found.missing), ("belongs to no photo", strays)):
            for name in names:
                self.stdout.write(f"{name}: {word}")
        if found.altered or found.missing or strays:
            raise CommandError("Photos and files do not fit together.")
        self.stdout.write(f"Photos: {found.photos}. Every file is as it was stored.")
