"""Days that are not as usual have hours of their own, and no two spans of one day overlap."""

import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
from django.db import migrations, models

# A row without times takes the whole day: nothing can stand beside "closed".
NO_OVERLAP = """
ALTER TABLE clinic_datedhours ADD CONSTRAINT dated_hours_no_overlap EXCLUDE USING gist (
    int8range(location_id, location_id, '[]') WITH &&,
    int8range(coalesce(practitioner_id, 0), coalesce(practitioner_id, 0), '[]') WITH &&,
    tsrange(day + coalesce(opens, '00:00'::time), day + coalesce(closes, '24:00'::time)) WITH &&
)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("clinic", "0002_refusals"),
    ]

    operations = [
        migrations.AddField(
            model_name="absence",
            name="ref",
            field=models.UUIDField(
                db_default=django.contrib.postgres.functions.RandomUUID(),
                default=uuid.uuid4,
                editable=False,
                unique=True,
            ),
        ),
        migrations.CreateModel(
            name="DatedHours",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("opens", models.TimeField(null=True)),
                ("closes", models.TimeField(null=True)),
                ("reason", models.CharField(max_length=200)),
                ("set_at", models.DateTimeField()),
                ("set_by_name", models.CharField(max_length=200)),
                (
                    "location",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="dated_hours", to="clinic.location"
                    ),
                ),
                (
                    "practitioner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dated_hours",
                        to="clinic.practitioner",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "dated hours",
                "ordering": ["location", "day", "opens"],
                "indexes": [models.Index(fields=["location", "day"], name="dated_hours_by_day")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("closes__isnull", True), ("opens__isnull", True)),
                            models.Q(
                                ("closes__gt", models.F("opens")), ("closes__isnull", False), ("opens__isnull", False)
                            ),
                            _connector="OR",
                        ),
                        name="dated_hours_close_after_opening",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="dated_hours_say_why"
                    ),
                ],
            },
        ),
        migrations.RunSQL(NO_OVERLAP, "ALTER TABLE clinic_datedhours DROP CONSTRAINT dated_hours_no_overlap"),
    ]
