from django.urls import path

from treatments.visits import views

urlpatterns = [
    path("my/<uuid:ref>/visit/", views.my_visit, name="my_visit"),
    path("my/<uuid:ref>/visit/calendar/", views.my_visit_calendar, name="my_visit_calendar"),
]
