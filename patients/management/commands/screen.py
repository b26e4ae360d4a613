"""`manage.py screen`: answers in, reasons out. Needs no database."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clinic.packfile import PackError
from patients.candidacy.queries import shipped_pack, shipped_questionnaire
from patients.candidacy.rules import Pack, ScreeningResult, load_pack, screen
from patients.intake.rules import AnswerRefused, check_answers, parse_day


class BadInput(Exception):
    """A file cannot be screened: which file, which record, which key, and why."""


def screen_text(
    text: str, file: str, pack: Pack, *, modality: str = "", on: date | None = None, today: date
) -> Iterator[ScreeningResult]:
    """Yield one result for each answer set of a text: a JSON object, a list of them, or JSON lines.

    `modality` and `on` win over `modality` and `reference_date` among the answers; without either day, `today`
    counts. Raises BadInput naming file, record and key.
    """
    for where, record in _records(text, file):
        try:
            answers = check_answers(pack.questionnaire, record)
            chosen = modality or str(answers.get("modality", ""))
            if not chosen:
                raise AnswerRefused("modality", "Name it with --modality, or among the answers.")
            day = on or parse_day(answers.get("reference_date")) or today
            yield screen(answers, pack, chosen, day)
        except AnswerRefused as refused:
            key = f"{refused.field}: " if refused.field else ""
            raise BadInput(f"{where}: {key}{refused.for_people}") from None


def _records(text: str, file: str) -> Iterator[tuple[str, object]]:
    """Yield each record with where it stands. A text that is no JSON as a whole is read line by line."""
    try:
        whole = _parse(text, file)
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].lstrip().startswith("{") or error.msg != "Extra data":
            raise BadInput(f"{file}:{error.lineno}: Not JSON: {error.msg}.") from None
        for number, line in lines:
            try:
                yield f"{file}:{number}", _parse(line, f"{file}:{number}")
            except json.JSONDecodeError as wrong:
                raise BadInput(f"{file}:{number}: Not JSON: {wrong.msg}.") from None
        return
    if isinstance(whole, list):
        yield from ((f"{file}: record {number}", record) for number, record in enumerate(whole, 1))
    else:
        yield file, whole


def _parse(text: str, where: str) -> object:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        record: dict[str, object] = {}
        for key, value in pairs:
            if key in record:
                raise BadInput(f"{where}: {key}: This key stands twice.")
            record[key] = value
        return record

    def no_number(word: str) -> NoReturn:
        raise BadInput(f"{where}: {word} is no JSON number.")

    try:
        parsed: object = json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except RecursionError:
        raise BadInput(f"{where}: Nested too deeply to be answers.") from None
    return parsed


class Command(BaseCommand):
    help = "Screen answers with the shipped rules, or with a pack file. One JSON result a line; exit 2 on bad input."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--modality", default="", help="for example afl_co2; else taken from each record")
        parser.add_argument("--on", metavar="DATE", help="compare waiting times with this day; default today")
        parser.add_argument("--pack", metavar="FILE", help="another pack of candidacy rules, in TOML")
        parser.add_argument("files", nargs="+", metavar="FILE", help="JSON object, list or JSON lines; - is stdin")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._screen(options)
        except (BadInput, PackError, OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error), returncode=2) from None

    def _screen(self, options: dict[str, Any]) -> None:
        pack = _pack(options["pack"])
        on = parse_day(options["on"]) if options["on"] else None
        if options["on"] and on is None:
            raise BadInput(f"--on: “{options['on']}” is no date. Write year-month-day, for example 2026-03-31.")
        if options["modality"] and options["modality"] not in pack.group_of:
            raise BadInput(f"--modality: “{options['modality']}” is unknown. Known: {', '.join(pack.group_of)}.")
        today = timezone.localdate()
        for name in options["files"]:
            file = "stdin" if name == "-" else name
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
            for result in screen_text(text, file, pack, modality=options["modality"], on=on, today=today):
                self.stdout.write(result.as_json())


def _pack(file: str | None) -> Pack:
    if not file:
        return shipped_pack()
    return load_pack(Path(file).read_text(encoding="utf-8"), file, shipped_questionnaire())
