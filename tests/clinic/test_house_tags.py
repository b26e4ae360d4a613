"""What templates of every room share."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django import forms
from django.template import engines
from django.utils import timezone

from clinic.templatetags.house import age, lead_in, local, short_day, short_ref, tone_icon

LISBON = SimpleNamespace(zone=ZoneInfo("Europe/Lisbon"))
TOKYO = SimpleNamespace(zone=ZoneInfo("Asia/Tokyo"))
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def shown(text, **context):
    return engines["django"].from_string("{% load house %}" + text).render(context)


class Enquiry(forms.Form):
    name = forms.CharField(label="Your name", help_text="As we should say it.")
    skin = forms.ChoiceField(
        label="Does your skin burn?", choices=[("yes", "Yes"), ("not_sure", "Not sure")], widget=forms.RadioSelect
    )
    areas = forms.MultipleChoiceField(
        label="Where?", choices=[("face", "Face")], widget=forms.CheckboxSelectMultiple, required=False
    )
    note = forms.CharField(widget=forms.Textarea, required=False)
    agree = forms.BooleanField(label="You may write to me")
    form_key = forms.UUIDField(widget=forms.HiddenInput)


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        (date(1988, 5, 14), date(2026, 5, 13), 37),
        (date(1988, 5, 14), date(2026, 5, 14), 38),
        (date(2004, 2, 29), date(2026, 2, 28), 21),
        (date(2004, 2, 29), date(2026, 3, 1), 22),
        (date(2026, 11, 23), date(2026, 11, 23), 0),
    ],
)
def test_age_counts_completed_years(born, on, years):
    assert age(born, on) == years


def test_age_is_counted_by_the_clock_of_the_page():
    with time_machine.travel(datetime(2026, 5, 13, 16, 0, tzinfo=UTC), tick=False), timezone.override("Asia/Tokyo"):
        assert age(date(1988, 5, 14)) == 38


def test_a_time_is_shown_by_the_clock_of_its_place():
    assert local(NOON, TOKYO).isoformat() == "2026-11-23T21:00:00+09:00"
    assert local(None, TOKYO) is None


def test_when_shows_the_day_and_the_time_of_the_place_and_the_instant_to_machines():
    with time_machine.travel(NOON):
        text = shown('{% include "components/_when.html" %}', when=NOON, place=TOKYO)

    assert text.strip() == '<time datetime="2026-11-23T12:00:00+00:00">Mon 23 Nov, 21:00</time>'


def test_when_needs_no_place_and_nothing_shows_for_nothing():
    assert "12:00" in shown('{% include "components/_when.html" with only="time" %}', when=NOON)
    assert shown('{% include "components/_when.html" %}', when=None).strip() == ""


def test_another_year_is_named():
    with time_machine.travel(NOON):
        assert short_day(date(2026, 1, 5)) == "Mon 5 Jan"
        assert short_day(date(2027, 1, 4)) == "Mon 4 Jan 2027"


def test_a_ref_can_be_read_out():
    assert short_ref("3f2a91bc-0000-4000-8000-000000000000") == "3F2A-91BC"


@pytest.mark.parametrize(("label", "lead"), [("Your name", "Your name:"), ("Does it hurt?", "Does it hurt?")])
def test_a_label_leads_into_its_error(label, lead):
    assert lead_in(label) == lead


def test_every_tone_has_an_icon_and_an_unknown_one_is_quiet():
    assert len({tone_icon(tone) for tone in ("calm", "good", "warn", "alarm", "quiet")}) == 5
    assert tone_icon("purple") == "quiet"


def test_a_status_says_it_in_words_beside_the_icon():
    text = shown('{% include "components/_status.html" %}', label="Not ready", tone="warn")

    assert "ag-tone-warn" in text
    assert "<span>Not ready</span>" in text
    assert 'aria-hidden="true"' in text


def test_fields_bring_no_form_of_their_own_and_keep_the_hidden_key():
    text = shown("{% fields form %}", form=Enquiry(initial={"form_key": "3f2a91bc-0000-4000-8000-000000000000"}))

    assert "<form" not in text
    assert "csrf" not in text
    assert '<input type="hidden" name="form_key" value="3f2a91bc-0000-4000-8000-000000000000"' in text


def test_a_question_with_choices_is_a_fieldset_whose_legend_is_the_question():
    text = shown("{% fields form %}", form=Enquiry())

    assert text.count("<fieldset") == 2
    legend = text[text.index("<legend") : text.index("</legend>")]
    assert "Does your skin burn?" in legend
    for option in ("yes", "not_sure"):
        assert f'type="radio" name="skin" value="{option}"' in text
    assert '<label class="form-check-label" for="id_skin_0">Yes</label>' in text


def test_what_may_be_left_out_says_so():
    text = shown("{% fields form %}", form=Enquiry())

    assert text.count("(optional)") == 2


def test_a_refused_form_sums_up_with_a_link_to_each_field_and_says_it_there_too():
    form = Enquiry({"note": "<script>alert(1)</script>"})
    form.add_error(None, "Somebody else was quicker.")
    text = shown("{% fields form %}", form=form)

    assert 'role="alert"' in text
    assert '<a href="#id_name">Your name: This field is required.</a>' in text
    assert '<a href="#div_id_skin">Does your skin burn? This field is required.</a>' in text
    assert text.count("Somebody else was quicker.") == 1
    assert 'id="id_name_error"' in text
    assert 'aria-invalid="true"' in text
    assert 'aria-describedby="id_name_helptext id_name_error"' in text
    assert "<script>" not in text


def test_the_patient_banner_puts_the_family_name_first():
    patient = SimpleNamespace(
        ref="3f2a91bc-0000-4000-8000-000000000000",
        formal_name="REYES, Ana",
        known_as="",
        born_on=date(1988, 5, 14),
        died_on=None,
        do_not_contact=True,
    )
    with time_machine.travel(NOON):
        text = shown(
            '{% include "components/_patient_banner.html" with link=False %}',
            patient=patient,
            alerts=["Lidocaine allergy"],
        )

    for words in ("REYES, Ana", "14 May 1988 (38 years)", "3F2A-91BC", "Do not contact", "Lidocaine allergy"):
        assert words in text
