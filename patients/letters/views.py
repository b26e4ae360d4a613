"""The clinic's letters: which there are, each in its own words, and how it looks on a sample while it is written."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from clinic.audit.states import Refused
from clinic.packs.models import RulePack
from clinic.packs.states import PackKind
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.letters.actions import start_letter
from patients.letters.forms import LetterForm
from patients.letters.queries import letter_of, preview_of, shelves, shipped_letter
from patients.letters.rules import as_pack, must_say
from patients.letters.states import KINDS
from patients.messaging.rendering import Unwritable
from patients.messaging.wording import CARE, NAMED, Letter
from patients.registry.states import Language
from patients.workshop.desk import around, own_draft, refuse, save

ROOM = "patients/letters"
_STYLE = re.compile(r' style="[^"]*"')
_SHOWN = re.compile(r"<main>.*</footer>", re.DOTALL)


@require_safe
@staff(Permission.PUBLISH_PACKS)
def letters(request: StaffRequest) -> HttpResponse:
    """Every letter in the order of a journey: whose words are in force, and which drafts are open."""
    context = {"shelves": shelves(), "languages": [each for each in Language if each != Language.ENGLISH]}
    return render(request, f"{ROOM}/letters.html", context)


@require_POST
@staff(Permission.PUBLISH_PACKS)
def letter_draft(request: StaffRequest, template: str, language: str) -> HttpResponse:
    """A draft of a letter is begun; who has one already goes on with it."""
    if template not in KINDS or language not in Language.values:
        raise Http404
    try:
        draft = start_letter(template=template, language=Language(language), by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
        return redirect("letters")
    return redirect("letter_edit", ref=draft.ref)


@staff(Permission.PUBLISH_PACKS)
def letter_edit(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The author's desk: the words in a form, beside them how they look."""
    draft, letter = _own_letter(request, ref)
    is_sent = request.method == "POST"
    status = 422 if is_sent else 200
    form = LetterForm(request.POST if is_sent else None, letter=letter, sha256=draft.sha256)
    if is_sent and form.is_valid():
        try:
            save(request, draft, as_pack(form.written()), form.cleaned_data["shown"])
        except Refused as refused:
            status = refuse(form, refused, draft)
        else:
            messages.success(request, _("Saved in the draft."))
            return redirect("letter_edit", ref=draft.ref)
    context = around(request, draft) | {"form": form, "letter": letter, "kind": KINDS[letter.name]}
    context["language"] = Language(letter.language).label
    context |= {"needed": _needed(letter), "known": sorted(NAMED | {CARE})} | _preview(request, letter)
    return render(request, f"{ROOM}/edit.html", context, status=status)


@require_POST
@staff(Permission.PUBLISH_PACKS)
def letter_preview(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """How the words look as they are typed. Nothing is saved."""
    draft, letter = _own_letter(request, ref)
    form = LetterForm(request.POST, letter=letter, sha256=draft.sha256)
    if form.is_valid():
        return render(request, f"{ROOM}/_preview.html", _preview(request, form.written()))
    problems = [(form.fields[name].label, each) for name, found in form.errors.items() for each in found]
    return render(request, f"{ROOM}/_preview.html", {"problems": problems})


def _own_letter(request: StaffRequest, ref: uuid.UUID) -> tuple[RulePack, Letter]:
    draft = own_draft(request, ref)
    if draft.kind != PackKind.LETTER:
        raise Http404
    return draft, letter_of(draft)


def _needed(letter: Letter) -> list[str]:
    """Return the variables that these words may not lose."""
    return sorted(frozenset().union(*must_say(shipped_letter(letter.name)).values()))


def _preview(request: StaffRequest, letter: Letter) -> dict[str, Any]:
    try:
        preview = preview_of(letter, request.location)
    except Unwritable as error:
        return {"problems": [("", str(error))]}
    return {"preview": preview, "look": _look(preview.email.html)}


def _look(html: str) -> SafeString:
    """Return the letter as our own style sheet shows it: a page may not have styles on its elements.

    The HTML is our frame around a subset that was checked, and every variable in it was escaped when filled in.
    """
    found = _SHOWN.search(_STYLE.sub("", html))
    shown = found[0] if found else ""
    return mark_safe(shown.replace("<main>", '<div class="ag-post">').replace("</main>", "</div>"))  # noqa: S308
