from django.db import models
from django.db.models import Q


class MessageCheck(models.Model):
    """One night's comparison of every message with what its visit asks for, and what it put right. Never changed.

    `found` names what differed: `about`, the patient's ref and a sentence, at most some hundred of them.
    """

    at = models.DateTimeField()
    looked_at = models.PositiveIntegerField()
    repaired = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    found = models.JSONField(default=list)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(looked_at__gte=models.F("repaired") + models.F("failed")), name="message_check_adds_up"
            )
        ]

    def __str__(self) -> str:
        return f"{self.repaired} of {self.looked_at} repaired, {self.at:%d %b %Y}"
