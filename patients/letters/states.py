"""The letters a clinic may put into its own words, and when each is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A letter by the name of its folder of templates: what people call it, and when it goes out."""

    name: str
    title: str
    when: str


# In the order of a journey. The alarm to staff is not among them: its words are part of how it works.
KINDS: Mapping[str, Kind] = {
    each.name: each
    for each in (
        Kind("intake_invitation", "Invitation to the form", "When a patient is asked to answer the questions."),
        Kind("new_link", "New link", "When a patient asks for a new link because theirs has expired."),
        Kind("decision", "Next steps are ready", "When a clinician has decided."),
        Kind("deferred", "Waiting a little", "When a clinician would rather wait."),
        Kind("consent_invitation", "Something to read and sign", "Before a treatment."),
        Kind("consent_copy", "Copy of what was signed", "After signing."),
        Kind("booking_confirmation", "Booking confirmation", "Three minutes after booking."),
        Kind("reminder", "Reminder", "Two days and one day before a visit, and on the morning."),
        Kind("precare", "Before the visit", "The steps of the care protocol before a visit."),
        Kind("fitness_check", "Fitness check", "Three days before a treatment."),
        Kind("correction", "Change of a visit", "When somebody was already told another time."),
        Kind("cancelled", "Cancelled visit", "When a visit they were told of is cancelled."),
        Kind("waitlist_offer", "A free time", "When a time is free for somebody who waits."),
        Kind("aftercare", "Aftercare", "The steps of the care protocol after a treatment."),
        Kind("checkin", "Check-in", "When a patient is asked how they are."),
        Kind("checkin_nudge", "Check-in, asked again", "When a check-in was not answered."),
        Kind("recall", "Recall", "Six and twelve months after, to those who have no visit and did not say no."),
        Kind("review_request", "Request for a review", "After the result, for those who agreed."),
        Kind("auto_reply", "Answer to a reply", "When somebody answers a text with words of their own."),
        Kind("stop_confirmation", "STOP confirmed", "Once, after somebody texted STOP."),
        Kind("start_confirmation", "START confirmed", "Once, after somebody texted START."),
    )
}
