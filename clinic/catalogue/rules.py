"""The catalogue as data: what can be treated, where, with what, in how long. Checked when it is read."""

from __future__ import annotations

from dataclasses import dataclass

from clinic.catalogue.states import Group, VisitKind
from clinic.packfile import Item, Pack

_GROUP_OF_PREFIX = {"afl": Group.AFL, "nafl": Group.NAFL, "pico": Group.PICO, "full": Group.FULL}


@dataclass(frozen=True)
class ModalityEntry:
    """A kind of laser. Intervals and downtime in days; no wavelength where none is meant."""

    key: str
    label: str
    patient_label: str
    group: Group
    is_ablative: bool
    wavelength_nm: int | None
    min_interval_days: int
    min_interval_after_afl_days: int
    max_interval_days: int | None
    downtime_days_from: int
    downtime_days_to: int
    downtime_note: str
    is_enabled: bool
    source: str


@dataclass(frozen=True)
class AreaEntry:
    key: str
    label: str
    is_face: bool
    has_sides: bool
    source: str


@dataclass(frozen=True)
class ConcernEntry:
    key: str
    label: str
    source: str


@dataclass(frozen=True)
class DeviceEntry:
    key: str
    make: str
    model: str
    modality: str
    wavelength_nm: int
    source: str
    note: str


@dataclass(frozen=True)
class AppointmentTypeEntry:
    """A visit in phases, in minutes: before (numbing), work, after (clean-up)."""

    key: str
    kind: VisitKind
    label: str
    patient_label: str
    minutes_before: int
    minutes_work: int
    minutes_after: int
    practitioner_joins_after: int
    modality_group: str
    is_bookable_online: bool
    source: str
    note: str


@dataclass(frozen=True)
class Catalogue:
    modalities: tuple[ModalityEntry, ...]
    areas: tuple[AreaEntry, ...]
    concerns: tuple[ConcernEntry, ...]
    devices: tuple[DeviceEntry, ...]
    appointment_types: tuple[AppointmentTypeEntry, ...]

    def modality(self, key: str) -> ModalityEntry:
        """Return the modality of that key. Raises KeyError if there is none."""
        for entry in self.modalities:
            if entry.key == key:
                return entry
        raise KeyError(key)


def group_of(modality: str) -> Group:
    """Return the group a modality key belongs to. Raises ValueError for a key of no group."""
    try:
        return _GROUP_OF_PREFIX[modality.partition("_")[0]]
    except KeyError:
        raise ValueError(f"“{modality}” is not a modality.") from None


def parse_catalogue(text: str, name: str) -> Catalogue:
    """Return the checked catalogue. Raises PackError with file, line and item."""
    pack = Pack(text, name)
    pack.only("catalogue", "modality", "area", "concern", "device", "appointment_type")
    pack.one("catalogue").only("name", "title")
    modalities = tuple(_modality(item) for item in pack.many("modality"))
    by_key = {entry.key: entry for entry in modalities}
    return Catalogue(
        modalities=modalities,
        areas=tuple(_area(item) for item in pack.many("area")),
        concerns=tuple(_concern(item) for item in pack.many("concern")),
        devices=tuple(_device(item, by_key) for item in pack.many("device")),
        appointment_types=tuple(_appointment_type(item) for item in pack.many("appointment_type")),
    )


def _modality(item: Item) -> ModalityEntry:
    item.only(*ModalityEntry.__dataclass_fields__, "needs_decision", "note")
    entry = ModalityEntry(
        key=item.text("key"),
        label=item.text("label"),
        patient_label=item.text("patient_label"),
        group=Group(item.one_of("group", Group.values)),
        is_ablative=item.flag("is_ablative"),
        wavelength_nm=item.maybe_integer("wavelength_nm"),
        min_interval_days=item.integer("min_interval_days"),
        min_interval_after_afl_days=item.integer("min_interval_after_afl_days"),
        max_interval_days=item.maybe_integer("max_interval_days"),
        downtime_days_from=item.integer("downtime_days_from"),
        downtime_days_to=item.integer("downtime_days_to"),
        downtime_note=item.text("downtime_note", ""),
        is_enabled=item.flag("is_enabled", True),
        source=item.source(),
    )
    if _GROUP_OF_PREFIX.get(entry.key.partition("_")[0]) != entry.group:
        item.refuse(f"The key must begin with its group, {entry.group.lower()}_.", "key")
    if entry.is_ablative != (entry.group in {Group.AFL, Group.FULL}):
        item.refuse("Ablative is what AFL and FULL are, and nothing else.", "is_ablative")
    if entry.is_enabled and (entry.min_interval_days < 1 or entry.wavelength_nm is None):
        item.refuse("What is offered needs a wavelength and an interval of at least a day.", "is_enabled")
    if entry.downtime_days_from > entry.downtime_days_to:
        item.refuse("The downtime ends before it begins.", "downtime_days_to")
    return entry


def _area(item: Item) -> AreaEntry:
    item.only("key", "label", "is_face", "has_sides", "source")
    return AreaEntry(
        key=item.text("key"),
        label=item.text("label"),
        is_face=item.flag("is_face"),
        has_sides=item.flag("has_sides"),
        source=item.source(),
    )


def _concern(item: Item) -> ConcernEntry:
    item.only("key", "label", "source")
    return ConcernEntry(key=item.text("key"), label=item.text("label"), source=item.source())


def _device(item: Item, modalities: dict[str, ModalityEntry]) -> DeviceEntry:
    item.only("key", "make", "model", "modality", "wavelength_nm", "source", "needs_decision", "note")
    modality = item.one_of("modality", modalities)
    wavelength = item.integer("wavelength_nm")
    if modalities[modality].wavelength_nm != wavelength:
        item.refuse(f"{modality} is not {wavelength} nm.", "wavelength_nm")
    return DeviceEntry(
        key=item.text("key"),
        make=item.text("make"),
        model=item.text("model"),
        modality=modality,
        wavelength_nm=wavelength,
        source=item.source(),
        note=item.text("note", ""),
    )


def _appointment_type(item: Item) -> AppointmentTypeEntry:
    item.only(*AppointmentTypeEntry.__dataclass_fields__, "needs_decision")
    entry = AppointmentTypeEntry(
        key=item.text("key"),
        kind=VisitKind(item.one_of("kind", VisitKind.values)),
        label=item.text("label"),
        patient_label=item.text("patient_label"),
        minutes_before=item.integer("minutes_before", 0),
        minutes_work=item.integer("minutes_work"),
        minutes_after=item.integer("minutes_after", 0),
        practitioner_joins_after=item.integer("practitioner_joins_after", 0),
        modality_group=item.one_of("modality_group", Group.values, ""),
        is_bookable_online=item.flag("is_bookable_online"),
        source=item.source(),
        note=item.text("note", ""),
    )
    if entry.minutes_work < 1 or min(entry.minutes_before, entry.minutes_after) < 0:
        item.refuse("A visit takes at least a minute, and no phase less than none.", "minutes_work")
    if not 0 <= entry.practitioner_joins_after <= entry.minutes_before + entry.minutes_work:
        item.refuse("The practitioner must join before the work ends.", "practitioner_joins_after")
    return entry
