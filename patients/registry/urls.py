from django.urls import path

from patients.registry import views

urlpatterns = [
    path("patients/", views.patients, name="patients"),
    path("patients/new/", views.patient_new, name="patient_new"),
    path("patients/<uuid:ref>/edit/", views.patient_edit, name="patient_edit"),
    path("l/<str:token>/", views.link_open, name="link_open"),
]
