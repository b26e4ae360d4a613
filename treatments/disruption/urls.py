from django.urls import path

from treatments.disruption import views

urlpatterns = [
    path("disruptions/", views.disruptions, name="disruptions"),
    path("disruptions/new/", views.disruption_new, name="disruption_new"),
    path("disruptions/<uuid:ref>/", views.disruption, name="disruption"),
    path("disruptions/<uuid:ref>/over/", views.disruption_over, name="disruption_over"),
    path("hours/", views.special_hours, name="special_hours"),
    path("hours/clock/", views.special_hours_clock, name="special_hours_clock"),
    path("hours/usual/", views.special_hours_end, name="special_hours_end"),
]
