from django.urls import path

from patients.messaging import silence_views, views

urlpatterns = [
    path("patients/<uuid:ref>/silence/", silence_views.patient_silence, name="patient_silence"),
    path("messages/", views.message_log, name="messages"),
    path("messages/sender/", views.sender_banner, name="sender_banner"),
    path("patients/<uuid:ref>/messages/", views.patient_messages, name="patient_messages"),
    path("messages/<uuid:ref>/", views.message, name="message"),
    path("messages/<uuid:ref>/send/", views.message_send, name="message_send"),
    path("messages/<uuid:ref>/hold/", views.message_hold, name="message_hold"),
    path("messages/<uuid:ref>/release/", views.message_release, name="message_release"),
    path("messages/<uuid:ref>/skip/", views.message_skip, name="message_skip"),
    path("readyz", views.readyz, name="readyz"),
    path("mailbox/", views.mailbox, name="mailbox"),
]
