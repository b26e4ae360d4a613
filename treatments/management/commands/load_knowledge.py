from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clinic.audit.states import Actor
from clinic.catalogue.actions import load_catalogue
from clinic.catalogue.rules import parse_catalogue
from clinic.packs.actions import load_shipped
from clinic.packs.rules import PackError
from clinic.packs.states import PackKind
from patients.candidacy.queries import shipped_questionnaire
from patients.candidacy.rules import load_pack
from patients.consent.actions import load_wordings
from patients.intake.pack import load_questionnaire
from patients.letters.queries import check_letter, shipped_packs
from treatments.aftercare.rules import parse_triage
from treatments.plan.rules import parse_protocol
from treatments.sessions.rules import parse_settings

# Folder of a floor's knowledge -> its kind and what reads, and so checks, its files.
SHELVES: list[tuple[str, PackKind, Callable[[str, str], object]]] = [
    ("patients/knowledge/questionnaire", PackKind.QUESTIONNAIRE, load_questionnaire),
    (
        "patients/knowledge/candidacy",
        PackKind.CANDIDACY,
        lambda text, name: load_pack(text, name, shipped_questionnaire()),
    ),
    ("treatments/knowledge/care", PackKind.CARE, parse_protocol),
    ("treatments/knowledge/triage", PackKind.TRIAGE, parse_triage),
    ("treatments/knowledge/sessions", PackKind.SESSIONS, parse_settings),
]


class Command(BaseCommand):
    help = "Load the catalogue; put shipped rules, questionnaires and protocols in force where the clinic has none."

    def handle(self, *args: Any, **options: Any) -> None:
        by, at = Actor.command("load_knowledge"), timezone.now()
        try:
            path = settings.BASE_DIR / "clinic/knowledge/catalogue.toml"
            load_catalogue(catalogue=parse_catalogue(path.read_text(encoding="utf-8"), path.name), by=by, at=at)
            for folder, kind, check in SHELVES:
                for path in sorted(Path(settings.BASE_DIR / folder).glob("*.toml")):
                    body = path.read_text(encoding="utf-8")
                    check(body, path.name)
                    load_shipped(kind=kind, name=path.stem, body=body, by=by, at=at)
            for name, body in shipped_packs():
                check_letter(body, name)
                load_shipped(kind=PackKind.LETTER, name=name, body=body, by=by, at=at)
            load_wordings(by=by, at=at)
        except PackError as refused:
            raise CommandError(str(refused)) from refused
