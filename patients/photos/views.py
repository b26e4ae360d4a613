"""Photos: the clinic's pages, the patient's own page, and the only door through which a picture leaves."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.actions import record
from clinic.audit.states import Actor, Refused
from clinic.pictures.uploads import was_too_large
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.intake.models import QuestionnaireResponse
from patients.intake.queries import latest_answers, response_about
from patients.photos import actions, queries
from patients.photos.forms import ACCEPT, PatientPhotoForm, PhotoForm, StaffPhotoForm, StrikeForm
from patients.photos.models import Photo
from patients.photos.states import Angle, FormOfAnotherPatient, Source
from patients.registry.access import LinkRequest, link
from patients.registry.models import Patient
from patients.registry.states import LinkScope

# --- the clinic -------------------------------------------------------------------------------------------------------


@require_safe
@staff(Permission.SEE_CHART)
def photos(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """All photos of a patient by area; each picture shown leaves its own trace."""
    patient = _patient(request, ref)
    context = {"patient": patient, "shelf": queries.shelf_of(patient), **_consent(patient)}
    return render(request, "patients/photos/photos.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff(Permission.TREAT)
def photo_add(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A clinician adds a photo; without the patient's written consent the page says how to ask for it."""
    patient = _patient(request, ref)
    if request.method != "POST":
        today = timezone.localdate(timezone=patient.location.zone)
        return _add_page(request, patient, StaffPhotoForm(patient, taken_on=today))
    form = StaffPhotoForm(patient, request.POST, request.FILES, too_large=was_too_large(request))
    photo = _add(form, patient, Source.STAFF, request.actor)
    if photo is None:
        return _add_page(request, patient, form, status=422)
    messages.success(request, _("The photo is in the record."))
    return redirect("photo_add" if "another" in request.POST else "photos", patient.ref)


def _add_page(request: StaffRequest, patient: Patient, form: StaffPhotoForm, status: int = 200) -> HttpResponse:
    context = {"patient": patient, "form": form, "accept": ACCEPT, **_consent(patient)}
    return render(request, "patients/photos/add.html", context, status=status)


@require_POST
@staff(Permission.TREAT)
def photo_consent_ask(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The patient gets a link to read about photos for the record, and to sign."""
    patient = _patient(request, ref)
    try:
        actions.ask_for_photos(patient=patient, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, _("Asked. The patient gets a link to read it and to sign."))
    return redirect("photos", patient.ref)


@require_safe
@staff(Permission.SEE_CHART)
def photo(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """One photo large, alone or beside another of the same view."""
    return _photo_page(request, _photo(request, ref), StrikeForm())


def _photo_page(request: StaffRequest, found: Photo, form: StrikeForm, status: int = 200) -> HttpResponse:
    row = queries.same_view(found)
    beside = next((each for each in row if str(each.ref) == request.GET.get("beside") and each != found), None)
    context = {
        "photo": found,
        "patient": found.patient,
        "row": row,
        "pair": sorted([found, beside], key=lambda each: (each.taken_on, each.pk)) if beside else [],
        "beside": beside,
        "form": form,
    }
    return render(request, "patients/photos/photo.html", context, status=status)


@require_POST
@staff(Permission.TREAT)
def photo_strike(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """A photo that does not belong here counts no longer, with the reason."""
    found, form = _photo(request, ref), StrikeForm(request.POST)
    if form.is_valid():
        try:
            actions.strike_photo(photo=found, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now())
        except Refused as refused:
            form.refuse(refused)
        else:
            messages.success(request, _("Struck. It is shown no more; the reason stays on record."))
            return redirect("photos", found.patient.ref)
    return _photo_page(request, found, form, status=422)


@require_safe
@staff(Permission.SEE_CHART)
def photo_image(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The large picture; the look is recorded."""
    return _picture(_photo(request, ref), request.actor, is_large=True)


@require_safe
@staff(Permission.SEE_CHART)
def photo_thumbnail(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """The small picture, under the same rules; the look is recorded."""
    return _picture(_photo(request, ref), request.actor, is_large=False)


def _patient(request: StaffRequest, ref: uuid.UUID) -> Patient:
    return get_object_or_404(Patient.objects.visible_to(request.user).select_related("location"), ref=ref)


def _photo(request: StaffRequest, ref: uuid.UUID) -> Photo:
    rows = Photo.objects.visible_to(request.user).select_related("patient__location", "area", "consent")
    return get_object_or_404(rows.kept(), ref=ref)


def _consent(patient: Patient) -> dict[str, Any]:
    return {"consent": queries.photo_consent(patient), "asked": queries.photo_consent_asked(patient)}


# --- the patient ------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@link(LinkScope.INTAKE)
def my_photos(request: LinkRequest, ref: uuid.UUID) -> HttpResponse:
    """After the answers: photos, if the patient likes. Each can be taken back until somebody looked."""
    response = response_about(request.link.about, request.link.patient)
    if response is None:
        raise Http404
    if response.completed_at is None:
        return redirect("intake", ref=ref)
    patient, first = request.link.patient, _areas_named(response)
    if request.method != "POST":
        return _my_page(request, PatientPhotoForm(patient, first=first, angle=Angle.FRONTAL))
    form = PatientPhotoForm(patient, request.POST, request.FILES, too_large=was_too_large(request), first=first)
    if _add(form, patient, Source.PATIENT, request.actor) is None:
        return _my_page(request, form, status=422)
    messages.success(request, _("Thank you. The photo is with us."))
    return redirect("my_photos", ref=ref)


def _my_page(request: LinkRequest, form: PatientPhotoForm, status: int = 200) -> HttpResponse:
    sent = queries.sent_by_patient(request.link.patient)
    seen = queries.looked_at(sent)
    context = {
        "link": request.link,
        "form": form,
        "accept": ACCEPT,
        "sent": [(each, each.ref in seen) for each in sent],
    }
    return render(request, "patients/photos/my_photos.html", context, status=status)


def _areas_named(response: QuestionnaireResponse) -> tuple[str, ...]:
    named = latest_answers(response).get("treatment_areas")
    return tuple(str(key) for key in named) if isinstance(named, list) else ()


@require_safe
@link(LinkScope.INTAKE)
def my_photo(request: LinkRequest, ref: uuid.UUID, photo: uuid.UUID) -> HttpResponse:
    """A small picture of what the patient sent; the clinic's own photos are not shown here."""
    return _picture(_my_photo(request, photo), request.actor, is_large=False)


@require_POST
@link(LinkScope.INTAKE)
def my_photo_remove(request: LinkRequest, ref: uuid.UUID, photo: uuid.UUID) -> HttpResponse:
    """The patient takes a photo back, if nobody has looked."""
    try:
        actions.take_back_photo(photo=_my_photo(request, photo), by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.warning(request, refused.for_people)
    else:
        messages.success(request, _("The photo is gone."))
    return redirect("my_photos", ref=ref)


def _my_photo(request: LinkRequest, ref: uuid.UUID) -> Photo:
    rows = Photo.objects.kept().filter(patient=request.link.patient, source=Source.PATIENT)
    return get_object_or_404(rows, ref=ref)


# --- both -------------------------------------------------------------------------------------------------------------


def _add(form: PhotoForm, patient: Patient, source: Source, by: Actor) -> Photo | None:
    """Return the photo as added, None when the form says why it was not."""
    if form.is_of_another:
        form.full_clean()
        form.refuse(FormOfAnotherPatient())
        return None
    if not form.is_valid():
        return None
    at = timezone.now()
    facts = {"taken_on": timezone.localdate(at, timezone=patient.location.zone), **form.facts()}
    try:
        return actions.add_photo(patient=patient, source=source, **facts, by=by, at=at)
    except Refused as refused:
        form.refuse(refused)
        return None


def _picture(found: Photo, by: Actor, *, is_large: bool) -> HttpResponse:
    """Return the picture, after the look stands in the trail. It is shown in the page and kept by nobody on the way."""
    with transaction.atomic():
        record(action=queries.VIEWED, subject=found, by=by, at=timezone.now(), large=is_large)
    try:
        data = queries.picture_of(found) if is_large else queries.thumbnail_of(found)
    except queries.PhotoDamaged:
        return _private(HttpResponse(_("This photo can’t be shown: its file was altered or is gone."), status=410))
    return _private(HttpResponse(data, content_type="image/jpeg"))


def _private(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store, private"
    response["Content-Disposition"] = 'inline; filename="photo.jpg"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
