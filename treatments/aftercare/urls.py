from django.urls import path

from treatments.aftercare import views

urlpatterns = [
    path("sessions/<uuid:ref>/finish/", views.session_finish, name="session_finish"),
    path("sessions/<uuid:ref>/end/", views.session_end, name="session_end"),
    path("my/<uuid:ref>/checkin/", views.checkin, name="checkin"),
    path("my/<uuid:ref>/checkin/answer/", views.checkin_answer, name="checkin_answer"),
    path("my/<uuid:ref>/checkin/send/", views.checkin_send, name="checkin_send"),
    path("my/<uuid:ref>/checkin/seen/", views.checkin_seen, name="checkin_seen"),
    path("alarms/", views.alarms, name="alarms"),
    path("alarms/banner/", views.alarm_banner, name="alarm_banner"),
    path("alarms/<uuid:ref>/", views.alarm, name="alarm"),
    path("alarms/<uuid:ref>/acknowledge/", views.alarm_acknowledge, name="alarm_acknowledge"),
    path("alarms/<uuid:ref>/hand-over/", views.alarm_hand_over, name="alarm_hand_over"),
    path("alarms/<uuid:ref>/close/", views.alarm_close, name="alarm_close"),
    path("alarms/<uuid:ref>/events/", views.event_new, name="event_new"),
    path("alarms/<uuid:ref>/events/<uuid:event>/review/", views.event_review, name="event_review"),
]
