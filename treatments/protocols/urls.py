from django.urls import path

from treatments.protocols import views

urlpatterns = [
    path("rehearsal/", views.rehearsal, name="rehearsal"),
    path("rules/<uuid:ref>/messages/", views.care_steps, name="care_steps"),
    path("rules/<uuid:ref>/messages/<slug:step>/", views.care_step, name="care_step"),
]
