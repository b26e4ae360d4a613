from django.urls import path

from patients.workshop import views

urlpatterns = [
    path("rules/", views.rules, name="rules"),
    path("rules/<uuid:ref>/", views.rules_read, name="rules_read"),
    path("rules/<uuid:ref>/changes/", views.rules_changes, name="rules_changes"),
    path("rules/<uuid:ref>/draft/", views.rules_draft, name="rules_draft"),
    path("rules/<uuid:ref>/edit/", views.rules_edit, name="rules_edit"),
    path("rules/<uuid:ref>/edit/days/", views.rules_edit_days, name="rules_edit_days"),
    path("rules/<uuid:ref>/edit/text/", views.rules_edit_text, name="rules_edit_text"),
    path("rules/<uuid:ref>/edit/rule/<slug:rule>/", views.rules_edit_rule, name="rules_edit_rule"),
    path("rules/<uuid:ref>/carry-on/", views.rules_carry_on, name="rules_carry_on"),
    path("rules/<uuid:ref>/discard/", views.rules_discard, name="rules_discard"),
    path("rules/<uuid:ref>/try/", views.rules_try, name="rules_try"),
    path("rules/<uuid:ref>/publish/", views.rules_publish, name="rules_publish"),
]
