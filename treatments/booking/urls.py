from django.urls import path

from treatments.booking import views

urlpatterns = [
    path("book/", views.book, name="book"),
    path("book/patient/", views.book_patient, name="book_patient"),
    path("visits/<uuid:ref>/", views.appointment, name="appointment"),
    path("visits/<uuid:ref>/move/", views.appointment_move, name="appointment_move"),
    path("visits/<uuid:ref>/cancel/", views.appointment_cancel, name="appointment_cancel"),
]
