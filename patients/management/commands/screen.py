"""`manage.py screen`: answers in, reasons out. Needs no database."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clinic.packfile import PackError
from patients.candidacy.queries import shipped_pack, shipped_questionnaire
from patients.candidacy.rules import Pack, ScreeningResult, load_pack, screen
from patients.intake.questionnaire import AnswerRefused
from patients.intake.rules import check_answers, parse_day

STDIN = "-"


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
        # Not splitlines(): that would also break a line at the separators that JSON allows within a string.
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
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

    try:
        # NaN and Infinity are read as numbers that no question takes, so that the refusal can name the key.
        parsed: object = json.loads(text, object_pairs_hook=once, parse_int=_whole)
    except RecursionError:
        raise BadInput(f"{where}: Nested too deeply to be answers.") from None
    return parsed


def _whole(digits: str) -> int | float:
    """Return the number; one too long for Python to read is as good as infinite, which no question takes."""
    try:
        return int(digits)
    except ValueError:
        return float("inf")


def _read(name: str) -> str:
    """Return the text of a file or of stdin. Raises BadInput naming it where it is not UTF-8."""
    content = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{_named(name)}: Not UTF-8: {error.reason} at byte {error.start}.") from None


def _named(name: str) -> str:
    return "stdin" if name == STDIN else name


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
        except (BadInput, PackError, OSError) as error:
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
            for result in screen_text(
                _read(name), _named(name), pack, modality=options["modality"], on=on, today=today
            ):
                self.stdout.write(result.as_json())


def _pack(file: str | None) -> Pack:
    if not file:
        return shipped_pack()
    return load_pack(_read(file), _named(file), shipped_questionnaire())
