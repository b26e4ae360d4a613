"""The pack workshop: read the clinic's rules, draft a change, try it on past intakes, have it published."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from clinic.audit.actions import record
from clinic.audit.states import Refused
from clinic.packfile import PackError
from clinic.packs.actions import carry_on_draft, discard_draft
from clinic.packs.models import RulePack
from clinic.packs.queries import PackMissing
from clinic.packs.states import NoDraftAnyMore, PackKind, PackStatus
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.models import User
from clinic.staff.states import ROLE_TABLE, Permission
from patients.candidacy.rules import Pack
from patients.workshop import actions
from patients.workshop.desk import around, conflict, find, own_draft, refuse, save
from patients.workshop.forms import DaysForm, RuleForm, TextForm, used_elsewhere
from patients.workshop.holds import Holds, would_hold
from patients.workshop.queries import (
    before,
    changes_between,
    editable_kinds,
    history,
    in_force,
    past_intakes,
    patients_to_look_at,
    read_questionnaire,
    read_rules,
    shelves,
    try_pack,
)
from patients.workshop.rules import Edit, EditRefused, apply_edits, line_difference, place_of
from patients.workshop.states import TextRefused
from patients.workshop.trial import Trial
from patients.workshop.wording import condition_words, rule_words

ROOM = "patients/workshop"
# How many lines around a fault are shown.
AROUND = 2


# --- reading ----------------------------------------------------------------------------------------------------------


@require_safe
@staff(Permission.PUBLISH_PACKS)
def rules(request: StaffRequest) -> HttpResponse:
    """Every pack: what is in force, since when, by whom, and which drafts are open."""
    return render(request, f"{ROOM}/shelves.html", {"shelves": shelves()})


@require_safe
@staff(Permission.PUBLISH_PACKS)
def rules_read(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """One version in words, to search in; other kinds as their text."""
    pack = find(ref)
    query = request.GET.get("q", "").strip()[:100]
    context = around(request, pack) | {"q": query, "history": history(pack)} | _contents(pack, query)
    page = f"{ROOM}/_found.html" if request.htmx else f"{ROOM}/read.html"
    return render(request, page, context)


@require_safe
@staff(Permission.PUBLISH_PACKS)
def rules_changes(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """What a version says otherwise than the one it follows, or would follow."""
    pack = find(ref)
    return render(request, f"{ROOM}/changes.html", around(request, pack) | _differences(pack))


@require_safe
@staff(Permission.PUBLISH_PACKS)
def rules_try(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """What a version would have said of past intakes. Nothing is stored but the look."""
    pack = find(ref)
    if pack.kind != PackKind.CANDIDACY:
        raise Http404
    trial, fault = _tried(request, pack)
    context = around(request, pack) | {"trial": trial, "fault": fault}
    return render(request, f"{ROOM}/try.html", context)


# --- a draft ----------------------------------------------------------------------------------------------------------


@require_POST
@staff(Permission.PUBLISH_PACKS)
def rules_draft(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A draft is begun from a version; who has one already goes on with it."""
    pack = find(ref)
    try:
        draft = actions.start_draft(pack=pack, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
        return redirect("rules_read", ref=pack.ref)
    return redirect("rules_edit", ref=draft.ref)


@require_safe
@staff(Permission.PUBLISH_PACKS)
def rules_edit(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The author's desk: what is changed so far, and every rule to open."""
    draft = own_draft(request, ref)
    query = request.GET.get("q", "").strip()[:100]
    context = around(request, draft) | {"q": query} | _contents(draft, query)
    if request.htmx:
        return render(request, f"{ROOM}/_to_edit.html", context)
    context |= _differences(draft) | {"outdated": _outdated(draft), "approvers": _approvers(request.user)}
    return render(request, f"{ROOM}/edit.html", context)


@staff(Permission.PUBLISH_PACKS)
def rules_edit_rule(request: StaffRequest, ref: uuid.UUID, rule: str) -> HttpResponse:
    """One rule of a draft in a form."""
    draft = own_draft(request, ref)
    pack = _read(draft)
    found = next((each for each in pack.rules if each.id == rule), None) if pack else None
    if pack is None or found is None:
        raise Http404

    def form_for(data: Any) -> RuleForm:
        return RuleForm(data, pack=pack, rule=found, sha256=draft.sha256)

    context = {
        "rule": rule_words(found, pack),
        "alternatives": [condition_words(case.when, pack.questionnaire, pack.days) for case in found.cases],
        "elsewhere": used_elsewhere(pack, found),
    }
    return _edited(request, draft, form_for, f"{ROOM}/edit_rule.html", context, fragment=f"#{found.id}")


@staff(Permission.PUBLISH_PACKS)
def rules_edit_days(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Every day count of a draft."""
    draft = own_draft(request, ref)
    pack = _read(draft)
    if pack is None:
        raise Http404

    def form_for(data: Any) -> DaysForm:
        return DaysForm(data, pack=pack, sha256=draft.sha256)

    return _edited(request, draft, form_for, f"{ROOM}/edit_days.html", {})


@staff(Permission.PUBLISH_PACKS)
def rules_edit_text(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The whole text of a draft. A fault is named with its line; nothing typed is lost."""
    draft = own_draft(request, ref)
    context = around(request, draft)
    if request.method != "POST":
        form = TextForm(initial={"body": draft.body}, sha256=draft.sha256)
        return render(request, f"{ROOM}/edit_text.html", context | {"form": form})
    form, status = TextForm(request.POST, sha256=draft.sha256), 422
    if form.is_valid():
        body = form.cleaned_data["body"]
        try:
            save(request, draft, body, form.cleaned_data["shown"])
        except Refused as refused:
            status = refuse(form, refused, draft)
            context["lines"] = _lines_around(body, refused)
        else:
            messages.success(request, _("Saved. The whole text was checked."))
            return redirect("rules_edit", ref=draft.ref)
    return render(request, f"{ROOM}/edit_text.html", context | {"form": form}, status=status)


@require_POST
@staff(Permission.PUBLISH_PACKS)
def rules_carry_on(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The author has seen what came into force meanwhile and goes on from there."""
    draft = own_draft(request, ref)
    try:
        carry_on_draft(pack=draft, shown=request.POST.get("shown", ""), by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, conflict(refused, draft) or refused.for_people)
        return redirect("rules_read" if isinstance(refused, NoDraftAnyMore) else "rules_edit", ref=draft.ref)
    messages.success(request, _("The draft now stands on the version in force."))
    return redirect("rules_edit", ref=draft.ref)


@require_POST
@staff(Permission.PUBLISH_PACKS)
def rules_discard(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The author gives the draft up."""
    draft = own_draft(request, ref)
    try:
        discard_draft(pack=draft, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, _("The draft is gone. Nothing in force has changed."))
    return redirect("rules")


# --- publishing -------------------------------------------------------------------------------------------------------


@staff(Permission.PUBLISH_PACKS)
def rules_publish(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A second person sees what differs and whom it would change, and puts the draft in force."""
    draft = get_object_or_404(RulePack, ref=ref, status=PackStatus.DRAFT, kind__in=editable_kinds())
    if request.method == "POST":
        try:
            version = actions.publish(
                pack=draft, shown=request.POST.get("shown", ""), by=request.actor, at=timezone.now()
            )
        except Refused as refused:
            return _publish_page(request, draft, refused)
        done = actions.rescreen(kind=PackKind(version.kind), by=request.actor, at=timezone.now())
        messages.success(request, _("Version %(version)s is in force.") % {"version": version.version})
        _tell_what_it_meant(request, version, done)
        return redirect("rules_read", ref=version.ref)
    return _publish_page(request, draft)


def _publish_page(request: StaffRequest, draft: RulePack, refused: Refused | None = None) -> HttpResponse:
    draft = RulePack.objects.get(pk=draft.pk)
    was_quicker = conflict(refused, draft) if refused else ""
    refusal = was_quicker or (refused.for_people if refused else "")
    trial, fault = _tried(request, draft) if draft.kind == PackKind.CANDIDACY else (None, "")
    context = around(request, draft) | _differences(draft) | {"trial": trial, "fault": fault, "refusal": refusal}
    context |= {"outdated": _outdated(draft), "approvers": _approvers(request.user)}
    context["to_look_at"] = patients_to_look_at(draft) if draft.kind == PackKind.CANDIDACY else 0
    context["holds"] = _held_by(request, draft) if draft.kind == PackKind.CANDIDACY and not fault else None
    return render(request, f"{ROOM}/publish.html", context, status=409 if was_quicker else 422 if refusal else 200)


def _held_by(request: StaffRequest, draft: RulePack) -> Holds:
    """Return whose visits the draft would hold; that these names were read is in the trail."""
    found = would_hold(draft=draft, user=request.user, at=timezone.now())
    shown = sorted({str(each.patient.ref) for each in found.shown})
    with transaction.atomic():
        record(
            action="rulepack.holds_seen",
            subject=draft,
            by=request.actor,
            at=timezone.now(),
            visits=found.visits,
            patients=shown,
        )
    return found


def _tell_what_it_meant(request: StaffRequest, version: RulePack, done: actions.Rescreened | None) -> None:
    if version.kind != PackKind.CANDIDACY:
        return
    if done is None:
        messages.info(request, _("Current patients are many: a worker looks at them now, in the background."))
        return
    text = ngettext("%(n)s patient looked at,", "%(n)s patients looked at,", done.patients) % {"n": done.patients}
    more = ngettext("%(n)s decision reopened.", "%(n)s decisions reopened.", done.reopened) % {"n": done.reopened}
    messages.info(request, f"{text} {more}")
    if done.failed:
        failed = ngettext(
            "%(n)s patient could not be looked at. Clinicians have a task to do it by hand.",
            "%(n)s patients could not be looked at. Clinicians have a task for each to do it by hand.",
            done.failed,
        )
        messages.warning(request, failed % {"n": done.failed})


# --- what the pages share ---------------------------------------------------------------------------------------------


def _read(pack: RulePack) -> Pack | None:
    try:
        return read_rules(pack) if pack.kind == PackKind.CANDIDACY else None
    except (PackError, PackMissing):
        return None


def _contents(pack: RulePack, query: str) -> dict[str, Any]:
    """Return the rules or questions that match the query; the bare text of what cannot be read here."""
    if pack.kind == PackKind.QUESTIONNAIRE:
        try:
            questions = read_questionnaire(pack).questions
        except PackError:
            return {"text": pack.body}
        found = [
            each for each in questions if _matches(query, f"{each.key} {each.label} {each.why} {each.note}".lower())
        ]
        return {"questions": found, "total": len(questions)}
    read = _read(pack)
    if read is None:
        return {"text": pack.body}
    words = [rule_words(rule, read) for rule in read.rules]
    return {"rules": [each for each in words if _matches(query, each.text)], "total": len(words), "read": read}


def _matches(query: str, text: str) -> bool:
    return all(word in text for word in query.lower().split())


def _differences(pack: RulePack) -> dict[str, Any]:
    old = before(pack)
    if old is None:
        return {"old": None, "changes": None, "lines": []}
    return {"old": old, "changes": changes_between(old, pack), "lines": line_difference(old.body, pack.body)}


def _outdated(draft: RulePack) -> RulePack | None:
    """Return the version that came into force since the draft was begun, if one did."""
    current = in_force(draft)
    return current if current is not None and current.pk != draft.based_on_id else None


def _approvers(user: User) -> list[User]:
    """Return who else may publish."""
    roles = [role.value for role, may in ROLE_TABLE.items() if Permission.PUBLISH_PACKS in may]
    people = User.objects.filter(is_active=True, groups__name__in=roles).exclude(pk=user.pk)
    return list(people.distinct())


def _tried(request: StaffRequest, pack: RulePack) -> tuple[Trial | None, str]:
    """Return the try-out on the intakes this person may see; the look at so many answers is in the trail."""
    try:
        trial = try_pack(draft=pack, responses=past_intakes(request.user))
    except PackError as error:
        return None, str(error)
    shown = sorted({str(row.intake.patient_ref) for row in trial.rows()})
    with transaction.atomic():
        record(
            action="rulepack.tried",
            subject=pack,
            by=request.actor,
            at=timezone.now(),
            intakes=trial.total,
            changed=trial.changed,
            patients=shown,
        )
    return trial, ""


# --- saving -----------------------------------------------------------------------------------------------------------


def _edited(
    request: StaffRequest,
    draft: RulePack,
    form_for: Callable[[Any], RuleForm | DaysForm],
    page: str,
    context: dict[str, Any],
    fragment: str = "",
) -> HttpResponse:
    """Show a form of edits, or lay what it says over the text and save it."""
    context = context | around(request, draft)
    if request.method != "POST":
        return render(request, page, context | {"form": form_for(None)})
    form, status = form_for(request.POST), 422
    if form.is_valid():
        try:
            _save_edits(request, draft, form.edits(), form.cleaned_data["shown"])
        except EditRefused as refused:
            form.add_error(None, refused.for_people)
        except Refused as refused:
            status = refuse(form, refused, draft, lambda error, text: form.field_at(place_of(text, error)))
        else:
            messages.success(request, _("Saved."))
            return redirect(f"{_edit_url(draft)}{fragment}")
    return render(request, page, context | {"form": form}, status=status)


def _edit_url(draft: RulePack) -> str:
    return redirect("rules_edit", ref=draft.ref).url


def _save_edits(request: StaffRequest, draft: RulePack, edits: Iterable[Edit], shown: str) -> None:
    save(request, draft, apply_edits(draft.body, edits), shown)


def _lines_around(text: str, refused: Refused) -> list[tuple[int, str, bool]]:
    """Return the line of a fault with a few around it: number, text, and whether it is the one."""
    if not isinstance(refused, TextRefused) or not refused.error.line:
        return []
    lines, at = text.splitlines(), refused.error.line
    return [
        (number, lines[number - 1], number == at)
        for number in range(max(1, at - AROUND), min(len(lines), at + AROUND) + 1)
    ]
