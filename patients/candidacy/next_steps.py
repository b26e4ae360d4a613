"""What a patient reads of the decisions about them: the outcome kindly, what comes first, what happens next.

It names no diagnosis, no finding and no clinician's reason. A rule's own words to patients stand here; a clinician's
condition stands here only in the words the clinician wrote for the patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext_lazy as _

from clinic.catalogue.models import Modality
from clinic.worklist.states import TaskStatus
from patients.candidacy.models import CandidacyDecision
from patients.candidacy.queries import decision_tasks, open_flags, pack_of, work_of
from patients.candidacy.rules import Pack
from patients.candidacy.states import ALLOWING, ConditionWork, DecisionKind, Effect
from patients.registry.models import Patient

# A translated sentence that is put into words only when it is shown.
Words = Any


@dataclass(frozen=True)
class First:
    """Something to settle before a treatment, in words for the patient."""

    text: str
    done: bool


@dataclass(frozen=True)
class NextStep:
    """What was decided about one laser, as the patient reads it.

    `more` is true where something is settled with the clinician that has no words for the patient. `again` is true
    while a clinician looks at newer answers, so that what stands here may still change.
    """

    laser: str
    tone: str
    icon: str
    title: Words
    sentence: Words
    first: tuple[First, ...]
    more: bool
    earliest_on: date | None
    then: tuple[Words, ...]
    again: bool


_TITLES: Mapping[DecisionKind, Words] = {
    DecisionKind.PROCEED: _("You can go ahead"),
    DecisionKind.PROCEED_WITH_CONDITIONS: _("You can go ahead, with a few things first"),
    DecisionKind.TEST_SPOT_FIRST: _("A small test area first"),
    DecisionKind.DEFER: _("A little later is better"),
    DecisionKind.DECLINE: _("Not with this treatment"),
    DecisionKind.REFER: _("A colleague looks first"),
}
_SENTENCES: Mapping[DecisionKind, Words] = {
    DecisionKind.PROCEED: _("Your clinician has read your answers, and we can plan the treatment with you."),
    DecisionKind.PROCEED_WITH_CONDITIONS: _(
        "Your clinician has read your answers. We can plan the treatment once what stands here is settled."
    ),
    DecisionKind.TEST_SPOT_FIRST: _(
        "Your clinician would like to treat one small area first, and see with you how your skin takes it."
    ),
    DecisionKind.DEFER: _("Your clinician would like to wait, so that things go as well as they can."),
    DecisionKind.DECLINE: _(
        "Your clinician has thought about it with care and would not go ahead with this treatment for you."
    ),
    DecisionKind.REFER: _("Your clinician would like a specialist to see you before we plan anything."),
}
_THEN: Mapping[DecisionKind, tuple[Words, ...]] = {
    DecisionKind.PROCEED: (
        _("We agree a day with you. You can also call us."),
        _("You read about the treatment at home, ask what you like, and sign when you are ready."),
        _("In good time before the visit we tell you how to prepare."),
    ),
    DecisionKind.TEST_SPOT_FIRST: (
        _("We call you to agree a day for the test area."),
        _("Your clinician looks at it with you after some time."),
        _("Then you decide together how to go on."),
    ),
    DecisionKind.DEFER: (
        _("You need do nothing now. We get in touch when it is time."),
        _("Before we go on, we ask whether anything has changed."),
    ),
    DecisionKind.DECLINE: (
        _("Would you like to talk about it, or about what else may help? Call us, we take the time."),
    ),
    DecisionKind.REFER: (
        _("Your clinician prepares what the specialist needs to know."),
        _("We get in touch with you about where and when."),
    ),
}
_THEN_OF = {**_THEN, DecisionKind.PROCEED_WITH_CONDITIONS: _THEN[DecisionKind.PROCEED]}
_TONES = {DecisionKind.DEFER: ("calm", "clock"), DecisionKind.DECLINE: ("quiet", "info")} | dict.fromkeys(
    ALLOWING, ("good", "check")
)
# Good news first; within one kind as the catalogue lists the lasers.
_ORDER = tuple(DecisionKind)


def next_steps(patient: Patient, today: date) -> tuple[NextStep, ...]:
    """Return what the decisions in force mean for the patient; nothing while none is in force."""
    found = CandidacyDecision.objects.in_force().filter(patient=patient).select_related("patient", "screening__pack")
    lasers = {laser.key: laser for laser in Modality.objects.all()}
    place = {key: index for index, key in enumerate(lasers)}
    reopened = {flag.screening.modality for flag in open_flags(patient)}
    ranked = sorted(found, key=lambda each: (_ORDER.index(DecisionKind(each.kind)), place.get(each.modality, 99)))
    return tuple(_step(each, lasers, today, again=each.modality in reopened) for each in ranked)


def next_step_of(decision: CandidacyDecision, today: date) -> NextStep:
    """Return what the patient reads of this decision, for the clinician to see."""
    lasers = {laser.key: laser for laser in Modality.objects.filter(key=decision.modality)}
    return _step(decision, lasers, today, again=False)


def _step(decision: CandidacyDecision, lasers: Mapping[str, Modality], today: date, *, again: bool) -> NextStep:
    kind = DecisionKind(decision.kind)
    laser = lasers.get(decision.modality)
    tone, icon = _TONES.get(kind, ("calm", "info"))
    first, more = _first(decision)
    return NextStep(
        laser=laser.patient_label if laser else decision.modality,
        tone=tone,
        icon=icon,
        title=_TITLES[kind],
        sentence=_SENTENCES[kind],
        first=first,
        more=more,
        earliest_on=decision.earliest_on if decision.earliest_on and decision.earliest_on > today else None,
        then=_THEN_OF[kind],
        again=again,
    )


def _first(decision: CandidacyDecision) -> tuple[tuple[First, ...], bool]:
    """Return what is to be settled in words for the patient, and whether anything else waits that has none."""
    if not decision.conditions:
        return (), False
    pack = pack_of(decision.screening)
    done = {
        task.key.rpartition(":")[2]: task.status == TaskStatus.COMPLETED for task in decision_tasks(decision)
    }  # by the condition's key
    told: dict[str, bool] = {}
    more = False
    for condition in decision.conditions:
        if work_of(condition) in (ConditionWork.QUESTION, ConditionWork.FACT):
            continue
        is_done = done.get(str(condition["key"]), False)
        if text := told_of(condition, decision.screening.result["findings"], pack):
            told[text] = told.get(text, True) and is_done
        else:
            more = more or (bool(condition["blocks"]) and not is_done)
    return tuple(First(text, is_done) for text, is_done in told.items()), more


def told_of(condition: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], pack: Pack) -> str:
    """Return a condition in words for the patient: the clinician's, else those of a rule that asks for its task."""
    if condition.get("told"):
        return str(condition["told"])
    key = condition["key"]
    fired = [each["patient_text"] for each in findings if each["effect"] == Effect.TASK and each["task"] == key]
    known = [rule.patient_text for rule in pack.rules if any(case.task == key for case in rule.cases)]
    return next(iter([*fired, *known]), "")
