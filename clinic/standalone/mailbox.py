"""An SMTP server that keeps every letter as a file, for the demo: real conversations, nothing leaves the machine."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class _Keeper:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        body = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        part = self.folder / f"{name}.part"
        part.write_bytes(body)
        part.rename(self.folder / f"{name}.eml")  # whole or not at all
        return "250 Kept"


def start(folder: Path, port: int) -> Controller:
    """Letters sent to 127.0.0.1 on the port appear in the folder as .eml files. Stop it with `.stop()`."""
    folder.mkdir(parents=True, exist_ok=True)
    controller = Controller(_Keeper(folder), hostname="127.0.0.1", port=port)
    controller.start()
    return controller
