from django.urls import path

from patients.replies import gateway_views, views

urlpatterns = [
    path("replies/", views.replies, name="replies"),
    path("replies/count/", views.replies_count, name="replies_count"),
    path("replies/<uuid:ref>/", views.conversation, name="conversation"),
    path("replies/<uuid:ref>/answer/", views.conversation_answer, name="conversation_answer"),
    path("replies/<uuid:ref>/take/", views.conversation_take, name="conversation_take"),
    path("replies/<uuid:ref>/close/", views.conversation_close, name="conversation_close"),
    path("gateway/http/receipt/", gateway_views.http_receipt, name="http_receipt"),
    path("gateway/http/reply/", gateway_views.http_reply, name="http_reply"),
    path("gateway/twilio/receipt/", gateway_views.twilio_receipt, name="twilio_receipt"),
    path("gateway/twilio/reply/", gateway_views.twilio_reply, name="twilio_reply"),
]
