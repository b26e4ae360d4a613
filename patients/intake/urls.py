from django.urls import path

from patients.intake import copy_views, views

# The screens of the questionnaire have any name: "done" and "submit" belong to candidacy, whose addresses come first.
urlpatterns = [
    path("enquire/", views.enquiry_new, name="enquiry_new"),
    path("enquire/thanks/", views.enquiry_thanks, name="enquiry_thanks"),
    path("l/<str:token>/again/", views.link_renew, name="link_renew"),
    path("answers/<uuid:ref>/", copy_views.answers_copy, name="answers_copy"),
    path("answers/<uuid:ref>/export/", copy_views.answers_export, name="answers_export"),
    path("enquiries/", views.enquiries, name="enquiries"),
    path("enquiries/<uuid:ref>/", views.enquiry, name="enquiry"),
    path("enquiries/<uuid:ref>/contacted/", views.enquiry_contacted, name="enquiry_contacted"),
    path("enquiries/<uuid:ref>/reopen/", views.enquiry_reopen, name="enquiry_reopen"),
    path("enquiries/<uuid:ref>/close/", views.enquiry_close, name="enquiry_close"),
    path("enquiries/<uuid:ref>/convert/", views.enquiry_convert, name="enquiry_convert"),
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
