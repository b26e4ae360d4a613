from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clinic.staff.models import User
from patients.registry.models import Patient
from patients.replies.models import Conversation
from patients.replies.queries import canned_answers
from patients.replies.states import ConversationOutcome

OWN_WORDS = "own"
LONGEST_ANSWER = 306  # two texts of 153 signs


class AnswerForm(forms.Form):
    """An answer by text: one that stands ready, or the desk's own words; and whom of a family it greets."""

    patient = forms.ChoiceField(
        label=_("To whom?"),
        widget=forms.RadioSelect,
        error_messages={"required": _("Please say whom the answer is for."), "invalid_choice": _("Please choose one.")},
    )
    canned = forms.ChoiceField(
        label=_("Answer"),
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose an answer, or your own words.")},
    )
    text = forms.CharField(
        label=_("In your own words"),
        required=False,
        max_length=LONGEST_ANSWER,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Nothing medical and no name: it may be read over a shoulder. The clinic’s name stands before it."),
    )

    def __init__(self, *args: Any, conversation: Conversation, people: list[Patient], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = {str(patient.ref): patient for patient in people}
        _offer(self.fields["patient"], [(ref, str(patient)) for ref, patient in self.people.items()])
        if len(people) == 1:
            self.fields["patient"].widget = forms.HiddenInput()
            self.fields["patient"].initial = str(people[0].ref)
        phone = conversation.location.phone
        self.ready = {each.id: each for each in canned_answers()}
        ready = [(each.id, f"{each.label}: “{each.text('en', phone)}”") for each in self.ready.values()]
        _offer(self.fields["canned"], [*ready, (OWN_WORDS, str(_("In your own words")))])
        self.fields["canned"].initial = OWN_WORDS
        self.phone = phone

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        patient = self.people.get(cleaned.get("patient", ""))
        chosen, own = cleaned.get("canned"), cleaned.get("text", "").strip()
        if chosen in self.ready and own:
            self.add_error("canned", _("Please send either this or your own words."))
        elif chosen == OWN_WORDS and not own and "text" not in self.errors:
            self.add_error("text", _("Please write an answer, or choose one."))
        elif chosen in self.ready and patient is not None:
            cleaned["text"] = self.ready[chosen].text(patient.language, self.phone)
        cleaned["patient"] = patient
        return cleaned


def _offer(field: forms.Field, choices: list[tuple[str, str]]) -> None:
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices


class TakeForm(forms.Form):
    """Whose conversation it is."""

    to = forms.ModelChoiceField(
        label=_("Whose is it?"),
        queryset=User.objects.none(),
        empty_label=None,
        error_messages={"required": _("Please choose somebody."), "invalid_choice": _("Please choose somebody.")},
    )

    def __init__(self, *args: Any, people: list[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["to"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = User.objects.filter(pk__in=[user.pk for user in people]).order_by("name", "id")


class CloseForm(forms.Form):
    """What came of a conversation."""

    outcome = forms.ChoiceField(
        label=_("What came of it?"),
        choices=ConversationOutcome.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Please say what came of it.")},
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=400, widget=forms.Textarea(attrs={"rows": 2}))
