from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING
from weakref import ref

import pytest

from in_loop import in_loop
from kst_scheduler.scheduler import kept_writes as kept_writes_module
from kst_scheduler.scheduler.kept_writes import KeptWrites, LedgerJob, kept_writes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def writing(done: list[str], name: str, *, away: set[str]) -> Callable[[], Awaitable[bool]]:
    """Return a write to a place that may be away."""

    async def write() -> bool:
        done.append(name)
        return name[0] not in away

    return write


@in_loop
async def test_a_place_that_is_away_is_tried_once_and_the_others_are_not_held_up() -> None:
    """Each write to it may take ten seconds to fail."""
    done: list[str] = []
    kept, away = KeptWrites(), {"a"}
    for name in ("a1", "a2", "b1", "a3", "b2"):
        assert kept.keep(LedgerJob(name[0], "nps"), name, writing(done, name, away=away))
    await kept.try_all()
    assert done == ["a1", "b1", "b2"]
    assert len(kept) == 3
    away.clear()
    await kept.try_all()
    assert done[3:] == ["a1", "a2", "a3"]
    assert len(kept) == 0


@in_loop
async def test_a_later_write_takes_the_place_of_one_of_its_name() -> None:
    """A row has one end."""
    done: list[str] = []
    kept = KeptWrites()
    kept.keep(LedgerJob("a", "nps"), 1, writing(done, "first", away=set()))
    kept.keep(LedgerJob("a", "nps"), 1, writing(done, "second", away=set()))
    await kept.try_all()
    assert done == ["second"]


@in_loop
async def test_the_last_try_of_a_drain_has_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    """And says what is left."""

    async def write() -> bool:
        await asyncio.Event().wait()
        return True

    kept = KeptWrites()
    kept.keep(LedgerJob("a", "nps"), 1, write)
    clock = asyncio.get_running_loop().time
    began = clock()
    await kept.try_at_the_end(began + 0.01)
    assert clock() - began < kept_writes_module.LAST_WRITE_SECONDS
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("1 outcome(s) are not written, and are lost when this")


def test_what_is_kept_ends_with_its_loop() -> None:
    """A process that runs loop after loop, as a simulation of many days does, keeps none of it."""

    async def main() -> ref[KeptWrites]:
        kept = kept_writes()
        kept.keep(LedgerJob("a", "nps"), 1, writing([], "a", away={"a"}))
        assert kept_writes() is kept
        return ref(kept)

    found = asyncio.run(main())
    gc.collect()
    assert found() is None


@in_loop
async def test_a_job_is_settled_when_no_outcome_of_it_waits() -> None:
    """Those of other jobs are tried, too, but not waited for."""
    done: list[str] = []
    kept, away = KeptWrites(), {"a"}
    nps, other, elsewhere = LedgerJob("a", "nps"), LedgerJob("a", "other"), LedgerJob("b", "nps")
    kept.keep(nps, "a1", writing(done, "a1", away=away))
    assert not await kept.write_pending(nps)
    assert not kept.are_written("a")
    assert await kept.write_pending(other)
    assert await kept.write_pending(elsewhere)
    assert kept.are_written("b")
    away.clear()
    assert await kept.write_pending(nps)
    assert kept.are_written("a")


@in_loop
async def test_a_claim_waits_for_an_outcome_that_is_being_written() -> None:
    """And no longer: also where the write ends by an error."""
    kept, nps = KeptWrites(), LedgerJob("a", "nps")
    with kept.writing(nps):
        assert not kept.is_written(nps)
        assert not kept.are_written("a")
        claim = asyncio.create_task(kept.write_pending(nps))
        await asyncio.sleep(0)
        assert not claim.done()
    assert await claim
    with pytest.raises(KeyError), kept.writing(nps):
        raise KeyError
    assert kept.is_written(nps)
