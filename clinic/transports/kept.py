"""Reading what the demo's own mail server and the file of texts have kept."""

from __future__ import annotations

import email
import email.policy
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path


@dataclass(frozen=True)
class Kept:
    """One letter or text as its reader gets it. `key` is its file's name, or the number of its line."""

    key: str
    at: datetime
    to: str
    text: str
    subject: str = ""
    sender: str = ""

    @property
    def is_letter(self) -> bool:
        return self.key.endswith(".eml")


def kept_messages(folder: Path, texts: Path, limit: int = 100) -> list[Kept]:
    """Return the newest letters and texts, newest first. A file that cannot be read is left out."""
    names = sorted((path.name for path in folder.glob("*.eml")), reverse=True)[:limit] if folder.is_dir() else []
    found = [kept for name in names if (kept := _letter(folder / name))] + _texts(texts)[-limit:]
    return sorted(found, key=lambda kept: (kept.at, kept.key), reverse=True)[:limit]


def kept_message(folder: Path, texts: Path, key: str) -> Kept | None:
    """Return one by its key, None if there is none; a key never reaches outside the folder."""
    if key.startswith("text-"):
        return next((kept for kept in _texts(texts) if kept.key == key), None)
    path = folder / key
    if Path(key).name != key or path.suffix != ".eml" or not path.is_file():
        return None
    return _letter(path)


def _letter(path: Path) -> Kept | None:
    try:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    except OSError:
        return None
    if not isinstance(message, EmailMessage):
        return None
    body = message.get_body(("plain", "html"))
    return Kept(
        key=path.name,
        at=_date(message, path),
        to=str(message["To"] or ""),
        text=str(body.get_content()) if body is not None else "",
        subject=str(message["Subject"] or ""),
        sender=str(message["From"] or ""),
    )


def _date(message: EmailMessage, path: Path) -> datetime:
    try:
        found = parsedate_to_datetime(str(message["Date"]))
    except (TypeError, ValueError):
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _texts(path: Path) -> list[Kept]:
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            row = json.loads(line)
            at = datetime.fromisoformat(row["at"])
            found.append(Kept(key=f"text-{number}", at=at, to=str(row["to"]), text=str(row["text"])))
        except (ValueError, KeyError, TypeError):
            continue  # half a line, written while we read
    return found
