"""From when and until when a job was paused where it was looked at last, noted for other replicas.

A replica that was paused, too, reads it when its own pause ends. The notes stand beside the marks
of what was looked at, under three names for each job, which each pause writes anew. They count only
until another replica moves the job's own mark on.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from kst_scheduler.ledger import Ledger


class Pause(NamedTuple):
    """A time in which what was due of a job has left no row, as the job was paused."""

    start: datetime
    end: datetime


async def note_pause(ledger: Ledger, job_id: str, mark: datetime, pause: Pause) -> None:
    """Note a pause of a job whose mark this replica was the last to move on.

    The mark comes last: until then, no other replica takes the times for those of this pause.
    """
    for name, moment in zip(_names(job_id), (*pause, mark), strict=True):
        seen = await ledger.watermark(name)
        if seen is not None and moment < seen:  # a clock that was ahead has noted it
            await ledger.reset_watermark(name, seen, moment)
        elif moment != seen:
            await ledger.advance_watermark(name, moment)


async def noted_pause(ledger: Ledger, job_id: str, mark: datetime) -> Pause | None:
    """Return the pause that was noted at this mark, if one was."""
    *times, at = _names(job_id)
    if await ledger.watermark(at) != mark:
        return None
    start, end = [await ledger.watermark(name) for name in times]
    return Pause(start, end) if start is not None and end is not None else None


def _names(job_id: str) -> tuple[str, str, str]:
    """Return names of one length, as a job's own name may be as long as names can be."""
    name = hashlib.sha256(job_id.encode()).hexdigest()
    return f"paused from:{name}", f"paused until:{name}", f"paused at mark:{name}"
