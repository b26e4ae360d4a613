from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from django.db.models import TextChoices

from clinic.audit.states import Refused
from treatments.courses.states import NotCleared as NotCleared


class AppointmentStatus(TextChoices):
    """FHIR R4 Appointment."""

    PROPOSED = "proposed", "Proposed"
    BOOKED = "booked", "Booked"
    ARRIVED = "arrived", "Arrived"
    FULFILLED = "fulfilled", "Done"
    CANCELLED = "cancelled", "Cancelled"
    NOSHOW = "noshow", "Did not come"
    ENTERED_IN_ERROR = "entered-in-error", "Entered in error"


_S = AppointmentStatus
TRANSITIONS: dict[str, frozenset[str]] = {
    _S.PROPOSED: frozenset({_S.BOOKED, _S.CANCELLED, _S.ENTERED_IN_ERROR}),
    _S.BOOKED: frozenset({_S.ARRIVED, _S.CANCELLED, _S.NOSHOW, _S.ENTERED_IN_ERROR}),
    # Arrived by mistake goes back to booked; so does a no-show who comes after all.
    _S.ARRIVED: frozenset({_S.BOOKED, _S.FULFILLED, _S.CANCELLED, _S.ENTERED_IN_ERROR}),
    _S.NOSHOW: frozenset({_S.BOOKED, _S.ENTERED_IN_ERROR}),
    _S.FULFILLED: frozenset({_S.ENTERED_IN_ERROR}),
    _S.CANCELLED: frozenset({_S.ENTERED_IN_ERROR}),
    _S.ENTERED_IN_ERROR: frozenset(),
}
# A visit in one of these states claims its practitioner, room and device.
CLAIMING = frozenset({_S.PROPOSED, _S.BOOKED, _S.ARRIVED, _S.FULFILLED})
# A visit in one of these is still to come, or under way.
PENDING = frozenset({_S.PROPOSED, _S.BOOKED, _S.ARRIVED})
# Messages are planned for a visit in one of these: a time that is only held for somebody is announced by its offer.
ANNOUNCED = PENDING - {_S.PROPOSED}
# One click takes a visit from the first back to the second.
UNDO: dict[str, str] = {_S.ARRIVED: _S.BOOKED, _S.NOSHOW: _S.BOOKED}


class Step(TextChoices):
    """Where a visit stands as the desk says it: FHIR's status, and two facts for which FHIR has no word.

    `confirmed_at` says that the patient has told us they will come, `in_room_at` that they were shown in. Both stand
    beside the stored status and never replace it.
    """

    PROPOSED = "proposed", "Proposed"
    BOOKED = "booked", "Booked"
    CONFIRMED = "confirmed", "Confirmed"
    ARRIVED = "arrived", "Arrived"
    IN_ROOM = "in_room", "In the room"
    DONE = "done", "Done"
    NOSHOW = "noshow", "Did not come"
    CANCELLED = "cancelled", "Cancelled"
    ENTERED_IN_ERROR = "entered-in-error", "Entered in error"


_STEP_OF = {_S.FULFILLED.value: Step.DONE}


def step_of(status: str, *, is_confirmed: bool, is_in_room: bool) -> Step:
    """Return where the visit stands, from its status and the two facts beside it."""
    if status == _S.BOOKED and is_confirmed:
        return Step.CONFIRMED
    if status == _S.ARRIVED and is_in_room:
        return Step.IN_ROOM
    return _STEP_OF.get(status) or Step(status)


# From each step to the next ones, as the desk clicks; TRANSITIONS with the two facts worked in. Undo is one step back.
STEPS: dict[str, frozenset[str]] = {
    Step.PROPOSED: frozenset({Step.BOOKED, Step.CANCELLED, Step.ENTERED_IN_ERROR}),
    Step.BOOKED: frozenset({Step.CONFIRMED, Step.ARRIVED, Step.NOSHOW, Step.CANCELLED, Step.ENTERED_IN_ERROR}),
    Step.CONFIRMED: frozenset({Step.BOOKED, Step.ARRIVED, Step.NOSHOW, Step.CANCELLED, Step.ENTERED_IN_ERROR}),
    Step.ARRIVED: frozenset(
        {Step.BOOKED, Step.CONFIRMED, Step.IN_ROOM, Step.DONE, Step.CANCELLED, Step.ENTERED_IN_ERROR}
    ),
    Step.IN_ROOM: frozenset(
        {Step.BOOKED, Step.CONFIRMED, Step.ARRIVED, Step.DONE, Step.CANCELLED, Step.ENTERED_IN_ERROR}
    ),
    Step.NOSHOW: frozenset({Step.BOOKED, Step.CONFIRMED, Step.ENTERED_IN_ERROR}),
    Step.DONE: frozenset({Step.ENTERED_IN_ERROR}),
    Step.CANCELLED: frozenset({Step.ENTERED_IN_ERROR}),
    Step.ENTERED_IN_ERROR: frozenset(),
}


class CallOutcome(TextChoices):
    """What came of a telephone call about a visit."""

    CONFIRMED = "confirmed", "Confirmed"
    NO_ANSWER = "no_answer", "No answer"
    LEFT_MESSAGE = "left_message", "Left a message"
    NOTE = "note", "Note"


class CancelReason(TextChoices):
    PATIENT = "patient", "The patient cancelled"
    UNWELL = "unwell", "The patient is unwell"
    NOT_READY = "not_ready", "Not ready for treatment"
    CLINIC = "clinic", "The clinic cancelled"
    MISTAKE = "mistake", "Booked by mistake"
    NOT_TAKEN = "not_taken", "The offered time was not taken"
    MOVED_HERE = "moved_here", "The visit it was held for was moved here"


_BY_ITSELF = {CancelReason.NOT_TAKEN, CancelReason.MOVED_HERE}
# What the desk may say; a time that was offered and not taken ends by itself.
DESK_REASONS = [choice for choice in CancelReason.choices if choice[0] not in _BY_ITSELF]


# --- how booking is refused ---------------------------------------------------------------------------------------


class BookingRefused(Refused):
    """A visit cannot be as asked. `may_be_overridden`: by somebody with the right, who gives a reason."""

    may_be_overridden: ClassVar[bool] = False


class SlotTaken(BookingRefused):
    """Somebody has the practitioner, room or device at that time. `next_free` holds the next times, soonest first."""

    sentence = "That time has just been taken. Please choose another."

    def __init__(self, sentence: str = "", *, next_free: Sequence[object] = ()) -> None:
        self.next_free = list(next_free)
        super().__init__(sentence, field="starts_at")


class PatientBusy(BookingRefused):
    """The patient has another visit at that time."""

    sentence = "The patient has another visit at that time."


class TooEarly(BookingRefused):
    """The skin, or a decision, asks for a later date. `earliest_on` is the first local date, where one is known."""

    may_be_overridden = True

    def __init__(self, sentence: str, *, earliest_on: object = None) -> None:
        self.earliest_on = earliest_on
        super().__init__(sentence, field="starts_at")


class TooSoon(TooEarly):
    """No time would be left to prepare: the clinic wants such a visit booked longer ahead."""


class OutsideHours(BookingRefused):
    """The place is closed, or the practitioner does not work there then."""

    may_be_overridden = True


class Away(BookingRefused):
    """The practitioner is on leave, or the room is closed."""


class TimeHasPassed(BookingRefused):
    sentence = "That day has passed."


class DeviceUnavailable(BookingRefused):
    """No device of that kind can be used then."""


class ServiceOverdue(DeviceUnavailable):
    """The device's service date has passed."""

    may_be_overridden = True


class NotAuthorised(BookingRefused):
    """The practitioner may not treat with this laser."""


class NotHere(BookingRefused):
    """The practitioner, room or device does not belong to the location, or is no longer used."""


class OverrideRefused(BookingRefused):
    """A rule may be set aside only by somebody with the right to, with a reason."""

    sentence = "Setting a rule aside needs a clinician and a reason."

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence, field="override_reason")


class StaleVersion(BookingRefused):
    """Somebody else changed the visit since this page was loaded."""

    def __init__(self, who: str, when: datetime, when_text: str) -> None:
        self.who, self.when = who, when
        super().__init__(f"{who} changed this visit at {when_text}. Please look at it again before you change it.")


class NotYet(BookingRefused):
    """The visit has not come to that point."""
