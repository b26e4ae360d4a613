from django.urls import path

from patients.wishes import views

urlpatterns = [
    path("patients/<uuid:ref>/contact/", views.wishes, name="wishes"),
    path("patients/<uuid:ref>/contact/send/", views.wishes_send, name="wishes_send"),
    path("patients/<uuid:ref>/contact/start/<slug:kind>/", views.number_start, name="number_start"),
    path("my/<uuid:ref>/contact/", views.my_wishes, name="my_wishes"),
    path("my/<uuid:ref>/healing/contact/", views.healing_wishes, name="healing_wishes"),
    path("my/<uuid:ref>/visit/contact/", views.visit_wishes, name="visit_wishes"),
]
