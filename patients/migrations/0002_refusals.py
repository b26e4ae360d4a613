"""What the database refuses about patients: facts are amended, struck or followed by newer ones, never rewritten."""

from django.db import migrations

NEVER_DELETED = [
    "patients_questionnaireresponse",
    "patients_answer",
    "patients_screening",
    "patients_flag",
    "patients_candidacydecision",
    "patients_consent",
    "patients_consentwording",
]

FORWARD = (
    "".join(
        f"CREATE TRIGGER never_deleted BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION afterglow_refuse();\n"
        for table in NEVER_DELETED
    )
    + """
CREATE FUNCTION afterglow_row_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is frozen: write a newer row instead', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER response_is_frozen BEFORE UPDATE ON patients_questionnaireresponse FOR EACH ROW
    WHEN (OLD.snapshot IS NOT NULL AND
          (NEW.snapshot, NEW.completed_at, NEW.pack_id, NEW.patient_id) IS DISTINCT FROM
          (OLD.snapshot, OLD.completed_at, OLD.pack_id, OLD.patient_id))
    EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER answer_is_frozen BEFORE UPDATE ON patients_answer FOR EACH ROW
    WHEN ((NEW.value, NEW.question, NEW.response_id, NEW.answered_at, NEW.answered_by) IS DISTINCT FROM
          (OLD.value, OLD.question, OLD.response_id, OLD.answered_at, OLD.answered_by))
    EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER screening_is_frozen BEFORE UPDATE ON patients_screening FOR EACH ROW
    WHEN ((NEW.answers, NEW.result, NEW.result_sha256, NEW.outcome, NEW.earliest_on, NEW.modality, NEW.pack_id) IS DISTINCT FROM
          (OLD.answers, OLD.result, OLD.result_sha256, OLD.outcome, OLD.earliest_on, OLD.modality, OLD.pack_id))
    EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER decision_is_frozen BEFORE UPDATE ON patients_candidacydecision FOR EACH ROW
    WHEN ((NEW.kind, NEW.reason, NEW.conditions, NEW.decided_by_id, NEW.decided_at, NEW.earliest_on, NEW.overrides) IS DISTINCT FROM
          (OLD.kind, OLD.reason, OLD.conditions, OLD.decided_by_id, OLD.decided_at, OLD.earliest_on, OLD.overrides))
    EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER signed_consent_is_frozen BEFORE UPDATE ON patients_consent FOR EACH ROW
    WHEN (OLD.signed_at IS NOT NULL AND
          (NEW.signed_at, NEW.signed_name, NEW.signature, NEW.risks_ticked, NEW.plan, NEW.wording_id, NEW.signed_sha256) IS DISTINCT FROM
          (OLD.signed_at, OLD.signed_name, OLD.signature, OLD.risks_ticked, OLD.plan, OLD.wording_id, OLD.signed_sha256))
    EXECUTE FUNCTION afterglow_row_is_frozen();
CREATE TRIGGER wording_is_frozen BEFORE UPDATE ON patients_consentwording FOR EACH ROW
    WHEN ((NEW.body, NEW.sha256) IS DISTINCT FROM (OLD.body, OLD.sha256))
    EXECUTE FUNCTION afterglow_row_is_frozen();
"""
)

BACKWARD = (
    "".join(
        f"DROP TRIGGER {name} ON {table};\n"
        for name, table in [
            ("wording_is_frozen", "patients_consentwording"),
            ("signed_consent_is_frozen", "patients_consent"),
            ("decision_is_frozen", "patients_candidacydecision"),
            ("screening_is_frozen", "patients_screening"),
            ("answer_is_frozen", "patients_answer"),
            ("response_is_frozen", "patients_questionnaireresponse"),
        ]
    )
    + "DROP FUNCTION afterglow_row_is_frozen();\n"
    + "".join(f"DROP TRIGGER never_deleted ON {table};\n" for table in NEVER_DELETED)
)


class Migration(migrations.Migration):
    dependencies = [("patients", "0001_initial"), ("clinic", "0002_refusals")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
