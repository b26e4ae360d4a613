"""The four roles and what each may do: one table, synced to Django's groups and walked by a test."""

from __future__ import annotations

from django.db.models import TextChoices


class Role(TextChoices):
    FRONT_DESK = "front_desk", "Front desk"
    CLINICIAN = "clinician", "Clinician"
    LEAD_CLINICIAN = "lead_clinician", "Lead clinician"
    MANAGER = "manager", "Manager"


class Permission(TextChoices):
    """What a member of staff may do. The label says it as the role table in the docs shows it."""

    SEE_TODAY = "see_today", "See today's list, the diary and the readiness board"
    SEE_PATIENTS = "see_patients", "Find patients and see contact details and readiness"
    EDIT_PATIENTS = "edit_patients", "Register and correct patients, send links"
    HANDLE_ENQUIRIES = "handle_enquiries", "Work through enquiries"
    BOOK = "book", "Book, move and cancel visits"
    REARRANGE = "rearrange", "Take a clinician, device, room or the place out for a time and rearrange its visits"
    SEE_CHART = "see_chart", "See medical answers, decisions and records"
    DECIDE = "decide", "Decide candidacy"
    TREAT = "treat", "Record treatments and sign them off"
    SEE_ALARMS = "see_alarms", "See that an alarm is open and who owns it"
    ANSWER_ALARMS = "answer_alarms", "Acknowledge and close alarms"
    SEE_MESSAGES = "see_messages", "See messages and why each is in its state"
    SEND_MESSAGES = "send_messages", "Send, hold and resend messages"
    READ_REPLIES = "read_replies", "Read what patients write back and answer it"
    SEE_TASKS = "see_tasks", "See and finish tasks"
    PUBLISH_PACKS = "publish_packs", "Draft and publish rules, questionnaires and protocols"
    MANAGE_STAFF = "manage_staff", "Manage staff, roles and premises"
    SEE_AUDIT = "see_audit", "Read the audit trail"
    OVERRIDE = "override", "Override a readiness or interval rule with a reason"


_DESK = frozenset(
    {
        Permission.SEE_TODAY,
        Permission.SEE_PATIENTS,
        Permission.EDIT_PATIENTS,
        Permission.HANDLE_ENQUIRIES,
        Permission.BOOK,
        Permission.REARRANGE,
        Permission.SEE_ALARMS,
        Permission.SEE_MESSAGES,
        Permission.SEND_MESSAGES,
        Permission.SEE_TASKS,
    }
)
_CLINICIAN = _DESK | {
    Permission.READ_REPLIES,
    Permission.SEE_CHART,
    Permission.DECIDE,
    Permission.TREAT,
    Permission.ANSWER_ALARMS,
    Permission.OVERRIDE,
}

ROLE_TABLE: dict[Role, frozenset[Permission]] = {
    Role.FRONT_DESK: _DESK | {Permission.READ_REPLIES},
    Role.CLINICIAN: _CLINICIAN,
    Role.LEAD_CLINICIAN: _CLINICIAN | {Permission.PUBLISH_PACKS, Permission.SEE_AUDIT},
    # A manager runs the clinic without reading anybody's health.
    Role.MANAGER: _DESK | {Permission.MANAGE_STAFF, Permission.SEE_AUDIT},
}

# Whoever can read health answers, or make accounts, needs a second factor to sign in.
SECOND_FACTOR_ROLES = frozenset({Role.CLINICIAN, Role.LEAD_CLINICIAN, Role.MANAGER})
