"""Files that only our own views hand out: written whole or not at all, under a private root, never by a given name."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from clinic.audit.states import Refused

_NAME = re.compile(r"[a-z0-9]+(?:[/._-][a-z0-9]+)*")
_UNFINISHED = ".part"


class NotStored(Refused):
    """The disk did not take the file; nothing of it is left."""

    sentence = "This could not be stored just now, so nothing was saved. Please try again in a while, or call us."


def keep(name: str, data: bytes) -> None:
    """The file stands under its name, whole and on the disk. Raises NotStored; then nothing stands there."""
    path = _path(name)
    unfinished = path.with_name(f"{uuid.uuid4().hex}{_UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(unfinished, data)
        unfinished.rename(path)
        _settle(path.parent)
    except OSError:
        for each in (unfinished, path):
            with contextlib.suppress(OSError):
                each.unlink(missing_ok=True)
        raise NotStored from None


def read(name: str) -> bytes:
    """Return the file. Raises FileNotFoundError."""
    return _path(name).read_bytes()


def discard(name: str) -> None:
    """No file stands under the name any more."""
    _path(name).unlink(missing_ok=True)


def kept_under(folder: str) -> Iterator[tuple[str, float]]:
    """Yield the name and age-telling time of every file in a folder and below it, unfinished ones too."""
    root = Path(settings.MEDIA_ROOT)
    for path in sorted((root / folder).rglob("*")):
        if path.is_file():
            yield path.relative_to(root).as_posix(), path.stat().st_mtime


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError("Names of kept files are made by us: small letters, figures, dots, dashes and slashes.")
    return Path(settings.MEDIA_ROOT) / name


def _write(path: Path, data: bytes) -> None:
    # Only the owner may read it, whatever the process's mask says.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """The folder's entry survives a power cut too: a row must never point at a file that is gone."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
