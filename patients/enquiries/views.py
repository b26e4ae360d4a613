"""Enquiries: the public page, and the desk's list on which each becomes a patient or is closed."""

from __future__ import annotations

import uuid
from typing import Any

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.states import Refused
from clinic.catalogue.models import Concern
from clinic.staff.access import public, staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission
from patients.enquiries import actions
from patients.enquiries.forms import CloseForm, ConvertForm, EnquiryForm
from patients.enquiries.models import Enquiry
from patients.enquiries.queries import enquiries_for
from patients.registry.models import Patient
from patients.registry.queries import Duplicate, duplicates
from patients.registry.rules import EmailRefused, PhoneRefused, calling_code, clean_email, clean_phone

# Enquiries in an hour from one browser, and from one address: a clinic's own tablet and a family share one.
FROM_ONE_BROWSER, FROM_ONE_ADDRESS, HOUR = 6, 40, 3600
TABS = (("open", "Open"), ("converted", "Now patients"), ("closed", "Closed"))


# --- the public page --------------------------------------------------------------------------------------------------


@public
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enquiry_new(request: HttpRequest) -> HttpResponse:
    """Anyone may ask; whoever fills in the trap is thanked and forgotten."""
    form = EnquiryForm(request.POST or None)
    if request.method != "POST":
        return render(request, "patients/enquiries/enquiry_new.html", {"form": form})
    if form.is_a_trap:
        return redirect("enquiry_thanks")
    status = 422
    if form.is_valid():
        if _too_many(request, str(form.cleaned_data["form_key"])):
            form.add_error(None, "Many enquiries came from here in the last hour. Please ring us, or try again later.")
            status = 429
        else:
            try:
                actions.receive_enquiry(**_facts(form), by=request.actor, at=timezone.now())  # type: ignore[attr-defined]
            except Refused as refused:
                form.refuse(refused)
            else:
                return redirect("enquiry_thanks")
    return render(request, "patients/enquiries/enquiry_new.html", {"form": form}, status=status)


def _facts(form: EnquiryForm) -> dict[str, Any]:
    return {name: value for name, value in form.cleaned_data.items() if name != "website"}


def _too_many(request: HttpRequest, form_key: str) -> bool:
    """Count this form, once however often it is tapped, by browser and by address."""
    now = int(timezone.now().timestamp())
    sent = {key: at for key, at in request.session.get("enquiries", {}).items() if now - at < HOUR}
    if form_key in sent:
        return False
    counter = f"enquiries:{get_adapter().get_client_ip(request)}:{now // HOUR}"
    cache.add(counter, 0, HOUR)
    if len(sent) >= FROM_ONE_BROWSER or cache.incr(counter) > FROM_ONE_ADDRESS:
        return True
    request.session["enquiries"] = {**sent, form_key: now}
    return False


@public
@require_safe
def enquiry_thanks(request: HttpRequest) -> HttpResponse:
    return render(request, "patients/enquiries/enquiry_thanks.html")


# --- the desk's enquiries ---------------------------------------------------------------------------------------------


@require_safe
@staff(Permission.HANDLE_ENQUIRIES)
def enquiries(request: StaffRequest) -> HttpResponse:
    """Who asked, newest first; what waits for an answer before all else."""
    tab = request.GET.get("show", "open")
    tab = tab if tab in dict(TABS) else "open"
    rows = list(enquiries_for(request.user, tab)[:200])
    labels = dict(Concern.objects.values_list("key", "label"))
    listed = [(row, ", ".join(labels.get(key, key) for key in row.concerns)) for row in rows]
    return render(request, "patients/enquiries/enquiries.html", {"listed": listed, "tab": tab, "tabs": TABS})


@require_safe
@staff(Permission.HANDLE_ENQUIRIES)
def enquiry(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    return _enquiry_page(request, _enquiry(request, ref), CloseForm())


def _enquiry(request: StaffRequest, ref: uuid.UUID) -> Enquiry:
    return get_object_or_404(Enquiry.objects.visible_to(request.user).select_related("location", "patient"), ref=ref)


def _enquiry_page(request: StaffRequest, found: Enquiry, form: CloseForm, status: int = 200) -> HttpResponse:
    concerns = Concern.objects.filter(key__in=found.concerns)
    context = {"enquiry": found, "concerns": concerns, "close_form": form, "suspects": _suspects(found)}
    return render(request, "patients/enquiries/enquiry.html", context, status=status)


@require_POST
@staff(Permission.HANDLE_ENQUIRIES)
def enquiry_contacted(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = _enquiry(request, ref)
    return _act(request, found, actions.mark_contacted, f"{found.full_name} is marked as contacted.")


@require_POST
@staff(Permission.HANDLE_ENQUIRIES)
def enquiry_reopen(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = _enquiry(request, ref)
    return _act(request, found, actions.reopen_enquiry, f"The enquiry of {found.full_name} is open again.")


def _act(request: StaffRequest, found: Enquiry, act: Any, done: str) -> HttpResponse:
    """One click: the act, then back to the list or page it was clicked on."""
    try:
        act(enquiry=found, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.warning(request, refused.for_people)
    else:
        messages.success(request, done)
    return redirect("enquiries") if request.POST.get("back") == "list" else redirect("enquiry", found.ref)


@require_POST
@staff(Permission.HANDLE_ENQUIRIES)
def enquiry_close(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    found = _enquiry(request, ref)
    form = CloseForm(request.POST)
    if form.is_valid():
        try:
            actions.close_enquiry(
                enquiry=found, reason=form.cleaned_data["reason"], by=request.actor, at=timezone.now()
            )
        except Refused as refused:
            form.refuse(refused)
        else:
            messages.success(request, f"The enquiry of {found.full_name} is closed.")
            return redirect("enquiries")
    return _enquiry_page(request, found, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@staff(Permission.HANDLE_ENQUIRIES)
def enquiry_convert(request: StaffRequest, ref: uuid.UUID) -> HttpResponse:
    """Make a patient of an enquiry. Whoever looks like the same person is shown first; the desk says who it is."""
    found = _enquiry(request, ref)
    if found.patient is not None:
        return redirect("patient_chart", found.patient.ref)
    suspects = _visible(request, _suspects(found, request.POST))
    form = ConvertForm(found, suspects, request.POST or None)
    if request.method == "POST" and _knows_them_all(request, suspects, form) and form.is_valid():
        patient = _convert(request, found, form)
        if patient is not None:
            messages.success(request, f"{patient.full_name} is a patient. The link to the questionnaire is on its way.")
            return redirect("patient_chart", patient.ref)
    status = 422 if request.method == "POST" else 200
    context = {"enquiry": found, "form": form, "seen": " ".join(str(each.patient.ref) for each in suspects)}
    return render(request, "patients/enquiries/enquiry_convert.html", context, status=status)


def _suspects(found: Enquiry, post: QueryDict | None = None) -> list[Duplicate]:
    """Return who may be the same person, by what the enquiry says and what the desk has typed since."""
    typed = ConvertForm(found, [], post or None)
    facts = typed.cleaned_data if typed.is_valid() else {}
    return duplicates(
        facts.get("given_name", found.given_name),
        facts.get("family_name", found.family_name),
        facts.get("born_on"),
        *_cleaned(facts.get("email", found.email), facts.get("phone", found.phone), found),
    )


def _cleaned(email: str, phone: str, found: Enquiry) -> tuple[str, str]:
    try:
        return (
            clean_email(email) if email else "",
            clean_phone(phone, country=calling_code(found.location.phone)) if phone else "",
        )
    except (EmailRefused, PhoneRefused):
        return "", ""


def _visible(request: StaffRequest, suspects: list[Duplicate]) -> list[Duplicate]:
    mine = set(Patient.objects.visible_to(request.user).filter(pk__in=[each.patient.pk for each in suspects]))
    return [each for each in suspects if each.patient in mine]


def _knows_them_all(request: StaffRequest, suspects: list[Duplicate], form: ConvertForm) -> bool:
    """True when everybody who looks alike was on the page before; else the page shows them first."""
    seen = set(request.POST.get("seen", "").split())
    known = {str(each.patient.ref) for each in suspects} <= seen
    if not known:
        form.add_error("existing", "Please look whether it is one of these people.")
    return known


def _convert(request: StaffRequest, found: Enquiry, form: ConvertForm) -> Patient | None:
    facts = {name: value for name, value in form.cleaned_data.items() if name != "existing"}
    whom = form.whom()
    known = get_object_or_404(Patient.objects.visible_to(request.user), ref=whom) if whom else None
    try:
        return actions.convert_enquiry(enquiry=found, existing=known, **facts, by=request.actor, at=timezone.now())
    except Refused as refused:
        form.refuse(refused)
        return None
