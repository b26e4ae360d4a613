from django.urls import path

from treatments.visits import views

urlpatterns = [
    path("my/<uuid:ref>/visit/", views.my_visit, name="my_visit"),
    path("my/<uuid:ref>/visit/calendar/", views.my_visit_calendar, name="my_visit_calendar"),
    path("my/<uuid:ref>/visit/confirm/", views.my_visit_confirm, name="my_visit_confirm"),
    path("my/<uuid:ref>/visit/sooner/", views.my_visit_sooner, name="my_visit_sooner"),
    path("my/<uuid:ref>/visit/cancel/", views.my_visit_cancel, name="my_visit_cancel"),
    path("my/<uuid:ref>/visit/move/", views.my_visit_move, name="my_visit_move"),
]
