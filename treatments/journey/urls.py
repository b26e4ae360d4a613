from django.urls import path

from treatments.journey import views

urlpatterns = [
    path("patients/<uuid:ref>/", views.patient_chart, name="patient_chart"),
    path("messages/nightly/", views.message_checks, name="message_checks"),
    path("readiness/", views.readiness, name="readiness"),
    path("my/<uuid:ref>/healing/", views.healing, name="healing"),
    path("my/<uuid:ref>/healing/<uuid:checkin>/", views.healing_checkin, name="healing_checkin"),
]
