from django.apps import AppConfig


class TreatmentsConfig(AppConfig):
    name = "treatments"
    verbose_name = "Treatments"

    def ready(self) -> None:
        from patients.messaging.enclosures import encloses
        from treatments.visits.queries import calendar_file

        # Letters about a visit carry it for the reader's calendar; the sender, a floor below, does not know visits.
        encloses("appointment", calendar_file)
