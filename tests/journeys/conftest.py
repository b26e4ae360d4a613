"""Real browsers for journeys: a phone and a desk, on the live server, with the rules of a strict page watched.

`phone` and `desk` are pages ready to use; `open_phone()` and `open_desk()` give further ones, each with cookies of its
own, as a second device has. A page that throws, or breaks the Content-Security-Policy, fails its test. `look(page,
"name")` keeps a screenshot in the folder that AFTERGLOW_SHOTS names, and does nothing without it.
"""

import os
import shutil
import threading
from pathlib import Path

import pytest
from django.core.signals import request_finished, request_started
from playwright.sync_api import Error, expect, sync_playwright

PATIENCE = 60_000  # milliseconds: every wait ends as soon as the thing is there, so a busy machine only takes longer
expect.set_options(timeout=PATIENCE)
WINDOWS = pytest.StashKey[list]()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium(playwright) -> str | None:
    """Return the browser: $CHROMIUM, else the machine's own, else the one Playwright downloaded, else None."""
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return found or (
        playwright.chromium.executable_path if Path(playwright.chromium.executable_path).exists() else None
    )


@pytest.fixture(scope="module")
def chromium():
    """One running Chromium for the module. It ends with the module: its event loop must not outlive its tests."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # Playwright keeps an event loop in this thread, and Django would refuse its ORM beside one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            path = find_chromium(playwright)
            if path is None:
                give_up = pytest.fail if os.environ.get("AFTERGLOW_REQUIRE_BROWSER") else pytest.skip
                give_up("No Chromium found: apt-get install chromium, or name one in CHROMIUM.")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            try:
                yield playwright, browser
            finally:
                browser.close()
    finally:
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")
        if before is not None:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


def pytest_collection_modifyitems(items):
    """Each wait for a page has an end of its own; what ends a hung test stays out of their way."""
    for item in items:
        if item.get_closest_marker("browser") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1200))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A browser test that fails says what its windows showed: a run elsewhere cannot be looked at afterwards."""
    report = yield
    if report.when == "call" and report.failed:
        for window in item.stash.get(WINDOWS, ()):
            report.sections.append((f"Window at {window.page.url}", window.told()))
    return report


class Window:
    """A page of a test, and what went wrong on its way."""

    SHOWN = """() => [`keyboard on: ${document.activeElement?.outerHTML.slice(0, 300)}`,
        ...[...document.querySelectorAll("dialog[open]")].map((each) => `open: ${each.outerHTML.slice(0, 1500)}`),
        document.body.innerText.slice(0, 1500)].join("\\n")"""

    def __init__(self, page):
        self.page, self.faults, self.asked = page, [], set()
        page.on("request", lambda request: self.asked.add(request))
        page.on("requestfinished", lambda request: self.asked.discard(request))
        page.on("requestfailed", self.failed)
        page.on("response", self.answered)

    def failed(self, request):
        self.asked.discard(request)
        self.faults.append(f"{request.method} {request.url}: {request.failure}")

    def answered(self, answer):
        if answer.status >= 400:
            self.faults.append(f"{answer.status} {answer.url}")

    def told(self):
        lines = [*self.faults, *(f"no answer yet: {each.method} {each.url}" for each in self.asked)]
        try:
            lines.append(self.page.evaluate(self.SHOWN))
        except Error as fault:
            lines.append(f"It does not say what it shows: {fault}")
        return "\n".join(lines)


class Traffic:
    """How many requests the live server is answering."""

    def __init__(self):
        self._count, self._changed = 0, threading.Condition()

    def _add(self, one):
        with self._changed:
            self._count += one
            self._changed.notify_all()

    def begins(self, **_):
        self._add(1)

    def ends(self, **_):
        self._add(-1)

    def wait_for_silence(self):
        with self._changed:
            assert self._changed.wait_for(lambda: self._count <= 0, 100)


@pytest.fixture
def _traffic(live_server):
    """A page asks again and again by itself: what it still asks for when its test is over ends before the rows go."""
    traffic = Traffic()
    request_started.connect(traffic.begins)
    request_finished.connect(traffic.ends)
    yield
    traffic.wait_for_silence()
    request_started.disconnect(traffic.begins)
    request_finished.disconnect(traffic.ends)


@pytest.fixture
def _windows(request, chromium, live_server, settings, _traffic):
    """Opens windows on the live server, and closes them all with the test; complaints of a page fail the test."""
    playwright, browser = chromium
    settings.PUBLIC_URL = live_server.url
    contexts, complaints, windows = [], [], request.node.stash.setdefault(WINDOWS, [])

    def note(kind, words):
        if kind == "pageerror" or "Content Security Policy" in words or "Content-Security-Policy" in words:
            complaints.append(f"{kind}: {words}")

    def watch(page):
        windows.append(Window(page))
        page.on("pageerror", lambda error: note("pageerror", str(error)))
        page.on("console", lambda message: note(message.type, message.text))

    def open_window(**options):
        context = browser.new_context(base_url=live_server.url, reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE)
        context.on("page", watch)
        contexts.append(context)
        return context.new_page()

    yield playwright, open_window
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def open_phone(_windows):
    """Returns a page on one more phone (iPhone 13, 390 px wide), which shares nothing with the others."""
    playwright, open_window = _windows
    return lambda **options: open_window(**{**playwright.devices["iPhone 13"], **options})


@pytest.fixture
def open_desk(_windows):
    """Returns a page on one more desktop (1280 px wide), which shares nothing with the others."""
    _, open_window = _windows
    return lambda **options: open_window(**{"viewport": {"width": 1280, "height": 800}, **options})


@pytest.fixture
def phone(open_phone):
    return open_phone()


@pytest.fixture
def desk(open_desk):
    return open_desk()


@pytest.fixture
def look():
    """Keeps a screenshot of the whole page as AFTERGLOW_SHOTS/name.png, if that folder is named."""
    folder = os.environ.get("AFTERGLOW_SHOTS")

    def shoot(page, name):
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)

    return shoot
