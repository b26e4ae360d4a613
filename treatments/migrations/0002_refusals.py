"""What the database refuses about treatments: records are struck or added to, never rewritten."""

from django.db import migrations

NEVER_DELETED = [
    "treatments_appointment",
    "treatments_waitlistentry",
    "treatments_waitlistoffer",
    "treatments_visitcall",
    "treatments_treatmentsession",
    "treatments_sessionpass",
    "treatments_fitnesscheck",
    "treatments_fitnessanswers",
    "treatments_addendum",
    "treatments_checkin",
    "treatments_checkinanswer",
    "treatments_escalation",
    "treatments_adverseevent",
]

FORWARD = (
    "".join(
        f"CREATE TRIGGER never_deleted BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION afterglow_refuse();\n"
        for table in NEVER_DELETED
    )
    + """
CREATE TRIGGER visit_call_is_frozen BEFORE UPDATE ON treatments_visitcall
    FOR EACH ROW EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER checkin_answer_is_frozen BEFORE UPDATE ON treatments_checkinanswer
    FOR EACH ROW EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER addendum_is_frozen BEFORE UPDATE ON treatments_addendum
    FOR EACH ROW EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER signed_session_is_frozen BEFORE UPDATE ON treatments_treatmentsession FOR EACH ROW
    WHEN (OLD.signed_off_at IS NOT NULL AND NEW.status <> 'entered-in-error')
    EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER fitness_check_is_frozen BEFORE UPDATE ON treatments_fitnesscheck
    FOR EACH ROW EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER fitness_answers_are_frozen BEFORE UPDATE ON treatments_fitnessanswers
    FOR EACH ROW EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE FUNCTION afterglow_pass_is_only_struck() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.struck_at IS NOT NULL
        OR to_jsonb(NEW) - ARRAY['struck_at', 'struck_by_id', 'struck_reason']
            IS DISTINCT FROM to_jsonb(OLD) - ARRAY['struck_at', 'struck_by_id', 'struck_reason'] THEN
        RAISE EXCEPTION '% is frozen: strike it and write a newer row instead', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER pass_is_only_struck BEFORE UPDATE ON treatments_sessionpass
    FOR EACH ROW EXECUTE FUNCTION afterglow_pass_is_only_struck();
CREATE FUNCTION afterglow_session_may_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM patients_consent c JOIN treatments_course k ON c.about = 'course:' || k.ref
        WHERE k.id = NEW.course_id AND c.patient_id = NEW.patient_id AND c.scope = 'treatment' AND c.status = 'active';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'session % has no consent in force', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    PERFORM 1 FROM patients_candidacydecision d
        WHERE d.patient_id = NEW.patient_id AND d.modality = NEW.modality AND d.status = 'in_force'
        AND d.kind IN ('proceed', 'proceed_with_conditions', 'test_spot_first');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'session % has no decision that allows it', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
-- Whatever path leads here, nobody is treated without consent and a clinician's decision.
CREATE TRIGGER session_starts_ready BEFORE UPDATE OF status ON treatments_treatmentsession FOR EACH ROW
    WHEN (OLD.status = 'preparation' AND NEW.status NOT IN ('preparation', 'not-done', 'entered-in-error'))
    EXECUTE FUNCTION afterglow_session_may_start();
CREATE FUNCTION afterglow_session_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM treatments_treatmentsession
        WHERE id = NEW.session_id AND (signed_off_at IS NOT NULL OR status = 'preparation');
    IF FOUND THEN
        RAISE EXCEPTION 'session % has not started or is signed off', NEW.session_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER pass_of_open_session BEFORE INSERT OR UPDATE ON treatments_sessionpass
    FOR EACH ROW EXECUTE FUNCTION afterglow_session_is_open();
CREATE FUNCTION afterglow_alarm_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'alarm % is closed: its outcome stands', OLD.id USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER closed_alarm_is_frozen BEFORE UPDATE ON treatments_escalation FOR EACH ROW
    WHEN (OLD.status = 'closed') EXECUTE FUNCTION afterglow_alarm_is_closed();
"""
)

BACKWARD = """
DROP TRIGGER closed_alarm_is_frozen ON treatments_escalation;
DROP FUNCTION afterglow_alarm_is_closed;
DROP TRIGGER pass_of_open_session ON treatments_sessionpass;
DROP FUNCTION afterglow_session_is_open;
DROP TRIGGER session_starts_ready ON treatments_treatmentsession;
DROP FUNCTION afterglow_session_may_start;
DROP TRIGGER pass_is_only_struck ON treatments_sessionpass;
DROP FUNCTION afterglow_pass_is_only_struck;
DROP TRIGGER fitness_answers_are_frozen ON treatments_fitnessanswers;
DROP TRIGGER fitness_check_is_frozen ON treatments_fitnesscheck;
DROP TRIGGER signed_session_is_frozen ON treatments_treatmentsession;
DROP TRIGGER addendum_is_frozen ON treatments_addendum;
DROP TRIGGER checkin_answer_is_frozen ON treatments_checkinanswer;
DROP TRIGGER visit_call_is_frozen ON treatments_visitcall;
""" + "".join(f"DROP TRIGGER never_deleted ON {table};\n" for table in NEVER_DELETED)


class Migration(migrations.Migration):
    dependencies = [("treatments", "0001_initial"), ("patients", "0002_refusals")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
