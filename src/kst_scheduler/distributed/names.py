"""What the queue, and what waits in it, is called: each namespace of a ledger has a queue.

All queues of a database are in one table of Procrastinate. Its locks hold for the whole table, so
they carry the namespace as well.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from procrastinate import App

    from kst_scheduler.scheduler.occurrence import Occurrence

TASK: Final = "kst_scheduler.run"
QUEUE: Final = "kst_scheduler"
MAX_BYTES: Final = 40
"""Of a queue's name: it is part of a channel of NOTIFY, which has 63 bytes (NAMEDATALEN), after
"procrastinate_queue_v1#"; checked on procrastinate 3.10.0."""


def queue_name(namespace: str) -> str:
    """Return the name of a namespace's queue; a long namespace is in it as a hash."""
    if not namespace:
        return QUEUE
    name = f"{QUEUE}/{namespace}"
    if len(name.encode()) <= MAX_BYTES:
        return name
    return f"{QUEUE}/{sha256(namespace.encode()).hexdigest()}"[:MAX_BYTES]


def queue_of(app: App) -> str:
    """Return the name of the queue of an app of ``task_app``."""
    return app.tasks[TASK].queue


def lock_of(app: App, occurrence: Occurrence) -> str:
    """Return by which name the tasks of an occurrence exclude each other."""
    queue = queue_of(app)
    return occurrence.key if queue == QUEUE else f"{queue}: {occurrence.key}"
