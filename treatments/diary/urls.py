from django.urls import path

from treatments.diary import views

urlpatterns = [
    path("diary/", views.diary, name="diary"),
    path("diary/grid/", views.diary_grid, name="diary_grid"),
    path("diary/week/", views.diary_week, name="diary_week"),
    path("diary/week/grid/", views.diary_week_grid, name="diary_week_grid"),
    path("visits/<uuid:ref>/drop/", views.appointment_drop, name="appointment_drop"),
    path("visits/<uuid:ref>/length/", views.appointment_resize, name="appointment_resize"),
]
