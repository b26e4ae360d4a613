from django.urls import path

from treatments.ranges import views

urlpatterns = [
    path("rules/<uuid:ref>/parts/", views.range_parts, name="range_parts"),
    path("rules/<uuid:ref>/parts/<slug:table>/<slug:part>/", views.range_part, name="range_part"),
]
