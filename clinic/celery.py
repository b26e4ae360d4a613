"""The Celery application: worker and beat start from here."""

import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")

app = Celery("afterglow")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "patients.messaging",
        "patients.replies",
        "patients.candidacy",
        "patients.expiry",
        "patients.workshop",
        "treatments.aftercare",
        "treatments.journey",
        "treatments.waitlist",
    ],
    related_name="tasks",
)


@setup_logging.connect
def keep_our_logging(**_kwargs: object) -> None:
    """Leave logging to Django's LOGGING, so that worker and web write alike."""
