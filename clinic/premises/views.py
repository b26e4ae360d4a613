from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from clinic.premises.models import Location
from clinic.premises.queries import LOCATION_KEY
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.states import Permission


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
