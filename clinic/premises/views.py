from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from clinic.premises.actions import set_self_service
from clinic.premises.forms import SelfServiceForm
from clinic.premises.models import Location
from clinic.premises.queries import LOCATION_KEY
from clinic.staff.access import public, staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission


@public
def home(request: HttpRequest) -> HttpResponse:
    """The front door: visitors may ask about treatment, or book a talk; staff go on to their day."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    online = Location.objects.filter(is_active=True, online_booking=True).exists()
    return render(request, "clinic/premises/home.html", {"online_booking": online})


@staff(Permission.MANAGE_STAFF)
@require_http_methods(["GET", "HEAD", "POST"])
def self_service(request: StaffRequest) -> HttpResponse:
    """What visitors and patients may do without the desk, place by place."""
    places = list(Location.objects.visible_to(request.user))
    sent = request.method == "POST"
    which = request.POST.get("place", "")
    if sent and which not in {str(each.ref) for each in places}:
        raise Http404
    forms = [
        (each, SelfServiceForm(request.POST if which == str(each.ref) else None, prefix=str(each.ref), place=each))
        for each in places
    ]
    for place, form in forms:
        if form.is_valid():
            set_self_service(location=place, **form.cleaned_data, by=request.actor, at=timezone.now())
            messages.success(request, _("Saved for %(place)s.") % {"place": place.name})
            return redirect("self_service")
    return render(request, "clinic/premises/self_service.html", {"forms": forms}, status=422 if sent else 200)


@staff(Permission.SEE_TODAY)
@require_POST
def switch_location(request: StaffRequest) -> HttpResponse:
    """From here on the person works at another of their places. Only this session changes."""
    try:
        ref = UUID(request.POST.get("location", ""))
    except ValueError:
        raise Http404 from None
    location = get_object_or_404(Location.objects.visible_to(request.user), ref=ref)
    request.session[LOCATION_KEY] = str(location.ref)
    return redirect(_page_after_switching(request.POST.get("next", "")))


def _page_after_switching(came_from: str) -> str:
    """Stay on a list; leave a page about one row, which may belong to the other place."""
    if not url_has_allowed_host_and_scheme(came_from, allowed_hosts=None):
        return settings.LOGIN_REDIRECT_URL
    try:
        match = resolve(came_from.partition("?")[0])
    except Resolver404:
        return settings.LOGIN_REDIRECT_URL
    return settings.LOGIN_REDIRECT_URL if match.kwargs else came_from
