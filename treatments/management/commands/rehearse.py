import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic.catalogue import rules as catalogue_rules
from clinic.catalogue.rules import Catalogue, parse_catalogue
from clinic.catalogue.states import VisitKind
from treatments.plan.clock import to_utc
from treatments.plan.queries import NoProtocol, shipped_protocol
from treatments.plan.rules import LATE_STEP, Protocol, Visit, Wanted, plan
from treatments.plan.states import Condition
from treatments.protocols.rules import BOOKED_AHEAD, EVERYTHING, odd_wall_time

CATALOGUE = Path(catalogue_rules.__file__).resolve().parent.parent / "knowledge" / "catalogue.toml"


class Command(BaseCommand):
    help = (
        "Show every message of one journey on a sample visit: when it is read, in UTC, and why it was moved. "
        "Needs no database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--modality", required=True, help="a laser, as afl_co2, or consultation, review")
        parser.add_argument("--visit", required=True, metavar="LOCAL_TIME", help="as 2026-03-30T09:00")
        parser.add_argument("--zone", required=True, help="the clinic's time zone, as Europe/London")
        parser.add_argument("--booked", metavar="LOCAL_TIME", help="default: ten weeks before the visit")
        parser.add_argument(
            "--completed",
            metavar="LOCAL_TIME",
            help="when the treatment truly ended; default: as if at the time of the visit",
        )
        parser.add_argument("--patient-zone", help="where the patient lives, if not in the clinic's zone")
        parser.add_argument(
            "--if",
            action="append",
            dest="conditions",
            choices=[*Condition.values, "none"],
            help="only what this patient gets (repeatable); default: whatever any patient may get",
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="a JSON list, in order")

    def handle(self, *args: Any, **options: Any) -> None:
        catalogue = parse_catalogue(CATALOGUE.read_text(encoding="utf-8"), CATALOGUE.name)
        protocol = _protocol(options["modality"], catalogue)
        visit = _visit(options, catalogue)
        rows = [_row(wanted, protocol) for wanted in plan(visit, protocol)]
        if options["as_json"]:
            self.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False))
            return
        for row in rows:
            line = "{local:17} {utc:21} {step:17} {kind:15} {channel:6} {note}".format(**row)
            self.stdout.write(line.rstrip())


def _protocol(modality: str, catalogue: Catalogue) -> Protocol:
    offered = [entry.key for entry in catalogue.modalities if entry.is_enabled]
    known = [*offered, VisitKind.CONSULTATION.value, VisitKind.REVIEW.value]
    if modality not in known:
        raise _refusal(f"“{modality}” is not offered. Choose one of: {', '.join(known)}.")
    try:
        return shipped_protocol(modality)
    except NoProtocol as error:
        raise _refusal(str(error)) from None


def _visit(options: dict[str, Any], catalogue: Catalogue) -> Visit:
    zone = _zone("--zone", options["zone"])
    starts_at = _wall("--visit", options["visit"], zone)
    booked_at = _wall("--booked", options["booked"], zone) if options["booked"] else starts_at - BOOKED_AHEAD
    modality = options["modality"]
    is_treatment = modality in {entry.key for entry in catalogue.modalities}
    completed_at = to_utc(starts_at, zone) if is_treatment else None
    if options["completed"]:
        completed_at = to_utc(_wall("--completed", options["completed"], zone), zone)
    given = options["conditions"]
    return Visit(
        kind=VisitKind.TREATMENT if is_treatment else modality,
        modality=modality if is_treatment else "",
        starts_at=starts_at,
        zone=zone.key,
        booked_at=to_utc(booked_at, zone),
        completed_at=completed_at,
        conditions=EVERYTHING if given is None else frozenset(given) - {"none"},
        patient_zone=_zone("--patient-zone", options["patient_zone"]).key if options["patient_zone"] else None,
    )


def _row(wanted: Wanted, protocol: Protocol) -> dict[str, str]:
    needs = () if wanted.step == LATE_STEP else protocol.step(wanted.step).only_if
    only = f"only for: {' or '.join(Condition(need).label.lower() for need in needs)}" if needs else ""
    return {
        "step": wanted.step,
        "kind": wanted.kind.value,
        "channel": wanted.channel.value,
        "local": wanted.local.strftime("%Y-%m-%dT%H:%M"),
        "utc": wanted.due_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "note": "; ".join(part for part in (wanted.note, only) if part),
    }


def _wall(option: str, text: str, zone: ZoneInfo) -> datetime:
    """Return the wall time a person gave. One that the clock skips or shows twice that night is no plain answer."""
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        raise _refusal(f"{option}: “{text}” is not a time. Write it like 2026-03-30T09:00.") from None
    if wall.tzinfo is not None:
        raise _refusal(f"{option}: “{text}” names an offset. Give the time on the clinic's wall, and --zone.")
    if not 1970 <= wall.year <= 9000:
        raise _refusal(f"{option}: the year {wall.year} is out of reach.")
    if odd := odd_wall_time(wall, zone):
        raise _refusal(f"{option}: {odd}")
    return wall


def _zone(option: str, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise _refusal(f"{option}: “{name}” is not a time zone. Write it like Europe/London.") from None


def _refusal(sentence: str) -> CommandError:
    return CommandError(sentence, returncode=2)
