"""What every pack of clinical knowledge must keep to."""

from __future__ import annotations

from clinic.packfile import PackError

__all__ = ["PackError"]
