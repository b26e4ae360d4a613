"""Every template compiles, and none brings a style, a script or a handler of its own into the page."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

ROOT = Path(settings.BASE_DIR) / "templates"
ALL = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.suffix in {".html", ".txt"})
PAGES = [name for name in ALL if name.endswith(".html")]
LETTERS = "messages/"  # letters need their styles inline; no browser of ours shows them in a page of ours

FORBIDDEN = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style(?![^>]*nonce)", re.IGNORECASE),
    "an inline script": re.compile(r"<script(?![^>]*(?:\ssrc=|\snonce=|\stype=\"application/json\"))", re.IGNORECASE),
    "a handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "htmx that evaluates": re.compile(r"hx-on|hx-vals=['\"]js:|hx-vars", re.IGNORECASE),
    "a javascript address": re.compile(r"javascript:", re.IGNORECASE),
    "another site": re.compile(r"(?:src|href)=[\"'](?:https?:)?//", re.IGNORECASE),
    "an unescaped value": re.compile(r"\|\s*safe\b|autoescape off"),
}


def test_there_are_templates():
    assert {"base.html", "base_patient.html", "404.html"} <= set(PAGES)


@pytest.mark.parametrize("name", ALL)
def test_it_compiles(name):
    get_template(name)


@pytest.mark.parametrize("name", [name for name in PAGES if not name.startswith(LETTERS)])
def test_it_obeys_the_security_policy(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", text, flags=re.DOTALL)

    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(text)] == []


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith(LETTERS)])
def test_a_letter_loads_nothing_and_runs_nothing(name):
    text = (ROOT / name).read_text(encoding="utf-8")

    assert re.findall(r"<(?:script|iframe|form|img|link)\b|\|\s*safe\b", text) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_form_that_writes_carries_its_token(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for form in re.findall(r"<form\b(?=[^>]*method=\"post\").*?</form>", text, re.DOTALL | re.IGNORECASE):
        assert "csrf_token" in form or "{% slot body %}" in form, form[:120]


def test_every_icon_and_class_of_ours_exists():
    static = ROOT.parent / "static"
    icons = set(re.findall(r'id="([a-z]+)"', (static / "img" / "icons.svg").read_text(encoding="utf-8")))
    styles = "".join(path.read_text(encoding="utf-8") for path in (static / "css").glob("*.css"))
    classes = set(re.findall(r"\.(ag-[a-z0-9-]+)", styles))
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        used = {
            word
            for each in re.findall(r'class="([^"]*)"', text)
            for word in re.findall(r"(?<![\w{-])ag-[a-z0-9-]+(?![\w{-])", each)
        }
        assert used <= classes, name
        assert set(re.findall(r'(?:icon|_icon\.html" with name)="([a-z]+)"', text)) <= icons, name


@pytest.mark.parametrize("text", ['<p style="x">', "<p onclick='go()'>", "<script>go()</script>", '<a href="//cdn">'])
def test_the_search_finds_what_is_forbidden(text):
    assert any(pattern.search(text) for pattern in FORBIDDEN.values())


@pytest.mark.parametrize(
    "text", ['<script src="/a.js"></script>', '<script type="application/json" id="a">', '<p class="style">']
)
def test_the_search_lets_pass_what_is_allowed(text):
    assert not any(pattern.search(text) for pattern in FORBIDDEN.values())
