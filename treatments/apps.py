from django.apps import AppConfig


class TreatmentsConfig(AppConfig):
    name = "treatments"
    verbose_name = "Treatments"

    def ready(self) -> None:
        from clinic.packs.states import PackKind
        from patients.candidacy.facts import offer_facts
        from patients.consent.endings import follows_ending
        from patients.messaging.enclosures import encloses
        from patients.messaging.holds import objects
        from patients.messaging.states import Purpose
        from patients.replies.alarms import rings
        from patients.wishes.news import follows_news
        from patients.workshop.crafts import Craft, teach
        from patients.workshop.holds import find_visits_by
        from treatments.aftercare.queries import objections_to_news
        from treatments.aftercare.texts import raise_alarm_for_text
        from treatments.booking.coming import coming_visits
        from treatments.disruption.queries import objections_to_reminders
        from treatments.journey.news import plan_news
        from treatments.journey.unprepared import plan_follows_consent
        from treatments.plan.states import STATED
        from treatments.protocols.queries import check_protocol, protocol_called, protocol_changes
        from treatments.ranges.queries import check_settings, check_triage
        from treatments.ranges.rules import differences
        from treatments.visits.queries import calendar_file

        # Letters about a visit carry it for the reader's calendar; the sender, a floor below, does not know visits.
        encloses("appointment", calendar_file)
        # Publishing rules can hold visits: the workshop asks here which ones lie ahead.
        find_visits_by(coming_visits)
        # What a clinician may state with a decision, because care protocols read it.
        offer_facts({each.value: each.label for each in STATED})
        # The workshop, a floor below, drafts and publishes care protocols too; how they are read is known here.
        teach(
            PackKind.CARE,
            Craft(
                check=check_protocol,
                changes=protocol_changes,
                editor="care_steps",
                after=(
                    "Within a minute the messages of coming visits and running aftercare follow it. "
                    "What was sent already stays in the log as it was."
                ),
                called=protocol_called,
            ),
        )
        # So are check-in triage and the ranges of settings.
        teach(
            PackKind.TRIAGE,
            Craft(
                check=check_triage,
                changes=differences,
                editor="range_parts",
                after=(
                    "Check-ins answered from now on are judged by it; alarms that are open keep the clock they have. "
                    "What was judged already stays as it was."
                ),
                called=lambda _name: "",
            ),
        )
        teach(
            PackKind.SESSIONS,
            Craft(
                check=check_settings,
                changes=differences,
                editor="range_parts",
                after="What is recorded of treatments from now on is compared with it. What was recorded stays.",
                called=lambda _name: "",
            ),
        )
        # A text that may speak of an emergency is an alarm like any other; the inbox does not know alarms.
        rings(raise_alarm_for_text)
        # Nobody is asked for a review while something red is open, or called back who has a visit.
        objects(Purpose.NEWS, objections_to_news)
        # Nobody is reminded of a visit that the desk is about to ring about.
        objects(Purpose.VISIT, objections_to_reminders)
        # Whoever agrees to news, or takes it back, sees at once what is planned of it.
        follows_news(plan_news)
        # Whoever takes back a consent is told from that moment on to prepare for nothing.
        follows_ending(plan_follows_consent)
