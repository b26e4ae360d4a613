"""Keeps the addresses of secure links out of every log line: whoever holds one holds a way in."""

from __future__ import annotations

import logging
import re

_TOKEN = re.compile(r"(/l/)[^/\s?#\"']+")


class MaskTokens(logging.Filter):
    """Each line a handler writes names no token: `/l/…/` stands where the address of a secure link stood."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        masked = _TOKEN.sub(r"\1…", said)
        if masked != said:
            record.msg, record.args = masked, None
        return True
