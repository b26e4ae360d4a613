from django.urls import path

from clinic.staff import views

urlpatterns = [
    path("", views.home, name="home"),
    path("livez", views.livez, name="livez"),
]
