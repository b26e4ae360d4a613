"""No log line holds the address of a secure link, or says who is a patient."""

import io
import logging
import sys

import pytest
from django.conf import settings

from clinic.masked import Masked, masked


def written(said, *args, exc_info=None):
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Masked("%(message)s"))
    handler.handle(logging.LogRecord("django.request", logging.WARNING, "", 0, said, args, exc_info))
    return out.getvalue()


@pytest.mark.parametrize(
    ("said", "args", "line"),
    [
        ("Not Found: %s", ("/l/s3cret-T0ken/again/",), "Not Found: /l/…/again/"),
        ('"GET https://c.example/l/s3cret/?x=1 HTTP/1.1" 404', (), '"GET https://c.example/l/…/?x=1 HTTP/1.1" 404'),
        ('"GET /f/s3cret-T0ken/visits.ics HTTP/1.1" 200', (), '"GET /f/…/visits.ics HTTP/1.1" 200'),
        ('"GET /Messages.json?To=%2B447700900001&PageSize=5"', (), '"GET /Messages.json?To=+…&PageSize=5"'),
        ("550 <ana.o'neil+x@mail.example>: no such box", (), "550 <…@…>: no such box"),
        ("no: %s", ("+447700900001 is off",), "no: +… is off"),
        ("None: %s of %d, 10:00:00+00:00", ("/patients/", 2), "None: /patients/ of 2, 10:00:00+00:00"),
    ],
)
def test_a_line_names_no_token_and_no_person_whoever_writes_it(said, args, line):
    assert written(said, *args) == f"{line}\n"


def test_a_traceback_is_masked_like_the_line_above_it():
    try:
        raise ValueError("ana@mail.example at /l/s3cret/")
    except ValueError:
        text = written("failed", exc_info=sys.exc_info())

    assert text.endswith("ValueError: …@… at /l/…/\n")


def test_a_row_that_the_database_shows_is_left_out_whole():
    said = 'violates "x"\nDETAIL:  Failing row contains (1, Ana,\n\nitches since Monday).\nCONTEXT:  a trigger\n\nThe'

    assert masked(said) == 'violates "x"\nDETAIL: …\nCONTEXT:  a trigger\n\nThe'


def test_every_handler_masks_and_nothing_is_mailed():
    assert {each["formatter"] for each in settings.LOGGING["handlers"].values()} == {"masked"}
    assert settings.LOGGING["formatters"]["masked"]["()"] == "clinic.masked.Masked"
    assert logging.getLogger("django").handlers == []
