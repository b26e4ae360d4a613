"""What takes somebody or something out is on record, and so is what became of each of its visits."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("clinic", "0004_online_booking"),
        ("treatments", "0004_a_nightly_check_leaves_a_report"),
    ]

    operations = [
        migrations.CreateModel(
            name="Disruption",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ref", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "what",
                    models.CharField(
                        choices=[
                            ("practitioner", "Clinician"),
                            ("device", "Device"),
                            ("room", "Room"),
                            ("location", "The whole place"),
                        ],
                        max_length=12,
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=200)),
                ("noted_at", models.DateTimeField()),
                ("noted_by_name", models.CharField(max_length=200)),
                ("over_at", models.DateTimeField(null=True)),
                (
                    "absence",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="disruption",
                        to="clinic.absence",
                    ),
                ),
                (
                    "location",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="disruptions", to="clinic.location"
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="disruptions",
                        to="clinic.resource",
                    ),
                ),
            ],
            options={
                "ordering": ["-starts_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="DisruptionResult",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("moved", "Reassigned"),
                            ("offered", "Offered another time"),
                            ("to_call", "To call"),
                            ("cancelled", "Cancelled"),
                            ("given_back", "Held time given back"),
                            ("failed", "Not done"),
                        ],
                        max_length=10,
                    ),
                ),
                ("was_at", models.DateTimeField(help_text="When the visit was to be before.")),
                ("sentence", models.CharField(max_length=400)),
                ("at", models.DateTimeField()),
                ("by_name", models.CharField(max_length=200)),
                (
                    "appointment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="treatments.appointment"
                    ),
                ),
                (
                    "disruption",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="results", to="treatments.disruption"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddConstraint(
            model_name="disruption",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="disruption_ends_after_start"
            ),
        ),
        migrations.AddConstraint(
            model_name="disruption",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="disruption_says_why"
            ),
        ),
        migrations.AddConstraint(
            model_name="disruption",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("resource__isnull", True), ("what", "location")),
                    models.Q(models.Q(("what", "location"), _negated=True), ("resource__isnull", False)),
                    _connector="OR",
                ),
                name="disruption_of_a_place_or_a_thing",
            ),
        ),
        migrations.RunSQL(
            """
            CREATE TRIGGER never_deleted BEFORE DELETE ON treatments_disruption
                FOR EACH ROW EXECUTE FUNCTION afterglow_refuse();
            CREATE TRIGGER disruption_result_is_frozen BEFORE UPDATE OR DELETE ON treatments_disruptionresult
                FOR EACH ROW EXECUTE FUNCTION afterglow_refuse();
            """,
            """
            DROP TRIGGER never_deleted ON treatments_disruption;
            DROP TRIGGER disruption_result_is_frozen ON treatments_disruptionresult;
            """,
        ),
    ]
