"""What one replica notes of a pause for the others, on every ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kst_scheduler.once.reconcile.pause_notes import Pause, note_pause, noted_pause
from ledgers import with_ledger
from replicas import night

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger

MARK = night(3)
PAUSE = Pause(night(3, 1), night(4))
DAY = timedelta(days=1)


@with_ledger
async def test_a_pause_counts_at_its_mark_only(ledger: Ledger) -> None:
    """Not before it was noted, not of another job, nor once another replica has moved the mark."""
    assert await noted_pause(ledger, "nps", MARK) is None
    await note_pause(ledger, "nps", MARK, PAUSE)
    assert await noted_pause(ledger, "nps", MARK) == PAUSE
    assert await noted_pause(ledger, "nps", MARK + DAY) is None
    assert await noted_pause(ledger, "other", MARK) is None


@with_ledger
async def test_each_note_takes_the_place_of_the_one_before(ledger: Ledger) -> None:
    """The pause goes on; the next one has another mark; and one by a clock ahead does not stay."""
    job_id = "n" * 500
    for mark, pause in [
        (MARK, PAUSE),
        (MARK, PAUSE._replace(end=night(5))),
        (MARK + DAY, Pause(PAUSE.start + DAY, PAUSE.end + DAY)),
        (MARK, PAUSE),
    ]:
        await note_pause(ledger, job_id, mark, pause)
        assert await noted_pause(ledger, job_id, mark) == pause
    assert await noted_pause(ledger, job_id, MARK + DAY) is None
