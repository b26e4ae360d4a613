from django.urls import path

from patients.enquiries import views

urlpatterns = [
    path("enquire/", views.enquiry_new, name="enquiry_new"),
    path("enquire/thanks/", views.enquiry_thanks, name="enquiry_thanks"),
    path("enquiries/", views.enquiries, name="enquiries"),
    path("enquiries/<uuid:ref>/", views.enquiry, name="enquiry"),
    path("enquiries/<uuid:ref>/contacted/", views.enquiry_contacted, name="enquiry_contacted"),
    path("enquiries/<uuid:ref>/reopen/", views.enquiry_reopen, name="enquiry_reopen"),
    path("enquiries/<uuid:ref>/close/", views.enquiry_close, name="enquiry_close"),
    path("enquiries/<uuid:ref>/convert/", views.enquiry_convert, name="enquiry_convert"),
]
