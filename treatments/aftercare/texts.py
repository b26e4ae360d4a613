"""Words in a text that may mean an emergency raise the alarm of a red answer: owned, and climbing till it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from clinic.audit.actions import record as record_event
from clinic.audit.states import Actor
from patients.registry.models import Patient
from patients.replies.models import Conversation, Reply
from patients.replies.queries import people_at
from patients.replies.states import RESPOND_MINUTES
from treatments.aftercare.alarms import open_alarm, page
from treatments.aftercare.models import Escalation
from treatments.sessions.models import TreatmentSession


@transaction.atomic
def raise_alarm_for_text(conversation: Conversation, reply: Reply, by: Actor, at: datetime) -> bool:
    """A named clinician is asked to act on the text by the clock of its level. More such texts are the same alarm.

    False where nobody on file has the number: then there is no patient whose alarm it could be.
    """
    patient = _likeliest(people_at(conversation.point))
    if patient is None or not conversation.urgency:
        return False
    standing = Escalation.objects.unfinished().filter(conversation=conversation).select_for_update(no_key=True)
    known = standing.filter(level=conversation.urgency).first()
    if known is not None:
        record_event(action="escalation.answered_again", subject=known, by=by, at=at, level=known.level)
        page(known, f"again_text_{reply.pk}", by, at, to=known.owner)
        return True
    deadline = at + timedelta(minutes=RESPOND_MINUTES[conversation.urgency])
    open_alarm(patient, conversation.location, conversation.urgency, deadline, by, at, conversation=conversation)
    return True


def _likeliest(people: list[Patient]) -> Patient | None:
    """Return who was treated last of those who use the number; else the first of them."""
    last = TreatmentSession.objects.treated().filter(patient__in=people).order_by("-completed_at", "-id").first()
    return last.patient if last is not None else next(iter(people), None)
