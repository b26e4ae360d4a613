from django.urls import path

from clinic.premises import views

urlpatterns = [
    path("place/", views.switch_location, name="switch_location"),
]
