from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from clinic.staff.access import public


@public
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; says nothing about its helpers, so that a broker's hiccup restarts nobody."""
    return HttpResponse("alive\n", content_type="text/plain")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form was open too long, or came from elsewhere: say what to do, lose nothing that can be gone back to."""
    return render(request, "clinic/staff/csrf_failure.html", status=403)
