from django.urls import path

from patients.letters import views

urlpatterns = [
    path("letters/", views.letters, name="letters"),
    path("letters/<slug:template>/<slug:language>/draft/", views.letter_draft, name="letter_draft"),
    path("rules/<uuid:ref>/letter/", views.letter_edit, name="letter_edit"),
    path("rules/<uuid:ref>/letter/preview/", views.letter_preview, name="letter_preview"),
]
