"""Letters are packs too: the kinds of knowledge have one more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("clinic", "0004_online_booking"),
    ]

    operations = [
        migrations.AlterField(
            model_name="rulepack",
            name="kind",
            field=models.CharField(
                choices=[
                    ("questionnaire", "Questionnaire"),
                    ("candidacy", "Candidacy rules"),
                    ("care", "Care protocol"),
                    ("triage", "Check-in triage"),
                    ("sessions", "Treatment settings"),
                    ("consent", "Consent wording"),
                    ("letter", "Letter"),
                ],
                max_length=20,
            ),
        ),
    ]
