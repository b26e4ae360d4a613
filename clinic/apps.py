import importlib

from django.apps import AppConfig


class ClinicConfig(AppConfig):
    name = "clinic"
    verbose_name = "Clinic"

    def ready(self) -> None:
        # The Celery application must be the current one in web, worker and command alike; the receivers keep
        # groups and database grants in step with the tables in the code.
        importlib.import_module("clinic.celery")
        importlib.import_module("clinic.staff.receivers")
