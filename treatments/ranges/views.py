"""Check-in triage and treatment ranges: a draft's entries, each in a form."""

from __future__ import annotations

import itertools
import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from clinic.audit.states import Refused
from clinic.packedit import CannotRewrite
from clinic.packs.models import RulePack
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.workshop.desk import around, own_draft, refuse, save
from treatments.ranges.forms import PartForm
from treatments.ranges.rules import TABLES, Part, apply_part, parts

ROOM = "treatments/ranges"


@require_safe
@staff(Permission.PUBLISH_PACKS)
def range_parts(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Every entry of the author's draft, list by list, each to open."""
    draft, found = _own_parts(request, ref)
    lists = [(table, list(rows)) for table, rows in itertools.groupby(found, key=lambda each: each.table)]
    return render(request, f"{ROOM}/parts.html", around(request, draft) | {"lists": lists})


@staff(Permission.PUBLISH_PACKS)
def range_part(request: StaffRequest, ref: uuid.UUID, table: str, part: str) -> HttpResponse:
    """One entry of a draft in a form. The text is checked as a whole before it is saved; nothing typed is lost."""
    draft, rows = _own_parts(request, ref)
    found = next((each for each in rows if (each.table.key, each.id) == (table, part)), None)
    if found is None:
        raise Http404
    is_sent = request.method == "POST"
    status = 422 if is_sent else 200
    form = PartForm(request.POST if is_sent else None, part=found, sha256=draft.sha256)
    if is_sent and form.is_valid():
        try:
            save(request, draft, apply_part(draft.body, found, form.given()), form.cleaned_data["shown"])
        except CannotRewrite as error:
            form.add_error(None, _("“%s” cannot be changed in the form. Please change it in the text.") % error)
        except Refused as refused:
            status = refuse(form, refused, draft)
        else:
            messages.success(request, _("Saved in the draft."))
            return redirect(f"{redirect('range_parts', ref=draft.ref).url}#{table}-{part}")
    return render(request, f"{ROOM}/part.html", around(request, draft) | {"form": form, "part": found}, status=status)


def _own_parts(request: StaffRequest, ref: uuid.UUID) -> tuple[RulePack, list[Part]]:
    draft = own_draft(request, ref)
    if draft.kind not in TABLES:
        raise Http404
    return draft, parts(draft.kind, draft.body)
