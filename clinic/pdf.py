"""A page as a PDF, made from the same templates, with nothing fetched from anywhere.

A lone file below the rooms. WeasyPrint draws with Pango, a library of the operating system (Debian: libpango-1.0-0,
libpangoft2-1.0-0, libharfbuzz-subset0, and a font): where it is missing, pages say so and offer to print.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from types import ModuleType

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

log = logging.getLogger(__name__)
STYLES = "css/paper.css"


class NoPdf(Exception):
    """This machine lacks the library that draws PDFs."""


def can_make_pdf() -> bool:
    """Return whether this machine has what it takes."""
    return _engine() is not None


def pdf_of(html: str) -> bytes:
    """Return the document as a tagged PDF on A4. What it refers to elsewhere is left out. Raises NoPdf."""
    engine = _engine()
    if engine is None:
        raise NoPdf
    fetcher = _refuser(engine)
    styles = engine.CSS(string=_styles(), url_fetcher=fetcher)
    made: bytes = engine.HTML(string=html, url_fetcher=fetcher, base_url=None).write_pdf(
        stylesheets=[styles], pdf_tags=True
    )
    return made


def pdf_response(request: HttpRequest, template: str, context: Mapping[str, object], file_name: str) -> HttpResponse:
    """Return the template as a PDF to keep under this name. Raises NoPdf."""
    made = pdf_of(render_to_string(template, dict(context), request))
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return HttpResponse(made, content_type="application/pdf", headers=headers)


@cache
def _engine() -> ModuleType | None:
    # Imported when first wanted: the import itself fails where Pango is missing, and takes a while where it is not.
    try:
        with redirect_stdout(StringIO()):  # it prints a page of advice, which the log says in a line
            import weasyprint
            from PIL import ImageFile

            # It asks Pillow to take half a picture for a whole one, for the whole process: a photo that did not
            # arrive whole would be kept.
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    except (ImportError, OSError) as missing:
        log.warning("No PDFs are made here: %s", str(missing).strip().partition("\n")[0])
        return None
    engine: ModuleType = weasyprint
    return engine


@cache
def _refuser(engine: ModuleType) -> object:
    """Return what WeasyPrint asks for a picture, a font, a style or an attachment: it gets none, from anywhere."""

    class RefuseAll(engine.URLFetcher):  # type: ignore[name-defined]
        def fetch(self, url: str, headers: object = None) -> object:
            raise ValueError("Nothing is fetched for a document.")

    return RefuseAll()


@cache
def _styles() -> str:
    return Path(str(finders.find(STYLES))).read_text(encoding="utf-8")
