from django.urls import path

from treatments.sessions import fitness_views, views

urlpatterns = [
    path("my/<uuid:ref>/fitness/", fitness_views.fitness, name="fitness"),
    path("visits/<uuid:ref>/session/", views.session_open, name="session_open"),
    path("sessions/<uuid:ref>/", views.session, name="session"),
    path("sessions/<uuid:ref>/fitness/", views.session_fitness, name="session_fitness"),
    path("sessions/<uuid:ref>/start/", views.session_start, name="session_start"),
    path("sessions/<uuid:ref>/not-done/", views.session_abandon, name="session_abandon"),
    path("sessions/<uuid:ref>/passes/", views.pass_add, name="pass_add"),
    path("sessions/<uuid:ref>/passes/<uuid:row>/strike/", views.pass_strike, name="pass_strike"),
    path("sessions/<uuid:ref>/sign-off/", views.session_sign_off, name="session_sign_off"),
    path("sessions/<uuid:ref>/addenda/", views.session_addendum, name="session_addendum"),
]
