"""What templates of every room share: ages, wall-clock times, tones, icons, form fields."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from crispy_forms.helper import FormHelper
from crispy_forms.utils import render_crispy_form
from django import template
from django.forms import BaseForm
from django.template.context import Context
from django.templatetags.tz import do_timezone
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

register = template.Library()

# What a tone looks like to people who do not see colours.
ICONS = {"calm": "info", "good": "check", "warn": "warn", "alarm": "alarm", "quiet": "quiet"}
# Django's message levels in our tones.
LEVELS = {"debug": "quiet", "info": "calm", "success": "good", "warning": "warn", "error": "alarm"}

# The places of the house: URL name, label, icon, and the permission that opens it. The order is the day's order.
PLACES = (
    ("today", _("Today"), "today", "see_today"),
    ("diary", _("Diary"), "diary", "see_today"),
    ("waitlist", _("Waitlist"), "clock", "book"),
    ("disruptions", _("Out of use"), "hold", "rearrange"),
    ("readiness", _("Readiness"), "readiness", "see_today"),
    ("enquiries", _("Enquiries"), "enquiries", "handle_enquiries"),
    ("patients", _("Patients"), "patients", "see_patients"),
    ("review_queue", _("Review"), "review", "see_chart"),
    ("alarms", _("Alarms"), "alarms", "see_alarms"),
    ("messages", _("Messages"), "messages", "see_messages"),
    ("replies", _("Replies"), "reply", "read_replies"),
    ("tasks", _("Tasks"), "tasks", "see_tasks"),
    ("rules", _("Rules"), "document", "publish_packs"),
    ("special_hours", _("Opening days"), "moon", "manage_staff"),
    ("export", _("Export"), "document", "manage_staff"),
    ("lead_times", _("Time to prepare"), "leaf", "manage_staff"),
    ("self_service", _("Self-service"), "gear", "manage_staff"),
)


@dataclass(frozen=True)
class Place:
    """A link of the main navigation; `here` when the page shown is part of it."""

    name: str
    url: str
    label: str
    icon: str
    here: bool


@register.filter
def age(born_on: date, on: date | None = None) -> int:
    """Return completed years on the day (today where the page is shown, if none is named)."""
    on = on or timezone.localdate()
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


@register.filter
def local(moment: datetime | None, place: Any = None) -> datetime | None:
    """Return the instant as the wall clock shows it at a location, or where the page is shown."""
    if moment is None:
        return None
    zone: ZoneInfo = getattr(place, "zone", None) or timezone.get_current_timezone()
    # Django's own marks the result, so that |date does not turn it back into the clock of the page.
    shown: datetime = do_timezone(moment, zone)
    return shown


@register.simple_tag
def wall_clock(moment: datetime | None, place: Any = None) -> datetime | None:
    """As `local`, for a place that a component may not have been given."""
    return local(moment, place) if moment else None


@register.filter
def short_ref(ref: object) -> str:
    """Return the first eight hex digits of a ref as people read them out: 3F2A-91BC."""
    digits = str(ref).replace("-", "")[:8].upper()
    return f"{digits[:4]}-{digits[4:]}"


@register.filter
def lead_in(label: str) -> str:
    """Return a field's label as the beginning of a sentence: a question keeps its mark, anything else gets a colon."""
    label = str(label)
    return label if label.endswith(("?", ":", ".", "!")) else f"{label}:"


@register.filter
def tone_icon(tone: str) -> str:
    """Return the icon that stands for a tone, so that no meaning hangs on colour alone."""
    return ICONS.get(tone or "quiet", "quiet")


@register.filter
def level_tone(message: Any) -> str:
    """Return the tone of a message of Django's messages framework."""
    return LEVELS.get(message.level_tag, "calm")


@register.filter
def short_day(day: date | datetime) -> str:
    """Return a day as lists show it: Mon 23 Nov; with the year when it is not this one."""
    year = "" if day.year == timezone.localdate().year else " Y"
    return date_format(day, f"D j M{year}")


@register.simple_tag(takes_context=True)
def fields(context: Context, form: BaseForm) -> SafeString:
    """Render the form's errors and fields by crispy-forms, without <form> and token: the page writes those."""
    helper: FormHelper = copy(getattr(form, "helper", None)) or FormHelper(form)
    helper.form_tag = False
    helper.disable_csrf = True
    helper.include_media = False
    rendered: SafeString = render_crispy_form(form, helper=helper, context=context)
    return rendered


@register.simple_tag(takes_context=True)
def places(context: Context) -> list[Place]:
    """Return the places this person may go to. A place counts as here on its own page and the pages below it."""
    may: dict[str, bool] = context["may"]
    path: str = context["request"].path
    found = []
    for name, label, icon, permission in PLACES:
        if not may.get(permission):
            continue
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        found.append(Place(name, url, str(label), icon, path.startswith(url)))
    return found
