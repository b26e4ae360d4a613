from django.urls import path

from patients.candidacy import views

urlpatterns = [
    path("my/<uuid:ref>/intake/submit/", views.intake_submit, name="intake_submit"),
    path("my/<uuid:ref>/intake/done/", views.intake_done, name="intake_done"),
    path("my/<uuid:ref>/next-steps/", views.next_steps, name="next_steps"),
    path("patients/<uuid:ref>/intake/submit/", views.phone_intake_submit, name="phone_intake_submit"),
    path("review/", views.review_queue, name="review_queue"),
    path("review/<uuid:ref>/", views.screening, name="screening"),
    path("review/<uuid:ref>/decide/", views.screening_decide, name="screening_decide"),
    path("review/<uuid:ref>/findings/", views.screening_findings, name="screening_findings"),
    path("review/decisions/<uuid:ref>/", views.decision, name="decision"),
    path("review/decisions/<uuid:ref>/cosign/", views.decision_cosign, name="decision_cosign"),
    path("review/decisions/<uuid:ref>/withdraw/", views.decision_withdraw, name="decision_withdraw"),
    path("review/conditions/<uuid:ref>/", views.condition_settle, name="condition_settle"),
]
