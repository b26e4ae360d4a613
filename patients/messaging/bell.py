"""The doorbell: a worker hears at once that something is due. It carries nothing, and losing it only delays."""

from __future__ import annotations

import logging
import time

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)

# After the broker did not answer, requests do not wait for it again for so long; the sweep finds everything anyway.
RING_AGAIN_AFTER = 30.0
# Somebody waits for the page: one try, of a second at most.
_IMPATIENT = {"max_retries": 0, "socket_connect_timeout": 1, "socket_timeout": 1}
_deaf_until = 0.0


def nudge() -> None:
    """A worker looks for due messages now rather than within 15 seconds. Never fails: the sweep is the guarantee."""
    global _deaf_until
    if time.monotonic() < _deaf_until:
        return
    options = {**current_app.conf.broker_transport_options, **_IMPATIENT}
    try:
        with current_app.connection_for_write(transport_options=options) as line:
            current_app.send_task(
                "messaging.dispatch_due_messages", connection=line, retry=False, ignore_result=True, expires=60
            )
    except Exception as error:  # whatever a broker does, the act that rang it has happened
        _deaf_until = time.monotonic() + RING_AGAIN_AFTER
        logger.warning("The worker could not be rung (%s); the sweep finds the messages.", type(error).__name__)


def ring_on_commit() -> None:
    """Ring once when the transaction commits, however many messages it planned."""
    waiting = transaction.get_connection().run_on_commit
    if not any(nudge in entry for entry in waiting):
        transaction.on_commit(nudge, robust=True)
