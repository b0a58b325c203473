"""Delete old rows in batches, however many there are: each batch is one short transaction.

One DELETE of millions of rows would run into the limit of a statement, be rolled back, and be begun
again by every look. In SQLite it would keep all other replicas from writing meanwhile:

    this replica:  delete 5,000 | pause   | delete 5,000 | pause   | ...
    another one:   wait ........| claim   | wait ........| claim   |

SQLite's busy handler tries again after 100 ms at the latest (sqliteDefaultBusyCallback), so the
pause, which is longer, is when it finds the file free.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Final

from kst_scheduler.ledger import statements
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from kst_scheduler.ledger.database import Database

BATCH: Final = 5_000
"""Rows of one DELETE: some tens of milliseconds."""
PAUSES: Final = {"sqlite": 0.15, "postgresql": 0.0}
"""Seconds between two batches; PostgreSQL locks the rows of a batch, and nobody else wants them."""


async def delete_old(
    database: Database, namespace: str, before: datetime, limit: int | None
) -> int:
    """Delete ended rows scheduled before a moment, the oldest first; return how many.

    What a batch has deleted stays deleted where a later one fails.
    """
    deleted, since = 0, datetime.min.replace(tzinfo=UTC)
    while True:
        size = BATCH if limit is None else min(BATCH, limit - deleted)
        # From where the last batch ended: the rows before it are gone, but an index keeps their
        # entries until they are vacuumed, and each batch would read them all again.
        parameters = {"namespace": namespace, "since": since, "before": before, "batch": size}
        gone = await database.fetch(statements.DELETE_OLD, parameters)
        deleted += len(gone)
        if len(gone) < BATCH:
            return deleted
        since = max(row.scheduled_at for row in gone)
        await asyncio.sleep(PAUSES[database.dialect])
