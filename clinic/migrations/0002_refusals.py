"""What the database itself refuses, and the hash chain it writes.

Audit events are linked at commit, by a deferred trigger: the chain's lock is the last one a transaction takes, so it
can wait for nobody who waits for it. `afterglow_audit_text` is what is hashed; `clinic.audit.queries` hashes it anew.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION afterglow_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: rows here are never changed or deleted', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER audit_event_is_final BEFORE UPDATE OR DELETE ON clinic_auditevent
    FOR EACH ROW EXECUTE FUNCTION afterglow_refuse();
CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON clinic_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION afterglow_refuse();
CREATE TRIGGER audit_link_is_final BEFORE UPDATE OR DELETE ON clinic_auditlink
    FOR EACH ROW EXECUTE FUNCTION afterglow_refuse();
CREATE TRIGGER audit_link_no_truncate BEFORE TRUNCATE ON clinic_auditlink
    FOR EACH STATEMENT EXECUTE FUNCTION afterglow_refuse();

CREATE TABLE clinic_audithead (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), seq bigint NOT NULL, digest bytea NOT NULL
);
INSERT INTO clinic_audithead (seq, digest) VALUES (0, ''::bytea);

CREATE FUNCTION afterglow_audit_text(event clinic_auditevent) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_array(
        event.id,
        to_char(event.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        to_char(event.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        event.actor_kind, event.actor_id, event.actor_name, event.action, event.subject_type, event.subject_id,
        event.patient_ref, event.outcome, event.detail::text
    )::text
$$;

CREATE FUNCTION afterglow_link_event() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    head clinic_audithead;
    next_digest bytea;
BEGIN
    SELECT * INTO head FROM clinic_audithead FOR UPDATE;
    next_digest := sha256(head.digest || convert_to(afterglow_audit_text(NEW), 'UTF8'));
    INSERT INTO clinic_auditlink (seq, event_id, digest) VALUES (head.seq + 1, NEW.id, next_digest);
    UPDATE clinic_audithead SET seq = head.seq + 1, digest = next_digest;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER audit_event_linked AFTER INSERT ON clinic_auditevent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION afterglow_link_event();

CREATE FUNCTION afterglow_pack_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'draft' AND (
        TG_OP = 'DELETE'
        OR (NEW.body, NEW.sha256, NEW.kind, NEW.name, NEW.version) IS DISTINCT FROM
           (OLD.body, OLD.sha256, OLD.kind, OLD.name, OLD.version)
    ) THEN
        RAISE EXCEPTION 'pack % version % is published and can never change', OLD.name, OLD.version
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER pack_is_final BEFORE UPDATE OR DELETE ON clinic_rulepack
    FOR EACH ROW EXECUTE FUNCTION afterglow_pack_is_final();
"""

BACKWARD = """
DROP TRIGGER pack_is_final ON clinic_rulepack;
DROP FUNCTION afterglow_pack_is_final();
DROP TRIGGER audit_event_linked ON clinic_auditevent;
DROP FUNCTION afterglow_link_event();
DROP FUNCTION afterglow_audit_text(clinic_auditevent);
DROP TABLE clinic_audithead;
DROP TRIGGER audit_link_no_truncate ON clinic_auditlink;
DROP TRIGGER audit_link_is_final ON clinic_auditlink;
DROP TRIGGER audit_event_no_truncate ON clinic_auditevent;
DROP TRIGGER audit_event_is_final ON clinic_auditevent;
DROP FUNCTION afterglow_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("clinic", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
