from django.urls import path

from clinic.catalogue import views

urlpatterns = [path("places/lead-times/", views.lead_times, name="lead_times")]
