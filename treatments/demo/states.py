"""Who lives in the demo clinic, and the stories that brought them where they stand. Everybody here is made up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clinic.staff.states import Role

DEMO_PASSWORD = "afterglow-demo-2026"  # noqa: S105 - printed on the screen of whoever starts the demo
DEMO_LOGINS = [
    ("front desk", "desk@demo.example"),
    ("clinician", "clinician@demo.example"),
    ("lead clinician", "lead@demo.example"),
    ("second lead clinician: approves what the first drafts", "second@demo.example"),
    ("manager", "manager@demo.example"),
]


@dataclass(frozen=True)
class Place:
    name: str
    address: str
    zone: str
    phone: str
    emergency: str
    out_of_hours: str
    rooms: tuple[str, ...]
    devices: tuple[str, ...]  # keys of the catalogue


LONDON = Place(
    "Marylebone",
    "14 Paddington Street, London W1U 5QN",
    "Europe/London",
    "+442079460182",
    "999",
    "When we are closed, call +44 20 7946 0183. A nurse answers day and night.",
    ("Room 1", "Room 2", "Consulting"),
    ("fraxel_restore", "sandstone_co2"),
)
BOSTON = Place(
    "Back Bay",
    "210 Newbury Street, Boston MA 02116",
    "America/New_York",
    "+16175550142",
    "911",
    "When we are closed, call +1 617 555 0143. A nurse answers day and night.",
    ("Room A", "Room B"),
    ("picosure_focus", "icon_1540"),
)
PLACES = (LONDON, BOSTON)


@dataclass(frozen=True)
class Member:
    """Somebody of the staff: where they work, and what they may, if they see patients."""

    name: str
    email: str
    role: Role
    places: tuple[Place, ...]
    title: str = ""
    treats: bool = False


STAFF = (
    Member("Dina Okafor", "desk@demo.example", Role.FRONT_DESK, PLACES),
    Member("Bo Lindqvist", "clinician@demo.example", Role.CLINICIAN, PLACES, "Dermatologist", treats=True),
    Member("Mira Castellanos", "lead@demo.example", Role.LEAD_CLINICIAN, PLACES, "Lead clinician", treats=True),
    Member("Noor Haddad", "manager@demo.example", Role.MANAGER, PLACES),
    Member("Tom Wren", "tom.wren@demo.example", Role.CLINICIAN, (LONDON,), "Laser nurse", treats=True),
    Member("Grace Adeyemi", "second@demo.example", Role.LEAD_CLINICIAN, (BOSTON,), "Dermatologist", treats=True),
    Member("Luis Ferrer", "luis.ferrer@demo.example", Role.CLINICIAN, (BOSTON,), "Physician assistant", treats=True),
)

# Given name, family name, birth date. One-word names, accents, apostrophes and other scripts are everyday names.
PEOPLE = """
Ana Reyes 1988-05-14; Maya Whitfield 1979-11-02; Ines Duarte 1991-03-27; Priya Raman 1984-08-09
Chloe Bennett 1995-01-18; Róisín O'Shea 1972-06-30; Leila Farahani 1990-12-05; Hannah Vogel 1968-02-29
Zoë Marchetti 1986-09-21; Amara Nwosu 1993-04-11; Sofia Lindgren 1975-07-07; Grace Tan 1982-10-16
Fatima El-Sayed 1989-05-25; Beatriz Almeida 1977-03-03; Yuki Tanaka 1996-08-30; Nadia Petrova 1970-12-19
Claire Dubois 1983-02-14; Marta Kowalska 1987-06-06; Aisha Bello 1992-09-12; Ruth Goldberg 1965-04-22
Emily Carter 1994-11-28; Jasmine Patel 1981-01-09; Olga Sidorova 1978-08-17; Camila Rojas 1990-05-05
Helen Armitage 1962-10-31; Mei Ling Chen 1985-07-24; Sana Qureshi 1993-02-02; Tess van der Berg 1974-12-12
Julia Santos 1988-03-19; Wren Ashdown 1999-06-15; Ingrid Solheim 1971-09-09; Dalia Mansour 1986-04-28
Nora Fitzgerald 1980-01-23; Keiko Mori 1969-11-11; Lucía Herrera 1997-08-08; Abigail Stone 1984-05-30
Daniel Osei 1982-07-13; Marcus Bell 1976-02-20; Omar Siddiqui 1990-10-04; James Whitlock 1967-03-16
Peter Novak 1989-12-27; Samir Haddad 1985-06-18; Ravi Krishnan 1978-09-29; Liam Gallagher 1994-01-31
Tomás Vega 1983-04-07; Arjun Mehta 1991-11-20; Ben Hartley 1973-08-02; Kwame Boateng 1987-05-12
Paul Eriksen 1964-02-08; David Rosen 1980-10-25; Jonas Weber 1992-07-19; Ali Rezaei 1986-12-01
Hugo Lambert 1975-03-11; Felix Brandt 1998-09-05; Ethan Cole 1981-06-27; Suharto 1979-04-15
George Papadakis 1970-01-06; Noah Friedman 1995-05-22; Victor Almada 1988-08-13; Ian MacLeod 1966-11-17
"""

# What a neutral adult answers. Each story changes some of it.
NEUTRAL: dict[str, object] = {
    "concerns": ["fine_lines", "sun_damage"],
    "treatment_areas": ["cheeks"],
    "expectation": "improvement",
    "pregnancy": "no",
    "cold_sores": "never",
    "tan_present": "none",
    "smoking": "never",
    "isotretinoin": "never",
    "active_acne": "none",
    "scar_tendency": "none",
    "can_avoid_sun": True,
    "can_follow_aftercare": True,
    "escort_home": True,
    "fst_q1": 1,
    "fst_q2": 1,
    "fst_q3": 1,
    "fst_q4": 2,
    "fst_q5": 1,
    "fst_q6": 2,
    "fst_q7": 1,
    "fst_q8": 1,
}


@dataclass(frozen=True)
class Story:
    """How far a patient came, and when: days are counted back from today; `answers` differ from the neutral ones.

    `stage`: invited, answering, review, deferred, declined, cleared, asked, booked, treated. For treated patients
    `sessions` were done, the last one `days_ago`; `checkins` are their answers by day.
    """

    stage: str
    days_ago: int = 0
    answers: Mapping[str, object] = field(default_factory=dict)
    skin_type: str = "2"
    sessions: int = 0
    planned: int = 3
    checkins: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    place: int = 0
    modality: str = ""
    closes_alarm: bool = False
    just_now: bool = False  # the latest check-in was answered minutes ago


CALM = {"pain_now": 1, "pain_trend": "better", "redness": "fading", "swelling": "none", "ooze": "none",
        "blisters": "none", "eye": "none", "systemic": "none", "aftercare_ok": True}  # fmt: skip
SORE = {**CALM, "pain_now": 4, "pain_trend": "same", "redness": "same", "swelling": "mild"}
SPREADING = {**SORE, "redness": "spreading"}
COLD_SORES = {"cold_sores": "yes", "treatment_areas": ["full_face"]}
DARKER = {f"fst_q{number}": 3 for number in range(1, 9)}

STORIES: tuple[Story, ...] = (
    # At the beginning of the thread.
    *(Story("invited", days, place=place) for days, place in ((0, 0), (1, 0), (1, 1), (3, 0), (6, 1))),
    *(Story("answering", days, place=place) for days, place in ((0, 0), (1, 1), (2, 0), (4, 1))),
    # Waiting for a clinician.
    Story("review", 0, {"isotretinoin": "stopped"}),
    Story("review", 0, COLD_SORES),
    Story("review", 1, {"scar_tendency": "keloid"}),
    Story("review", 1, DARKER, place=1),
    Story("review", 1, {"eczema": "not_sure", "immunosuppression": "prefer_not_to_say"}),
    Story("review", 2, {"changing_lesion": True}, place=1),
    Story("review", 2),
    Story("review", 3, {"pregnancy": "possible", "anticoagulants": ["aspirin"]}, place=1),
    # Not now, or not at all.
    Story("deferred", 9, {"tan_present": "tanned"}),
    Story("deferred", 14, {"active_acne": "inflammatory"}, place=1),
    Story("deferred", 20, {"pregnancy": "yes"}),
    Story("declined", 16, {"scar_tendency": "keloid"}),
    Story("declined", 30, {"gold_ever": True}, place=1),
    # Cleared, asked for consent.
    Story("cleared", 1),
    Story("cleared", 2, place=1),
    Story("asked", 2, COLD_SORES),
    Story("asked", 3),
    Story("asked", 4, place=1),
    Story("asked", 6, place=1),
    # Booked for the coming days.
    *(Story("booked", 20 + number, place=number % 2) for number in range(11)),
    # Healing.
    Story("treated", 1, sessions=1, checkins={}, modality="afl_co2", answers=COLD_SORES),
    Story("treated", 2, sessions=1, checkins={1: {**SORE, "eye": "pain_or_light_hurts"}}, just_now=True),
    Story("treated", 3, sessions=1, checkins={1: SORE, 3: {**CALM, "blisters": "single"}}, place=1),
    Story("treated", 4, sessions=1, checkins={1: SORE}, modality="afl_co2"),
    Story("treated", 5, sessions=2, checkins={1: SORE, 3: CALM}),
    Story("treated", 7, sessions=1, checkins={1: SORE, 3: CALM, 7: CALM}, place=1),
    Story("treated", 8, sessions=3, checkins={1: SPREADING, 3: CALM, 7: CALM}, closes_alarm=True),
    Story("treated", 10, sessions=1, checkins={1: SORE, 3: CALM, 7: CALM}, modality="afl_co2"),
    # Between sessions, or done.
    Story("treated", 16, sessions=1, checkins={1: SORE, 3: CALM, 7: CALM, 14: CALM}),
    Story("treated", 21, sessions=2, checkins={1: CALM, 3: CALM, 7: CALM}, place=1),
    Story("treated", 24, sessions=1, checkins={1: SORE, 3: CALM, 7: CALM}),
    Story("treated", 27, sessions=2, checkins={1: CALM, 3: CALM, 7: CALM}),
    Story("treated", 30, sessions=1, checkins={1: SORE, 3: CALM, 28: {**CALM, "colour": "darker"}}, place=1),
    Story("treated", 33, sessions=3, checkins={1: CALM, 3: CALM, 28: CALM}),
    Story("treated", 40, sessions=2, checkins={1: CALM, 3: CALM, 28: CALM}, place=1),
    Story("treated", 46, sessions=1, planned=1, checkins={1: SORE, 3: CALM, 28: CALM}, modality="afl_co2"),
    Story("treated", 52, sessions=3, checkins={1: CALM, 28: CALM}),
    Story("treated", 60, sessions=3, checkins={1: CALM, 28: CALM}, place=1),
    Story("treated", 70, sessions=1, planned=1, checkins={1: SORE, 28: CALM}, modality="afl_co2"),
    Story("treated", 95, sessions=3, checkins={1: CALM, 28: CALM, 90: CALM}),
    Story("treated", 110, sessions=3, checkins={1: CALM, 28: CALM, 90: CALM}, place=1),
)

# Enquiries nobody has turned into a patient yet: hours ago, who, what they wrote.
ENQUIRIES = (
    (2, "Tamsin", "Greene", "I have acne scars on both cheeks and would like to know what is possible.", 0),
    (5, "Rafael", "Ortiz", "Sun damage on my forehead. I work outdoors.", 1),
    (20, "Bella", "Strand", "My wedding is in June. Is there time?", 0),
    (26, "Hassan", "Aziz", "Uneven tone after years of shaving bumps.", 1),
    (50, "Moira", "Keane", "Lines around the mouth.", 0),
)
