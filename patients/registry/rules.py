"""Names, birth dates, addresses and telephone numbers: what is usable, and how it is written down. Pure."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from difflib import SequenceMatcher

from clinic.audit.states import Refused

NAME_LIMIT = 200
EMAIL_LIMIT = 254
SEARCH_LIMIT = 400
EARLIEST_BIRTH = date(1900, 1, 1)
OLDEST_AGE = 125
FIGURES_OF_A_NUMBER = 6  # fewer figures in a search are a house number or a typing error


class NameRefused(Refused):
    """A name that cannot be written down."""

    sentence = "Please give a name."


class BirthDateRefused(Refused):
    """No date, or no date on which a living person can have been born."""

    sentence = "Please give the date of birth as day, month and year."


class EmailRefused(Refused):
    """Not an address that mail can reach."""

    sentence = "Please give an email address like ana@example.com."


class PhoneRefused(Refused):
    """Not a telephone number that can be rung from anywhere."""

    sentence = "Please give a telephone number."


# --- names ----------------------------------------------------------------------------------------------------------

# Letters that are letters of their own and do not come apart into a base and an accent.
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŋ": "n", "ŧ": "t"}
)
_APOSTROPHES = frozenset("'’‘ʼʻ`´′")
# Signs that turn the reading direction of all that follows: a name must not reorder the page it stands on.
_DIRECTION_SIGNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_name(raw: str, *, field: str, required: bool = True) -> str:
    """Return the name as it is kept: composed, on one line, single spaces, without signs nobody can see.

    One letter, one word, any script and emoji are names. Raises NameRefused when nothing visible is left of a
    required name, or when it is longer than 200 characters.
    """
    if len(raw) > NAME_LIMIT * 2 or len(name := _tidy(raw)) > NAME_LIMIT:
        raise NameRefused(f"This name has {len(raw):,} characters. Please keep it to {NAME_LIMIT}.", field=field)
    if not any(_is_visible(sign) for sign in name):
        if required:
            raise NameRefused(field=field)
        return ""
    return name


def _tidy(raw: str) -> str:
    spaced = "".join(" " if sign.isspace() else sign for sign in unicodedata.normalize("NFC", raw))
    kept = (sign for sign in spaced if unicodedata.category(sign) != "Cc" and sign not in _DIRECTION_SIGNS)
    return " ".join("".join(kept).split())


def _is_visible(sign: str) -> bool:
    return unicodedata.category(sign)[0] not in "CZ" and unicodedata.category(sign) != "Mn"


def search_key(text: str) -> str:
    """Return the text as it is searched: no case, no accents, no apostrophes, single spaces.

    "Núñez-O’Brien" becomes "nunez obrien".
    """
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN_LETTERS)).casefold()
    kept = []
    for sign in folded:
        kind = unicodedata.category(sign)
        if kind == "Mn" or kind[0] == "C" or sign in _APOSTROPHES:
            continue
        kept.append(" " if kind[0] in "ZP" else sign)
    return " ".join("".join(kept).translate(_PLAIN_LETTERS).split())


def search_texts(given_name: str, family_name: str) -> tuple[str, str]:
    """Return the name as found from its family name and as found from its given name, 400 characters at most.

    The limit keeps an index entry small: one sign of some scripts searches as eighteen.
    """
    given, family = search_key(given_name), search_key(family_name)
    return f"{family} {given}".strip()[:SEARCH_LIMIT], f"{given} {family}".strip()[:SEARCH_LIMIT]


def names_alike(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """True if two (given, family) names may be one person's: spelt otherwise, swapped, or with a name more."""
    ones, theirs = search_texts(*one), search_texts(*other)[0]
    few, many = sorted((set(ones[0].split()), set(theirs.split())), key=len)
    if len(few) > 1 and few <= many:
        return True
    return any(SequenceMatcher(None, mine, theirs).ratio() >= 0.8 for mine in ones)


# --- birth dates ----------------------------------------------------------------------------------------------------

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WRITTEN_DATE = re.compile(
    r"^(?:(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"|(?P<d2>\d{1,2})[/. -](?P<m2>\d{1,2}|[a-z]{3,9})[/. -](?P<y2>\d{4}))$"
)


def date_from_boxes(day: str, month: str, year: str) -> date:
    """Return the date of three boxes. Raises BirthDateRefused saying which box to look at.

    The month may be a number or an English month's name. The year has four figures.
    """
    parts = [part.strip() for part in (day, month, year)]
    if not any(parts):
        raise BirthDateRefused("Please fill in day, month and year.")
    for part, word in zip(parts, ("day", "month", "year"), strict=True):
        if not part:
            raise BirthDateRefused(f"The {word} is missing.")
    number = _month_number(parts[1])
    if not parts[0].isdecimal() or number is None or not parts[2].isdecimal():
        raise BirthDateRefused("Please use figures, for example 27 3 1985.")
    if len(parts[2]) != 4:
        raise BirthDateRefused("Please give the year with four figures, for example 1985.")
    if not 1 <= number <= 12:
        raise BirthDateRefused(f"There is no month {parts[1][:9]}. Months go from 1 to 12.")
    try:
        return date(int(parts[2]), number, int(parts[0]))
    except (ValueError, OverflowError):
        raise BirthDateRefused("There is no such day in that month. Please check it.") from None


def _month_number(text: str) -> int | None:
    if text.isdecimal():
        return int(text) if len(text) <= 2 else 0
    start = text.casefold()[:3]
    return _MONTHS.index(start) + 1 if start in _MONTHS else None


def read_date(text: str) -> date | None:
    """Return the date somebody typed in a search field (1988-05-14, 14/5/1988, 14 May 1988), else None."""
    found = _WRITTEN_DATE.match(text.strip().casefold())
    if found is None:
        return None
    day, month, year = (found["d"], found["m"], found["y"]) if found["y"] else (found["d2"], found["m2"], found["y2"])
    try:
        return date_from_boxes(day, month, year)
    except BirthDateRefused:
        return None


def facts_typed(text: str) -> dict[str, object]:
    """Return what somebody typed in a search field as first facts of a new person, so that nobody types it twice."""
    tidy = " ".join(text.split())
    born_on = read_date(tidy)
    if born_on is not None:
        return {"born_on": born_on}
    if "@" in tidy:
        return {"email": tidy}
    if sum(sign.isdigit() for sign in tidy) >= FIGURES_OF_A_NUMBER:
        return {"phone": tidy}
    family, comma, given = tidy.partition(",")
    if not comma:
        given, _space, family = tidy.rpartition(" ")
    names = {"given_name": given.strip(), "family_name": family.strip()}
    return {name: value for name, value in names.items() if value}


def check_born_on(born_on: date, *, today: date, field: str = "born_on") -> date:
    """Return the birth date, or raise BirthDateRefused: it lies in the future, or longer ago than anyone lives."""
    if born_on > today:
        raise BirthDateRefused("This date of birth is in the future. Please check the year.", field=field)
    if born_on < EARLIEST_BIRTH or age_on(born_on, today) > OLDEST_AGE:
        raise BirthDateRefused("This date of birth is too long ago. Please check the year.", field=field)
    return born_on


def age_on(born_on: date, on: date) -> int:
    """Return full years of age. Somebody born on 29 February grows older on 1 March where there is no 29th.

    The later day is taken because the rules that ask protect minors.
    """
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


# --- ways to reach somebody -------------------------------------------------------------------------------------------

_LOCAL_PART = re.compile(r"^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}$")
_HOST = re.compile(r"^(?=.{4,190}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$")


def clean_email(raw: str, *, field: str = "email") -> str:
    """Return the address in lower case, its host in the letters mail servers use. Raises EmailRefused."""
    address = raw.strip()
    if len(address) > EMAIL_LIMIT:
        raise EmailRefused(f"This address is longer than {EMAIL_LIMIT} characters.", field=field)
    local, at, host = address.lower().rpartition("@")
    if not at:
        raise EmailRefused(f"“{address[:60]}” has no @. An email address looks like ana@example.com.", field=field)
    if not local or not host:
        raise EmailRefused(f"Something is missing {'after' if local else 'before'} the @. Please check.", field=field)
    if any(sign.isspace() for sign in address) or "," in address or ";" in address:
        raise EmailRefused("Please give one email address, without spaces.", field=field)
    try:
        host = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise EmailRefused(f"“{host[:60]}” is not a mail server’s name.", field=field) from None
    if not _LOCAL_PART.match(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise EmailRefused(f"We cannot write to “{local[:40]}”. Please check the part before the @.", field=field)
    if not _HOST.match(host):
        raise EmailRefused(f"Please check “{host[:60]}”, the part after the @.", field=field)
    return f"{local}@{host}"


# Country calling codes of one and two figures; every other code has three (ITU-T E.164 assigned codes).
_ONE_FIGURE = frozenset("17")
_TWO_FIGURES = frozenset(
    str(code)
    for code in (
        *(20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58),
        *(60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98),
    )
)
# What stands before a number dialled inside a country, where it is not 0 (E.164: the trunk prefix).
_TRUNK = {"1": "1", "7": "8", "36": "06", "34": "", "351": "", "39": "", "45": "", "47": "", "30": "", "48": ""}
_LENGTHS = {"1": (10, 10), "44": (9, 10), "34": (9, 9), "33": (9, 9), "351": (9, 9), "45": (8, 8), "47": (8, 8)}
_EXIT_CODES = {"1": "011", "61": "0011", "81": "010", "7": "810"}
_FEWEST, _MOST = 5, 15  # figures after the country code at least; figures in all at most (E.164)
_FILLERS = re.compile(r"[\s().\-/\u2010-\u2015]+")


def calling_code(number: str) -> str:
    """Return the country calling code of a number in international form: "44" of "+442079460000"."""
    figures = re.sub(r"\D", "", number)
    if figures[:1] in _ONE_FIGURE:
        return figures[:1]
    return figures[:2] if figures[:2] in _TWO_FIGURES else figures[:3]


def clean_phone(raw: str, *, country: str, field: str = "phone") -> str:
    """Return the number in international form (E.164, "+447700900123").

    `country` is the calling code to add to a number without one, as calling_code() returns it from the location's
    own telephone. Raises PhoneRefused with what to do.
    """
    # Numbers copied from an address book carry invisible direction signs.
    seen = "".join(sign for sign in raw if unicodedata.category(sign) != "Cf")
    text = unicodedata.normalize("NFKC", seen).strip()
    if len(text) > 40:
        raise PhoneRefused("This is too long for a telephone number. Please give one number.", field=field)
    international = text.startswith(("+", "00"))
    typed = _FILLERS.sub("", text.replace("(0)", "") if international else text).removeprefix("+")
    if not typed.isdecimal():
        raise PhoneRefused("Please give figures only, for example +44 7700 900123.", field=field)
    figures = "".join(str(int(sign)) for sign in typed)  # other scripts have figures of their own
    code, rest = _split(figures, country, has_plus=text.startswith("+"))
    if code.startswith("0"):
        raise PhoneRefused("No country’s code starts with 0. Please check what stands after the +.", field=field)
    low, high = _LENGTHS.get(code, (_FEWEST, _MOST - len(code)))
    if not low <= len(rest) <= high:
        many = "too few" if len(rest) < low else "too many"
        raise PhoneRefused(
            f"This number has {many} figures for one that starts with +{code}. Please check it. "
            "A number of another country starts with + and that country’s code.",
            field=field,
        )
    return f"+{code}{rest}"


def _split(figures: str, country: str, *, has_plus: bool) -> tuple[str, str]:
    """Return the calling code and what follows it, without exit code and trunk prefix."""
    exit_code = _EXIT_CODES.get(country, "00")
    if not has_plus:
        for start in {exit_code, "00"}:
            if start and figures.startswith(start):
                return _split(figures[len(start) :], country, has_plus=True)
        trunk = _TRUNK.get(country, "0")
        return country, figures.removeprefix(trunk) if trunk else figures
    code = calling_code(figures)
    rest = figures[len(code) :]
    # "+44 07700..." is how many people write it; no country but Italy keeps that 0.
    return code, rest if _TRUNK.get(code, "0") != "0" else rest.removeprefix("0")
