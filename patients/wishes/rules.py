"""From the boxes somebody ticked to what is stopped, and back. Pure."""

from __future__ import annotations

from collections.abc import Collection

from patients.wishes.states import KINDS


def purposes_stopped(wanted: Collection[str]) -> set[str]:
    """Return what is stopped when only these kinds are wanted: purposes, or {""}, everything, when none is."""
    if not any(kind in KINDS for kind in wanted):
        return {""}
    return {purpose for kind, purposes in KINDS.items() if kind not in wanted for purpose in purposes}


def kinds_wanted(stopped: Collection[str]) -> list[str]:
    """Return the kinds that still go out when these purposes are stopped; none when "" is among them."""
    if "" in stopped:
        return []
    return [kind for kind, purposes in KINDS.items() if not purposes & set(stopped)]


def masked(contact: str) -> str:
    """Return a contact as its owner recognises it and nobody else learns it: a…s@mail.example, …123."""
    local, at, host = contact.partition("@")
    if at:
        return f"{local[:1]}…{local[-1:] if len(local) > 2 else ''}@{host}"
    return f"…{contact[-3:]}"
