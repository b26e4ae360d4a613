from django.urls import path

from treatments.online import views

urlpatterns = [
    path("consultation/", views.online, name="online"),
    path("consultation/done/", views.online_done, name="online_done"),
    path("consultation/<uuid:place>/<slug:kind>/", views.online_times, name="online_times"),
    path("consultation/<uuid:place>/<slug:kind>/details/", views.online_details, name="online_details"),
]
