from django import forms
from django.utils.translation import gettext_lazy as _


class WhyForm(forms.Form):
    """A reason that stays beside the message in the log."""

    reason = forms.CharField(
        label=_("Why?"), max_length=200, error_messages={"required": _("Please say why. The log shows it.")}
    )
