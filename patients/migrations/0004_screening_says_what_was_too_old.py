"""A screening says which answers were too old to count, and that too is never rewritten."""

from django.db import migrations, models

FROZEN = (
    "answers", "result", "result_sha256", "outcome", "earliest_on", "modality", "pack_id",
)  # fmt: skip


def frozen(*columns: str) -> str:
    new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("NEW", "OLD"))
    return f"""
DROP TRIGGER screening_is_frozen ON patients_screening;
CREATE TRIGGER screening_is_frozen BEFORE UPDATE ON patients_screening FOR EACH ROW
    WHEN (({new}) IS DISTINCT FROM ({old}))
    EXECUTE FUNCTION afterglow_row_is_frozen();
"""


class Migration(migrations.Migration):
    dependencies = [("patients", "0003_a_decision_taken_back_says_by_whom")]
    operations = [
        migrations.AddField(
            model_name="screening",
            name="expired",
            field=models.JSONField(
                default=list,
                help_text="Keys of the questions whose answers were too old to count and were left out.",
            ),
        ),
        migrations.RunSQL(frozen(*FROZEN, "expired"), frozen(*FROZEN)),
    ]
