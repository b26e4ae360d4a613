from django.apps import AppConfig


class PatientsConfig(AppConfig):
    name = "patients"
    verbose_name = "Patients"

    def ready(self) -> None:
        from clinic.packs.states import PackKind
        from patients.letters.queries import check_letter, letter_called, letter_changes
        from patients.workshop.crafts import Craft, teach

        # Letters are drafted, compared and published as rules are; how their words are read is known in their room.
        teach(
            PackKind.LETTER,
            Craft(
                check=check_letter,
                changes=letter_changes,
                editor="letter_edit",
                after="Messages that leave from now on say it. What was sent already stays in the log as it was.",
                called=letter_called,
            ),
        )
