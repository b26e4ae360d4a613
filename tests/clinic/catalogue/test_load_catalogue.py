"""The catalogue's file and its tables."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from clinic.audit.models import AuditEvent
from clinic.audit.states import Actor
from clinic.catalogue.actions import load_catalogue
from clinic.catalogue.models import AppointmentType, BodyArea, Concern, Modality
from clinic.catalogue.rules import parse_catalogue
from clinic.packs.models import RulePack

pytestmark = pytest.mark.django_db
FILE = Path(__file__).resolve().parents[3] / "clinic/knowledge/catalogue.toml"


@pytest.fixture
def catalogue():
    return parse_catalogue(FILE.read_text(), FILE.name)


def load(catalogue):
    load_catalogue(catalogue=catalogue, by=Actor.command("test"), at=timezone.now())


def test_every_entry_of_the_file_is_a_row(catalogue):
    load(catalogue)

    assert set(Modality.objects.values_list("key", flat=True)) == {entry.key for entry in catalogue.modalities}
    assert set(BodyArea.objects.values_list("key", flat=True)) == {entry.key for entry in catalogue.areas}
    assert set(Concern.objects.values_list("key", flat=True)) == {entry.key for entry in catalogue.concerns}
    assert set(AppointmentType.objects.values_list("key", flat=True)) == {e.key for e in catalogue.appointment_types}
    assert AuditEvent.objects.filter(action="catalogue.loaded").count() == 1


def test_what_the_clinic_chose_for_itself_survives_the_next_release(catalogue):
    Modality.objects.filter(key="pico_755").update(is_enabled=False, min_interval_days=42)
    AppointmentType.objects.filter(key="consultation").update(minutes_work=45)

    load(catalogue)

    pico = Modality.objects.get(key="pico_755")
    assert (pico.is_enabled, pico.min_interval_days) == (False, 42)
    assert AppointmentType.objects.get(key="consultation").minutes_work == 45


def test_a_corrected_fact_of_the_file_reaches_the_table(catalogue):
    corrected = tuple(
        replace(entry, label="Renamed") if entry.key == "pico_755" else entry for entry in catalogue.modalities
    )

    load(replace(catalogue, modalities=corrected))

    assert Modality.objects.get(key="pico_755").label == "Renamed"


def test_loading_knowledge_twice_changes_nothing():
    before = set(RulePack.objects.values_list("kind", "name", "version", "status", "sha256"))

    call_command("load_knowledge", verbosity=0)

    assert set(RulePack.objects.values_list("kind", "name", "version", "status", "sha256")) == before
    assert {kind for kind, *_ in before} == {"questionnaire", "candidacy", "care", "triage", "sessions", "letter"}
