"""A real text gateway at the other end, in two dialects: it takes texts over, can be searched, and fails as told."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN, SECRET, ACCOUNT, SENDER = "sms-token", "sms-secret", "AC42", "+447700900999"
PATH, TWILIO_PATH = "/messages", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


@dataclass(frozen=True)
class Say:
    """One scripted answer. `takes` says whether the text was taken over all the same."""

    status: int = 0
    body: Mapping[str, object] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: bool = False


DROP = Say()  # the line is cut before the text was taken
TAKE_AND_DROP = Say(takes=True)  # taken, and the line is cut
SILENCE = Say(status=-1)
TAKE_AND_SILENCE = Say(status=-1, takes=True)
GARBAGE = Say(200, "<html>Welcome to the hotel's network</html>")
TAKE_AND_GARBAGE = Say(201, "{'sid': SM", takes=True)


@dataclass(frozen=True)
class Text:
    """A text that was taken over, as the person gets it."""

    sid: str
    to: str
    body: str
    key: str
    at: datetime
    callback: str = ""


class SmsGatewayServer:
    """`texts` were taken over, `asked` is every request to send: (to, key). `at` is the gateway's own clock.

    `say(*answers)` scripts what comes next when it is asked to send, `say_to_looks` when it is searched. After the
    script it takes everything. The plain dialect keeps keys, the other keeps none.
    """

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.texts: list[Text] = []
        self.asked: list[tuple[str, str]] = []
        self.looks = 0
        self.connections = 0
        self._sends: deque[Say] = deque()
        self._looks: deque[Say] = deque()
        self._lock = threading.Lock()
        self._over = threading.Event()
        server = self

        class Ours(_Handler):
            gateway = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Ours)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def say(self, *answers: Say) -> None:
        self._sends.extend(answers)

    def say_to_looks(self, *answers: Say) -> None:
        self._looks.extend(answers)

    def __enter__(self) -> SmsGatewayServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    def next_answer(self, *, looking: bool) -> Say | None:
        with self._lock:
            script = self._looks if looking else self._sends
            return script.popleft() if script else None

    def take(self, to: str, body: str, key: str, callback: str = "") -> Text:
        with self._lock:
            for text in self.texts:
                if key and text.key == key:
                    return text
            text = Text(f"SM{len(self.texts) + 1}", to, body, key, self.at, callback)
            self.texts.append(text)
            return text

    def wait_for_the_end(self) -> None:
        self._over.wait(60)


class _Handler(BaseHTTPRequestHandler):
    gateway: SmsGatewayServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.gateway.connections += 1

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == PATH:
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                return self._answer(401, {"error": {"code": "unauthorized"}})
            said = json.loads(raw)
            to, body, key = said["to"], said["text"], self.headers["Idempotency-Key"]
            callback = said.get("callback", "")
            assert said["reference"] == key
        elif self.path == TWILIO_PATH:
            if not self._is_the_account():
                return self._answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
            form = parse_qs(raw.decode(), strict_parsing=True)
            assert form["From"] == [SENDER]
            to, body, key = form["To"][0], form["Body"][0], ""
            callback = form.get("StatusCallback", [""])[0]
        else:
            return self._answer(404, {"code": 20404})
        self.gateway.asked.append((to, key))
        scripted = self.gateway.next_answer(looking=False)
        if scripted is not None:
            if scripted.takes:
                self.gateway.take(to, body, key, callback)
            return self._say(scripted)
        text = self.gateway.take(to, body, key, callback)
        return self._answer(201, {"id": text.sid} if key else _row(text))

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != TWILIO_PATH or not self._is_the_account():
            return self._answer(404, {"code": 20404})
        self.gateway.looks += 1
        scripted = self.gateway.next_answer(looking=True)
        if scripted is not None:
            return self._say(scripted)
        query = parse_qs(parts.query)
        found = [_row(text) for text in reversed(self.gateway.texts) if text.to == query["To"][0]]
        return self._answer(200, {"messages": found[: int(query["PageSize"][0])], "page": 0})

    def _is_the_account(self) -> bool:
        kind, _, coded = (self.headers["Authorization"] or "").partition(" ")
        return kind == "Basic" and b64decode(coded).decode() == f"{ACCOUNT}:{TOKEN}"

    def _say(self, scripted: Say) -> None:
        if scripted.status == -1:
            self.gateway.wait_for_the_end()
        if scripted.status <= 0:
            self.close_connection = True
            return None
        return self._answer(scripted.status, scripted.body, scripted.headers)

    def _answer(self, status: int, body: Mapping[str, object] | str, headers: Mapping[str, str] | None = None) -> None:
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests read `asked`."""


def _row(text: Text) -> dict[str, object]:
    return {
        "sid": text.sid,
        "to": text.to,
        "from": SENDER,
        "body": text.body,
        "status": "queued",
        "direction": "outbound-api",
        "date_created": format_datetime(text.at),
        "date_sent": None,
        "error_code": None,
    }
