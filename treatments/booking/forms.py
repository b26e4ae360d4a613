"""Forms of the desk: booking, moving and cancelling. Choices are what the place, the patient and the day allow."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django import forms
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy as _

from clinic.audit.states import Refused
from clinic.catalogue.models import AppointmentType, Modality
from clinic.premises.models import Location
from clinic.staff.models import Practitioner
from patients.registry.forms import RefusableForm
from patients.registry.models import Patient
from treatments.booking.queries import devices_for, practitioners_at, rooms_at
from treatments.booking.rules import first_instant
from treatments.booking.states import DESK_REASONS
from treatments.courses.models import Course
from treatments.courses.queries import courses_of
from treatments.courses.states import CourseStatus

LONGEST_NOTE = 400
ANY = "any"


@dataclass(frozen=True)
class Purpose:
    """What a visit is for: a type, and the course it belongs to if it touches skin."""

    type: AppointmentType
    course: Course | None = None

    @property
    def value(self) -> str:
        return f"{self.type.key}~{self.course.ref}" if self.course else self.type.key

    @property
    def modality(self) -> str:
        return self.course.modality if self.course else ""

    def label(self, modalities: dict[str, Modality]) -> str:
        if self.course is None:
            return self.type.label
        number = min(self.course.sessions_done + 1, self.course.sessions_planned)
        laser = modalities[self.course.modality].label
        kind = self.type.label.partition(",")[0]
        return f"{kind}: {laser}, session {number} of {self.course.sessions_planned}"


def purposes_for(patient: Patient) -> list[Purpose]:
    """Return what the patient can be booked for: talks always, treatments within an open course."""
    types = list(AppointmentType.objects.all())
    groups = dict(Modality.objects.values_list("key", "group"))
    found = [Purpose(type) for type in types if not type.modality_group]
    for course in courses_of(patient):
        if course.status == CourseStatus.ACTIVE:
            own = [type for type in types if type.modality_group == groups.get(course.modality)]
            # Treatments before test spots: what is booked most stands first.
            found += [Purpose(type, course) for type in sorted(own, key=lambda type: type.kind != "treatment")]
    return found


def parse_start(value: str) -> tuple[datetime, uuid.UUID] | None:
    """Return the instant and the practitioner's ref of an offered time, None for anything else."""
    text, _tilde, ref = value.partition("~")
    try:
        starts_at = parse_datetime(text)
        who = uuid.UUID(ref)
    except ValueError:
        return None
    return (starts_at, who) if starts_at is not None and starts_at.tzinfo is not None else None


class TimeField(forms.CharField):
    """One of the offered times: an instant, and with whom."""

    def clean(self, value: Any) -> tuple[datetime, uuid.UUID] | None:
        text = super().clean(value)
        if not text:
            return None
        found = parse_start(text)
        if found is None:
            raise forms.ValidationError(_("Please choose one of the times."))
        return found


class Pick(forms.ChoiceField):
    """A list whose first choice is meant when nothing was sent."""

    def clean(self, value: Any) -> Any:
        return super().clean(value or ANY)


class DayField(forms.DateField):
    """The day shown; a time that was chosen carries its own."""

    def clean(self, value: Any) -> Any:
        return super().clean(value) if value else None


class WhenForm(RefusableForm):
    """Who, where and when: what booking and moving share."""

    fields: dict[str, Any]
    practitioner = Pick(label=_("With"))
    day = DayField(label=_("Day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    starts_at = TimeField(label=_("Time"), required=False)
    other_time = forms.TimeField(
        label=_("Another time"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=_("For a time that is not offered. Name the practitioner too."),
    )
    room = Pick(label=_("Room"))
    device = Pick(label=_("Device"))
    override_reason = forms.CharField(
        label=_("Why is the rule set aside?"),
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Needs a clinician. The reason and your name stay on the visit for ever."),
    )

    def __init__(self, *args: Any, location: Location, may_override: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.location, self.may_override = location, may_override

    def offer(self, people: Sequence[Practitioner], type: AppointmentType | None, modality: str) -> None:
        """The lists hold who and what this visit could have."""
        self.people = {str(person.ref): person for person in people}
        self.rooms = {str(room.ref): room for room in rooms_at(self.location)}
        self.devices = {str(each.ref): each for each in (devices_for(self.location, type, modality) if type else [])}
        self.fields["practitioner"].choices = [
            (ANY, _("Anyone who is free")),
            *((ref, str(each)) for ref, each in self.people.items()),
        ]
        self.fields["room"].choices = [(ANY, _("The first that is free")), *self._named(self.rooms)]
        self.fields["device"].choices = [(ANY, _("The first that is free")), *self._named(self.devices)]
        if not self.devices:
            del self.fields["device"]

    def _named(self, things: dict[str, Any]) -> list[tuple[str, str]]:
        return [(ref, str(thing)) for ref, thing in things.items()]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["room"] = self.rooms.get(cleaned.get("room") or "")
        cleaned["device"] = self.devices.get(cleaned.get("device") or "")
        chosen, other = cleaned.get("starts_at"), cleaned.get("other_time")
        if other and not self.errors:
            self._take_other_time(cleaned, other)
        elif chosen:
            cleaned["starts_at"], ref = chosen
            cleaned["practitioner"] = self.people.get(str(ref))
            if cleaned["practitioner"] is None:
                self.add_error("practitioner", _("Please choose somebody from the list."))
        elif "starts_at" not in self.errors:
            self.add_error("starts_at", _("Please choose a time."))
        return cleaned

    def _take_other_time(self, cleaned: dict[str, Any], other: Any) -> None:
        day, person = cleaned.get("day"), self.people.get(cleaned.get("practitioner") or "")
        if day is None:
            self.add_error("day", _("Please choose a day."))
        elif person is None:
            self.add_error("practitioner", _("Please say with whom."))
        else:
            cleaned["starts_at"] = first_instant(datetime.combine(day, other), self.location.zone)
            cleaned["practitioner"] = person

    def typed_day(self) -> date | None:
        """Return the day as it stands in the form now, checked or not."""
        value = self.data.get("day") if self.is_bound else self.initial.get("day")
        if isinstance(value, date):
            return value
        try:
            return parse_date(str(value)) if value else None
        except ValueError:
            return None

    def show_day(self, day: date) -> None:
        """The form shows the day whose times are offered, if none was asked for."""
        self.initial.setdefault("day", day)
        if self.initial["day"] is None:
            self.initial["day"] = day

    def typed(self, name: str) -> str:
        """Return what stands in a field now, checked or not; empty if nothing does."""
        return str((self.data if self.is_bound else self.initial).get(name) or "")


class BookForm(WhenForm):
    """A new visit of one patient."""

    what = forms.ChoiceField(label=_("What for"), widget=forms.RadioSelect)
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("The whole team reads it. No medical details, please."),
    )
    form_key = forms.UUIDField(widget=forms.HiddenInput)
    field_order = ("what", "practitioner", "day", "starts_at")

    def __init__(self, *args: Any, patient: Patient, **kwargs: Any) -> None:
        kwargs["initial"] = {"form_key": uuid.uuid4(), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        modalities = Modality.objects.in_bulk()
        self.purposes = {purpose.value: purpose for purpose in purposes_for(patient)}
        self.fields["what"].choices = [
            (value, _("%(what)s · %(n)s min") % {"what": each.label(modalities), "n": each.type.minutes})
            for value, each in self.purposes.items()
        ]
        # With an open course a treatment is what most are booked for, where its laser is.
        likely = next(
            (value for value, each in self.purposes.items() if each.course and self._can_be_here(each)),
            next(iter(self.purposes), ""),
        )
        if not self.is_bound and self.initial.get("what") not in self.purposes:
            self.initial["what"] = likely
        self.purpose = self.purposes.get(self.typed("what")) or self.purposes.get(likely)
        people = practitioners_at(self.location, self.purpose.modality if self.purpose else "")
        type, modality = (self.purpose.type, self.purpose.modality) if self.purpose else (None, "")
        self.offer(people, type, modality)

    def _can_be_here(self, purpose: Purpose) -> bool:
        return bool(devices_for(self.location, purpose.type, purpose.modality))

    def refuse(self, refused: Refused) -> None:
        """A refusal of the type of visit stands at what the visit is for."""
        name = "what" if refused.field == "type" else refused.field
        self.add_error(name if name in self.fields else None, refused.for_people)

    def clean_what(self) -> Purpose:
        return self.purposes[self.cleaned_data["what"]]


class MoveForm(WhenForm):
    """Another time, or another practitioner, for a visit that stands."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    field_order = ("practitioner", "day", "starts_at")

    def __init__(self, *args: Any, appointment: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        modality = appointment.course.modality if appointment.course else ""
        people = practitioners_at(self.location, modality)
        if appointment.practitioner not in people:
            people.insert(0, appointment.practitioner)
        self.offer(people, appointment.type, modality)


class CancelForm(RefusableForm):
    """Why a visit is off. The patient is told that it is; the reason stays with us."""

    reason = forms.ChoiceField(label=_("Why is it cancelled?"), choices=DESK_REASONS, widget=forms.RadioSelect)
