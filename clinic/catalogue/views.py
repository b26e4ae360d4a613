from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from clinic.catalogue.actions import set_lead_days
from clinic.catalogue.forms import LeadForm
from clinic.catalogue.models import AppointmentType
from clinic.catalogue.states import TREATING
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission


@staff(Permission.MANAGE_STAFF)
@require_http_methods(["GET", "HEAD", "POST"])
def lead_times(request: StaffRequest) -> HttpResponse:
    """How long before each kind of treatment it must be booked, so that there is time to prepare."""
    sent = request.method == "POST"
    form = LeadForm(request.POST if sent else None, types=AppointmentType.objects.filter(kind__in=TREATING))
    if form.is_valid():
        at = timezone.now()
        with transaction.atomic():
            for each, days in form.decided():
                set_lead_days(type=each, days=days, by=request.actor, at=at)
        messages.success(request, _("Saved. It counts from now on; visits that are booked already stay."))
        return redirect("lead_times")
    return render(request, "clinic/catalogue/lead_times.html", {"form": form}, status=422 if sent else 200)
