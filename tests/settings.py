"""The real settings, for a run of the suite: a data folder of this process's own, and quick password hashes."""

import os
import tempfile
from pathlib import Path

# Each process of a parallel run has its own broker, mailbox and files; a subprocess of a test inherits them.
_FOLDER = Path(tempfile.mkdtemp(prefix="afterglow-test-data-"))
for _name in ("static", "broker/queue", "broker/done", "broker/control", "mailbox"):
    (_FOLDER / _name).mkdir(parents=True)
os.environ["AFTERGLOW_DATA"] = str(_FOLDER)
os.environ["CELERY_KEYPREFIX"] = f"{_FOLDER.name}:"  # where Redis is the broker, nobody else's worker takes our tasks
os.environ["STATIC_ROOT"] = str(_FOLDER / "static")
os.environ.setdefault("LOG_LEVEL", "ERROR")

from clinic.settings import *  # noqa: E402, F403

# A command that a test starts reads the real settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "clinic.settings"
# People are made by the hundred, and a slow hash of each password would be most of a run.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
