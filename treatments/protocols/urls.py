from django.urls import path

from treatments.protocols import views

urlpatterns = [path("rehearsal/", views.rehearsal, name="rehearsal")]
