"""No log line holds the address of a secure link."""

import io
import logging

from django.conf import settings

from clinic.masked import MaskTokens


def test_a_line_names_no_token_whoever_writes_it():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(MaskTokens())

    for said, args in (
        ("Not Found: %s", ("/l/s3cret-T0ken/again/",)),
        ('"GET https://clinic.example/l/s3cret-T0ken/?x=1 HTTP/1.1" 404', ()),
        ("Nothing: %s of %d", ("/patients/", 2)),
    ):
        handler.handle(logging.LogRecord("django.request", logging.WARNING, "", 0, said, args, None))

    assert out.getvalue().splitlines() == [
        "Not Found: /l/…/again/",
        '"GET https://clinic.example/l/…/?x=1 HTTP/1.1" 404',
        "Nothing: /patients/ of 2",
    ]


def test_every_handler_masks():
    assert {
        name for name, each in settings.LOGGING["handlers"].items() if "masked" not in each.get("filters", [])
    } == set()
