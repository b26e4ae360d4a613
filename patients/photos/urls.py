from django.urls import path

from patients.photos import views

urlpatterns = [
    path("patients/<uuid:ref>/photos/", views.photos, name="photos"),
    path("patients/<uuid:ref>/photos/add/", views.photo_add, name="photo_add"),
    path("patients/<uuid:ref>/photos/consent/", views.photo_consent_ask, name="photo_consent_ask"),
    path("photos/<uuid:ref>/", views.photo, name="photo"),
    path("photos/<uuid:ref>/image/", views.photo_image, name="photo_image"),
    path("photos/<uuid:ref>/thumbnail/", views.photo_thumbnail, name="photo_thumbnail"),
    path("photos/<uuid:ref>/strike/", views.photo_strike, name="photo_strike"),
    path("my/<uuid:ref>/photos/", views.my_photos, name="my_photos"),
    path("my/<uuid:ref>/photos/<uuid:photo>/", views.my_photo, name="my_photo"),
    path("my/<uuid:ref>/photos/<uuid:photo>/remove/", views.my_photo_remove, name="my_photo_remove"),
]
