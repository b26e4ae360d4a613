"""What a message may look like, when it may leave, and when a failed one is tried again. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from patients.messaging.states import Channel, Purpose
from patients.registry.states import LinkScope

Value = str | tuple[str, ...]

# Every variable a message template may use; there are no others.
VARIABLES = frozenset(
    {
        "first_name",
        "clinic_name",
        "clinic_phone",
        "out_of_hours",
        "emergency_number",
        "when_local",
        "where",
        "link",
        "title",
        "what_is_normal",
        "do_now",
        "contact_if",
        "old_when",
        "new_when",
        "answer",
    }
)
MAX_SEGMENTS = 2
# No link, or one that may stand in two letters: it only shows a visit.
HARMLESS_LINKS = frozenset({"", LinkScope.VISIT.value})
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
MAX_TRIES = 6  # within an hour: greylisting lets go within minutes, and a gateway that is down uses up none
# So often a sender may stop while it holds a message that has not left; then it is the message.
MAX_DEATHS = 12

# A booking or a move can be undone this long before anybody is told.
UNDO = timedelta(minutes=3)

# A message that is later than this is catching up; then one person gets at most so many within an hour.
CATCHING_UP = timedelta(minutes=15)
LATE_AN_HOUR = 2

# Nobody is written to between these wall times, where they live.
QUIET_FROM, QUIET_UNTIL = time(20), time(9)
# A message that may leave at its own time in the night loses that right when it is later than this.
PUNCTUAL = timedelta(hours=1)
# Answers to what somebody did a moment ago: they are awake.
PROMPT_TEMPLATES = frozenset({"stop_confirmation", "start_confirmation", "auto_reply", "new_link"})
# The one message that may follow a STOP or a START.
OPT_OUT_TEMPLATES = frozenset({"stop_confirmation", "start_confirmation"})

# Overrides of the reading direction; joiners and marks that names need are not among them.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# The GSM 03.38 basic alphabet, and the signs that take two places in it.
_GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("\f^{}\\[~]|€")

# Beginnings of words that tell a stranger what somebody is having done, or has.
_TELLING_WORD = re.compile(
    r"""\b(?:ablat|acne|aesthetic|aftercare|anti-?viral|anti-wrinkle|blister|bleed|botox|burn|co2|cold[\s-]+sore
    |complication|consent|cosmetic|cream|dermal|dermatolog|diagnos|dosage|eczema|erbium|facial|filler|fractional
    |heal(?!th)|herpes|hydroquinone|hyperpigment|infect|injection|isotretinoin|keloid|laser|medical|medicat|medicine
    |melasma|microneedl|numb(?!er)|ointment|operation|peel|photo|picosecond|pigment|pregnan|prescri|procedure|psoriasis
    |recovery|redness|rejuvenat|resurfac|retino|rosacea|scar|skin|spf|sunscreen|surg|swelling|symptom|tablet|tattoo
    |treat|vitiligo|wound|wrinkle)\w*""",
    re.IGNORECASE | re.VERBOSE,
)
_LINK = re.compile(r"https?://\S+|\{\{\s*link\s*\}\}")
_NAME_VARIABLE = re.compile(r"\{\{\s*first_name\b")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


def segments(text: str) -> int:
    """Return how many SMS segments a text takes.

    GSM-7 (160 signs, or 153 in each of several) if the text fits that alphabet, else UCS-2 (70, or 67). A sign that
    takes two places is never split over two segments. An empty text takes none.
    """
    if all(sign in _GSM_BASIC or sign in _GSM_EXTENDED for sign in text):
        widths, alone, joined = [1 + (sign in _GSM_EXTENDED) for sign in text], 160, 153
    else:
        widths, alone, joined = [1 + (ord(sign) > 0xFFFF) for sign in text], 70, 67
    if sum(widths) <= alone:
        return min(1, len(text))
    count, used = 1, 0
    for width in widths:
        if used + width > joined:
            count, used = count + 1, 0
        used += width
    return count


def lint_discreet(
    text: str, *, name: str = "", allowed: Iterable[str] = (), max_segments: int | None = MAX_SEGMENTS
) -> list[str]:
    """Return what a text or subject line gives away, as sentences; none when it is discreet.

    Works on a rendered text (give the person's `name`) and on a template's source. `allowed` are strings that may
    stand there whatever they say, such as the clinic's own name. `max_segments` is None for email subjects.
    """
    faults = []
    bare = _LINK.sub(" ", text)
    has_link = bare != text
    for each in allowed:
        bare = bare.replace(each, " ") if each else bare
    has_name = bool(_NAME_VARIABLE.search(bare)) or bool(
        name.strip() and re.search(rf"\b{re.escape(name.strip())}\b", bare, re.IGNORECASE)
    )
    telling = dict.fromkeys(found.casefold() for found in _TELLING_WORD.findall(_TAG.sub(" ", bare)))
    faults += [f"“{word}” tells what the message is about." for word in telling]
    if has_name and has_link:
        faults.append("A name and a link may not stand together.")
    if max_segments is not None and (count := segments(text)) > max_segments:
        faults.append(f"The text takes {count} segments; {max_segments} is the most.")
    return faults


def next_attempt(attempts: int, *, seed: str) -> timedelta:
    """Return how long to wait after the `attempts`-th failed try (1 or more): 30 s, then three times as long each time.

    An hour at most.

    The wait is shortened by up to a quarter, by the seed, so that messages that failed together do not come back
    together; the same seed and number always give the same wait.
    """
    if attempts < 1:
        raise ValueError("There is nothing to wait for before the first try.")
    wait = min(FIRST_WAIT * int(3 ** min(attempts - 1, 10)), LONGEST_WAIT)
    draw = int.from_bytes(hashlib.sha256(f"{seed}:{attempts}".encode()).digest()[:4]) / 2**32
    return wait * (1 - draw / 4)


@dataclass(frozen=True)
class WantedMessage:
    """A message that somebody should get.

    `context` holds fixed variables only; name, clinic and telephone numbers are added when it leaves. `visit_at` is
    the visit whose time the text tells, if it tells one: when that changes, what was told is wrong. `any_hour` lets
    it leave at its own time in the night. Raises ValueError for anything a template could not know.
    """

    step: str
    purpose: Purpose
    channel: Channel
    template: str
    context: Mapping[str, Value]
    due_at: datetime
    not_after: datetime
    important: bool
    link_scope: str = ""
    link_about: str = ""
    note: str = ""
    any_hour: bool = False
    visit_at: datetime | None = None

    def __post_init__(self) -> None:
        if not VARIABLES.issuperset(self.context):
            unknown = sorted(set(self.context) - VARIABLES)
            raise ValueError(f"{self.step}: no template knows {', '.join(unknown)}.")
        if self.due_at.tzinfo is None or self.not_after.tzinfo is None:
            raise ValueError(f"{self.step}: due_at and not_after are instants: with a time zone.")
        if self.not_after < self.due_at:
            raise ValueError(f"{self.step}: it would be too late before it is due.")


def waits_its_turn(*, purpose: str, due_at: datetime, at: datetime) -> bool:
    """Return whether a message counts towards what one person gets in an hour: what is late, but no correction.

    After an outage everything that waited is late at once, and nobody should get it all at once.
    """
    return at - due_at > CATCHING_UP and purpose not in {Purpose.ALARM, Purpose.CORRECTION}


def quiet_until(at: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when the quiet hours end that an instant falls into, as an instant; None in the day."""
    wall = at.astimezone(zone)
    if QUIET_UNTIL <= wall.time() < QUIET_FROM:
        return None
    day = wall.date() + timedelta(days=wall.time() >= QUIET_FROM)
    return datetime.combine(day, QUIET_UNTIL, tzinfo=zone).astimezone(UTC)


def may_leave_at_night(*, template: str, purpose: str, any_hour: bool, due_at: datetime, at: datetime) -> bool:
    """Return whether quiet hours do not hold a message: alarms, answers, and what was meant for just this time."""
    if purpose == Purpose.ALARM or template in PROMPT_TEMPLATES:
        return True
    return any_hour and at <= due_at + PUNCTUAL


def may_repeat(*, purpose: str, link_scope: str, was_unknown: bool) -> bool:
    """Return whether a message that may already have arrived goes out once more, on a gateway that would repeat it.

    A reminder twice is harmless, never is not. A personal link twice confuses, so a person looks first. An alarm is
    repeated until somebody surely has it.

    The link of a reminder is not held: both copies open the same page with the time and place of a visit, behind the
    same date of birth, and nobody answers a question twice there. Held, a reminder that never left would wait for a
    person while the visit comes, and the desk would be asked about each.
    """
    if purpose == Purpose.ALARM:
        return True
    return link_scope in HARMLESS_LINKS and not was_unknown


_FOLDED = re.compile(r"[!-~]*(?: [!-~]+)*")


def fold(text: str) -> str:
    """Return a text on one line, without control signs and signs that turn the reading direction of what follows."""
    if _FOLDED.fullmatch(text) and text[:1] != " ":
        return text  # most are: looking at each sign is the dear way
    return " ".join("".join(" " if _breaks_line(sign) else sign for sign in text).split())


def _breaks_line(sign: str) -> bool:
    return unicodedata.category(sign) in {"Cc", "Zl", "Zp"} or sign in _TURNING
