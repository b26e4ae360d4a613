from django.urls import path

from treatments.waitlist import views

urlpatterns = [
    path("waitlist/", views.waitlist, name="waitlist"),
    path("waitlist/add/<uuid:ref>/", views.waitlist_join, name="waitlist_join"),
    path("waitlist/<uuid:ref>/offer/", views.waitlist_offer, name="waitlist_offer"),
    path("waitlist/<uuid:ref>/remove/", views.waitlist_remove, name="waitlist_remove"),
    path("my/<uuid:ref>/offer/", views.my_offer, name="my_offer"),
]
