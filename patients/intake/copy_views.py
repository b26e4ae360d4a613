"""The answers copy: a page to read or print, and files to take along. Each look is in the trail."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from clinic.audit.actions import record
from clinic.pdf import NoPdf, can_make_pdf, pdf_response
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.intake.answers_copy import answers_copy as copy_of
from patients.intake.answers_copy import as_fhir
from patients.intake.models import QuestionnaireResponse

PAPER = "patients/intake/answers_pdf.html"


@require_safe
@never_cache
@staff(Permission.SEE_CHART)
def answers_copy(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Every question of a frozen response with what was said to it; the browser prints it on A4."""
    found = _frozen(request, ref)
    with transaction.atomic():
        record(action="answers.viewed", subject=found, by=request.actor, at=timezone.now())
    context = _words(found) | {"can_make_pdf": can_make_pdf()}
    return render(request, "patients/intake/answers_copy.html", context)


@require_safe
@never_cache
@staff(Permission.SEE_CHART)
def answers_pdf(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The same as a PDF; back to the page, which says why, where none can be made."""
    found = _frozen(request, ref)
    try:
        file = pdf_response(request, PAPER, _words(found) | {"paper": True}, f"answers-{str(found.ref)[:8]}.pdf")
    except NoPdf:
        return redirect("answers_copy", found.ref)
    with transaction.atomic():
        record(action="answers.exported", subject=found, by=request.actor, at=timezone.now(), format="pdf")
    return file


@require_safe
@never_cache
@staff(Permission.SEE_CHART)
def answers_export(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The same as a file. Its name names nobody: it ends up in a folder of downloads."""
    found = _frozen(request, ref)
    with transaction.atomic():
        record(action="answers.exported", subject=found, by=request.actor, at=timezone.now(), format="json")
    file = JsonResponse(as_fhir(copy_of(found)), json_dumps_params={"indent": 2, "ensure_ascii": False})
    file["Content-Disposition"] = f'attachment; filename="answers-{str(found.ref)[:8]}.json"'
    return file


def _words(found: QuestionnaireResponse) -> dict[str, object]:
    return {"copy": copy_of(found), "response": found, "patient": found.patient}


def _frozen(request: StaffRequest, ref: uuid.UUID) -> QuestionnaireResponse:
    """Return the response if it is frozen: a form being filled in has no copy yet."""
    rows = QuestionnaireResponse.objects.visible_to(request.user).exclude(completed_at=None)
    return get_object_or_404(rows.select_related("patient__location", "pack", "amends__pack"), ref=ref)
