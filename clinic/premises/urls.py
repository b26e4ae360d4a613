from django.urls import path

from clinic.premises import views

urlpatterns = [
    path("", views.home, name="home"),
    path("places/self-service/", views.self_service, name="self_service"),
    path("place/", views.switch_location, name="switch_location"),
]
