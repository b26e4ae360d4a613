"""This test's database, for processes that a test starts."""

import os
from urllib.parse import quote

from django.db import connection


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process that works on the rows this test commits."""
    return {**os.environ, "DATABASE_URL": url_of_test_database(), **more}


def url_of_test_database() -> str:
    settings = connection.settings_dict
    user, password = quote(settings["USER"]), quote(settings["PASSWORD"])
    who = f"{user}:{password}" if password else user
    host, port = settings["HOST"], settings["PORT"]
    if host.startswith("/"):
        return f"postgresql://{who}@/{settings['NAME']}?host={host}" + (f"&port={port}" if port else "")
    return f"postgresql://{who}@{host}{f':{port}' if port else ''}/{settings['NAME']}"
