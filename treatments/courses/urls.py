from django.urls import path

from treatments.courses import views

urlpatterns = [
    path("patients/<uuid:ref>/course/", views.course_new, name="course_new"),
    path("courses/<uuid:ref>/", views.course, name="course"),
    path("courses/<uuid:ref>/hold/", views.course_hold, name="course_hold"),
    path("courses/<uuid:ref>/resume/", views.course_resume, name="course_resume"),
    path("courses/<uuid:ref>/end/", views.course_end, name="course_end"),
]
