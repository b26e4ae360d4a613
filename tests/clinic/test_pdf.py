"""A page as a PDF: what it says is in it, and nothing is fetched for it from anywhere."""

import http.server
import io
import subprocess
import sys
import threading

import pypdf
import pytest
from PIL import Image

from clinic.pdf import NoPdf, _engine, can_make_pdf, pdf_of
from clinic.pictures.rules import PictureRefused, clean_picture

SECRET = "kept on this machine"


@pytest.fixture
def asked():
    """What a web server on this machine was asked for while the test ran: pairs of its address and the list."""
    paths = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


def said_in(made: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages)


def test_what_the_page_says_is_in_the_pdf_and_can_be_read_aloud():
    made = pdf_of('<html lang="en"><title>A copy</title><h1>Zoë Ó Briain</h1><p>“Not sure”</p></html>')

    reader = pypdf.PdfReader(io.BytesIO(made))
    assert "Zoë Ó Briain" in said_in(made)
    assert "“Not sure”" in said_in(made)
    assert (reader.metadata.title, reader.root_object["/Lang"]) == ("A copy", "en")
    assert reader.root_object["/MarkInfo"]["/Marked"]
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="{url}/picture.png">',
        '<link rel="stylesheet" href="{url}/style.css">',
        '<link rel="attachment" href="{url}/attached.txt">',
        '<link rel="attachment" href="{file}">',
        '<a rel="attachment" href="{file}">file</a>',
        '<style>@import url("{url}/more.css");</style>',
        '<style>@font-face {{ font-family: x; src: url("{url}/font.woff") }} p {{ font-family: x }}</style>',
        '<p style="background: url({url}/back.png)">styled</p>',
        '<svg width="9" height="9"><image href="{url}/inner.svg" width="9" height="9"/></svg>',
        '<svg width="9" height="9"><use href="{file}#a"/></svg>',
        '<object data="{url}/object.svg"></object>',
        '<embed src="{file}">',
        '<iframe src="{url}/frame.html"></iframe>',
        '<base href="{url}/"><img src="relative.png">',
        '<img src="{file}">',
    ],
)
def test_nothing_is_fetched_from_the_network_or_this_machine(asked, tmp_path, markup):
    url, paths = asked
    secret = tmp_path / "secret.svg"
    secret.write_text(f'<svg xmlns="http://www.w3.org/2000/svg"><text id="a" y="9">{SECRET}</text></svg>')
    page = f"<html><body><p>The text stays.</p>{markup.format(url=url, file=secret.as_uri())}</body></html>"

    made = pdf_of(page)

    assert paths == []
    assert "The text stays." in said_in(made)
    assert SECRET not in said_in(made)
    assert SECRET.encode() not in made
    assert pypdf.PdfReader(io.BytesIO(made)).attachments == {}


def test_the_library_that_is_missing_is_missed_and_nothing_breaks():
    """In a process of its own, in which no library of the system can be loaded, as on a bare machine."""
    script = """
import cffi

def missing(self, name, *flags):
    raise OSError(f"cannot load library {name!r}")

cffi.FFI.dlopen = missing
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from clinic.pdf import NoPdf, can_make_pdf, pdf_of
assert can_make_pdf() is False
try:
    pdf_of("<p>text</p>")
except NoPdf:
    print("said so")
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=False)

    assert told.stdout == "said so\n", told.stderr


def test_without_the_library_a_pdf_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    _engine.cache_clear()
    try:
        assert can_make_pdf() is False
        with pytest.raises(NoPdf):
            pdf_of("<p>text</p>")
    finally:
        _engine.cache_clear()


def test_a_photo_that_did_not_arrive_whole_is_refused_after_a_pdf_was_made_too():
    whole = io.BytesIO()
    Image.effect_noise((300, 200), 40).convert("RGB").save(whole, "JPEG")
    pdf_of("<p>made first</p>")

    with pytest.raises(PictureRefused, match="did not arrive whole"):
        clean_picture(whole.getvalue()[:3000], field="photo")
