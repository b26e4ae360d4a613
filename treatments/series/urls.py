from django.urls import path

from treatments.series import views

urlpatterns = [
    path("courses/<uuid:ref>/dates/", views.series, name="series"),
    path("visits/<uuid:ref>/shift/", views.series_shift, name="series_shift"),
]
