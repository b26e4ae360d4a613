from django.urls import path

from clinic.staff import views

urlpatterns = [
    path("livez", views.livez, name="livez"),
]
