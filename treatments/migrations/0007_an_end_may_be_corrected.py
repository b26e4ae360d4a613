"""A signed record stays as it is, but for the time at which the treatment ended: an addendum says old, new and why."""

from django.db import migrations

THAW = "DROP TRIGGER signed_session_is_frozen ON treatments_treatmentsession;"
ONLY_ADDENDA = """
CREATE TRIGGER signed_session_is_frozen BEFORE UPDATE ON treatments_treatmentsession FOR EACH ROW
    WHEN (OLD.signed_off_at IS NOT NULL AND NEW.status <> 'entered-in-error')
    EXECUTE FUNCTION afterglow_row_is_frozen();
"""
WITH_ITS_END = """
CREATE FUNCTION afterglow_only_the_end_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'completed_at' IS DISTINCT FROM to_jsonb(OLD) - 'completed_at'
        OR NOT EXISTS (SELECT 1 FROM treatments_addendum WHERE session_id = NEW.id) THEN
        RAISE EXCEPTION '% is frozen: write a newer row instead', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signed_session_is_frozen BEFORE UPDATE ON treatments_treatmentsession FOR EACH ROW
    WHEN (OLD.signed_off_at IS NOT NULL AND NEW.status <> 'entered-in-error')
    EXECUTE FUNCTION afterglow_only_the_end_moves();
"""


class Migration(migrations.Migration):
    dependencies = [("treatments", "0006_a_text_may_raise_an_alarm")]
    operations = [
        migrations.RunSQL(THAW + WITH_ITS_END, THAW + "DROP FUNCTION afterglow_only_the_end_moves();" + ONLY_ADDENDA)
    ]
