from django.urls import path

from patients.consent import views

urlpatterns = [
    path("my/<uuid:ref>/consent/", views.consent, name="consent"),
    path("my/<uuid:ref>/consent/read/", views.consent_read, name="consent_read"),
    path("my/<uuid:ref>/consent/question/", views.consent_question, name="consent_question"),
    path("my/<uuid:ref>/consent/decline/", views.consent_decline, name="consent_decline"),
    path("my/<uuid:ref>/consent/copy/", views.consent_copy, name="consent_copy"),
    path("my/<uuid:ref>/consent/copy/pdf/", views.consent_pdf, name="consent_pdf"),
    path("my/<uuid:ref>/consent/withdraw/", views.consent_withdraw, name="consent_withdraw"),
    path("consents/<uuid:ref>/", views.consent_record, name="consent_record"),
    path("consents/<uuid:ref>/revoke/", views.consent_revoke, name="consent_revoke"),
]
