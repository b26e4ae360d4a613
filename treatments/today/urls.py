from django.urls import path

from treatments.today import views

urlpatterns = [
    path("today/", views.today, name="today"),
    path("today/list/", views.today_list, name="today_list"),
    path("today/keys/", views.today_keys, name="today_keys"),
    path("today/privacy/", views.today_privacy, name="today_privacy"),
    path("confirmations/", views.confirmations, name="confirmations"),
    path("visits/<uuid:ref>/accept/", views.appointment_accept, name="appointment_accept"),
    path("visits/<uuid:ref>/confirmed/", views.appointment_confirmed, name="appointment_confirmed"),
    path("visits/<uuid:ref>/call/", views.appointment_called, name="appointment_called"),
    path("visits/<uuid:ref>/in-room/", views.appointment_in_room, name="appointment_in_room"),
    path("visits/<uuid:ref>/arrived/", views.appointment_arrived, name="appointment_arrived"),
    path("visits/<uuid:ref>/no-show/", views.appointment_noshow, name="appointment_noshow"),
    path("visits/<uuid:ref>/done/", views.appointment_done, name="appointment_done"),
    path("visits/<uuid:ref>/undo/", views.appointment_undo, name="appointment_undo"),
]
