from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from clinic.staff.access import public


@public
def home(request: HttpRequest) -> HttpResponse:
    """The front door: visitors may ask about treatment; staff go on to their day."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    return render(request, "clinic/staff/home.html")


@public
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; says nothing about its helpers, so that a broker's hiccup restarts nobody."""
    return HttpResponse("alive\n", content_type="text/plain")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form was open too long, or came from elsewhere: say what to do, lose nothing that can be gone back to."""
    return render(request, "clinic/staff/csrf_failure.html", status=403)
