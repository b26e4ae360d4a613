from django.urls import path

from treatments.booking import views

urlpatterns = [
    path("today/", views.today, name="today"),
    path("today/list/", views.today_list, name="today_list"),
    path("today/privacy/", views.today_privacy, name="today_privacy"),
    path("confirmations/", views.confirmations, name="confirmations"),
    path("diary/", views.diary, name="diary"),
    path("diary/grid/", views.diary_grid, name="diary_grid"),
    path("diary/week/", views.diary_week, name="diary_week"),
    path("diary/week/grid/", views.diary_week_grid, name="diary_week_grid"),
    path("book/", views.book, name="book"),
    path("visits/<uuid:ref>/", views.appointment, name="appointment"),
    path("visits/<uuid:ref>/move/", views.appointment_move, name="appointment_move"),
    path("visits/<uuid:ref>/drop/", views.appointment_drop, name="appointment_drop"),
    path("visits/<uuid:ref>/length/", views.appointment_resize, name="appointment_resize"),
    path("visits/<uuid:ref>/cancel/", views.appointment_cancel, name="appointment_cancel"),
    path("visits/<uuid:ref>/accept/", views.appointment_accept, name="appointment_accept"),
    path("visits/<uuid:ref>/confirmed/", views.appointment_confirmed, name="appointment_confirmed"),
    path("visits/<uuid:ref>/call/", views.appointment_called, name="appointment_called"),
    path("visits/<uuid:ref>/in-room/", views.appointment_in_room, name="appointment_in_room"),
    path("visits/<uuid:ref>/arrived/", views.appointment_arrived, name="appointment_arrived"),
    path("visits/<uuid:ref>/no-show/", views.appointment_noshow, name="appointment_noshow"),
    path("visits/<uuid:ref>/done/", views.appointment_done, name="appointment_done"),
    path("visits/<uuid:ref>/undo/", views.appointment_undo, name="appointment_undo"),
]
