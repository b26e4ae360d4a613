"""The ground floor's rows, gathered from its rooms."""

from clinic.audit.models import AuditEvent, AuditLink
from clinic.catalogue.models import AppointmentType, BodyArea, Concern, Modality
from clinic.packs.models import RulePack
from clinic.premises.models import Absence, DatedHours, Device, Location, OpeningHours, Resource, Room
from clinic.staff.models import Authorisation, OnCall, Practitioner, User
from clinic.worklist.models import Task

__all__ = [
    "Absence",
    "AppointmentType",
    "AuditEvent",
    "AuditLink",
    "Authorisation",
    "BodyArea",
    "Concern",
    "DatedHours",
    "Device",
    "Location",
    "Modality",
    "OnCall",
    "OpeningHours",
    "Practitioner",
    "Resource",
    "Room",
    "RulePack",
    "Task",
    "User",
]
