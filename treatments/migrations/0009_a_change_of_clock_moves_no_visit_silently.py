"""The zone of a place with visits to come changes only together with the visits."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION afterglow_clock_keeps_visits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('afterglow.time_zone_change', true) IS DISTINCT FROM NEW.id::text AND EXISTS (
        SELECT FROM treatments_appointment
        WHERE location_id = NEW.id AND status IN ('proposed', 'booked', 'arrived') AND starts_at > now()
    ) THEN
        RAISE EXCEPTION 'place % has visits to come: its clock is changed together with them', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER clock_keeps_visits BEFORE UPDATE OF time_zone ON clinic_location FOR EACH ROW
    WHEN (OLD.time_zone IS DISTINCT FROM NEW.time_zone) EXECUTE FUNCTION afterglow_clock_keeps_visits();
"""

BACKWARD = """
DROP TRIGGER clock_keeps_visits ON clinic_location;
DROP FUNCTION afterglow_clock_keeps_visits();
"""


class Migration(migrations.Migration):
    dependencies = [("treatments", "0008_a_calendar_feed_has_one_address")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
