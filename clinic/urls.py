"""All addresses. Each room brings its own; this file names them by string only."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", include("clinic.staff.urls")),
    path("", include("clinic.catalogue.urls")),
    path("", include("clinic.premises.urls")),
    path("", include("clinic.worklist.urls")),
    path("", include("patients.registry.urls")),
    path("", include("patients.messaging.urls")),
    path("", include("patients.replies.urls")),
    path("", include("patients.candidacy.urls")),
    path("", include("patients.consent.urls")),
    path("", include("patients.photos.urls")),
    path("", include("patients.enquiries.urls")),
    path("", include("patients.wishes.urls")),
    path("", include("patients.intake.urls")),
    path("", include("patients.workshop.urls")),
    path("", include("patients.letters.urls")),
    path("", include("treatments.aftercare.urls")),
    path("", include("treatments.courses.urls")),
    path("", include("treatments.protocols.urls")),
    path("", include("treatments.ranges.urls")),
    path("", include("treatments.booking.urls")),
    path("", include("treatments.today.urls")),
    path("", include("treatments.diary.urls")),
    path("", include("treatments.series.urls")),
    path("", include("treatments.waitlist.urls")),
    path("", include("treatments.disruption.urls")),
    path("", include("treatments.sessions.urls")),
    path("", include("treatments.visits.urls")),
    path("", include("treatments.online.urls")),
    path("", include("treatments.feeds.urls")),
    path("", include("treatments.journey.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
