from django.urls import path

from patients.intake import copy_views, views

# The screens of the questionnaire have any name: "done" and "submit" belong to candidacy, whose addresses come first.
urlpatterns = [
    path("l/<str:token>/again/", views.link_renew, name="link_renew"),
    path("answers/<uuid:ref>/", copy_views.answers_copy, name="answers_copy"),
    path("answers/<uuid:ref>/pdf/", copy_views.answers_pdf, name="answers_pdf"),
    path("answers/<uuid:ref>/export/", copy_views.answers_export, name="answers_export"),
    path("patients/<uuid:ref>/send/", views.send_link, name="send_link"),
    path("patients/<uuid:ref>/intake/", views.phone_intake, name="phone_intake"),
    path("patients/<uuid:ref>/intake/start/", views.phone_intake_start, name="phone_intake_start"),
    path("patients/<uuid:ref>/intake/save/", views.phone_intake_save, name="phone_intake_save"),
    path("patients/<uuid:ref>/intake/<slug:group>/", views.phone_intake_group, name="phone_intake_group"),
    path("my/<uuid:ref>/intake/", views.intake, name="intake"),
    path("my/<uuid:ref>/intake/save/", views.intake_save, name="intake_save"),
    path("my/<uuid:ref>/intake/check/", views.intake_check, name="intake_check"),
    path("my/<uuid:ref>/intake/<slug:group>/", views.intake_group, name="intake_group"),
]
