from django.db import models


class BookingAttempt(models.Model):
    """A visit was asked for on the public pages. `digest` says from where or for whom, and cannot be turned back.

    Counted in the database, so that the limit is one limit however many processes answer. Bookkeeping: old rows go.
    """

    digest = models.BinaryField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["digest", "at"], name="attempt_by_digest")]

    def __str__(self) -> str:
        return f"Attempt of {self.at}"
