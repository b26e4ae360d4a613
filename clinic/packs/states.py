from datetime import datetime, tzinfo

from django.db.models import TextChoices

from clinic.audit.states import Refused
from clinic.clock import day_and_clock


class PackKind(TextChoices):
    QUESTIONNAIRE = "questionnaire", "Questionnaire"
    CANDIDACY = "candidacy", "Candidacy rules"
    CARE = "care", "Care protocol"
    TRIAGE = "triage", "Check-in triage"
    SESSIONS = "sessions", "Treatment settings"
    CONSENT = "consent", "Consent wording"
    LETTER = "letter", "Letter"


class PackStatus(TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    RETIRED = "retired", "Retired"


TRANSITIONS: dict[str, frozenset[str]] = {
    PackStatus.DRAFT: frozenset({PackStatus.PUBLISHED}),
    PackStatus.PUBLISHED: frozenset({PackStatus.RETIRED}),
    PackStatus.RETIRED: frozenset(),
}


# --- how a change of knowledge is refused -----------------------------------------------------------------------------


class MayNotPublish(Refused):
    """Only whoever may publish knowledge drafts it."""

    sentence = "You may not change the clinic’s rules."


class NoDraftAnyMore(Refused):
    """The draft was published or discarded meanwhile."""

    sentence = "This is no open draft any more. Somebody published or discarded it."


class NotYourDraft(Refused):
    """A draft is changed by its author alone, so that everybody else can be the second pair of eyes."""

    sentence = "Only its author changes a draft. Start a draft of your own."


class StaleDraft(Refused):
    """The text changed since it was shown: `who` did it, `at` that instant."""

    def __init__(self, who: str, at: datetime | None) -> None:
        self.who, self.at = who, at
        super().__init__(f"{who} changed this draft since you opened the page. Look at it again, then save.")

    def on_the_clock(self, zone: tzinfo) -> str:
        """Return the sentence with the time as a wall clock there shows it."""
        if self.at is None:
            return self.for_people
        when = day_and_clock(self.at, zone)
        return f"{self.who} changed this draft on {when}, after you opened the page. Look at it again, then save."


class SecondPersonNeeded(Refused):
    """Nobody approves what they wrote themselves."""

    sentence = "You wrote this draft. A second person must read and approve it."


class DraftOutdated(Refused):
    """Another version came into force since the draft was begun."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"Version {version} came into force since this draft was begun. "
            "Its author looks at the differences first and carries on from there."
        )


class DraftUnchanged(Refused):
    """A draft that says what is in force already."""

    sentence = "This draft changes nothing: its text is the one in force."
