from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.ledger.clock_watch import ClockWatch, Reading, clock_watch, was_in_time
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = datetime(2026, 5, 10, 12, tzinfo=UTC)
MONTH = 30 * 86_400


def reading(counted: float, ahead: float = 0, took: float = 0) -> Reading:
    """Return what a clock shows that is so many seconds ahead, and was read for so long."""
    shown = NOON + timedelta(seconds=counted + ahead)
    return Reading(shown, counted - took / 2, counted + took / 2)


def trusted(readings: Sequence[Reading]) -> list[bool]:
    """Return for each reading whether it may be acted on."""
    watch = ClockWatch()
    return [watch.add_reading(each) for each in readings]


def test_a_clock_that_goes_on_is_trusted() -> None:
    """Also where it is slewed, or a reading took its time."""
    assert all(trusted([reading(60 * minute) for minute in range(100)]))
    assert all(trusted([reading(60 * minute, 5 * minute) for minute in range(100)]))
    assert all(trusted([reading(0), reading(60, 1.9), reading(120, 0)]))
    assert all(trusted([reading(0), reading(60, -20, took=50), reading(120)]))
    assert all(trusted([reading(0), reading(86_400)]))


@pytest.mark.parametrize("ahead", [MONTH, -MONTH, 3600, -3600, 200, -200])
def test_a_clock_that_was_set_is_trusted_after_a_while(ahead: float) -> None:
    """Not on the look that notices it, and not before it has stood for 15 minutes."""
    later = [reading(60 * minute, ahead) for minute in range(1, 20)]
    assert trusted([reading(0), *later]) == [True, *[False] * 15, *[True] * 4]


@pytest.mark.parametrize("ahead", [MONTH, -3600])
def test_a_clock_that_is_back_is_trusted_at_once(ahead: float) -> None:
    """It was wrong for ten minutes."""
    wrong = [reading(60 * minute, ahead) for minute in range(1, 11)]
    assert trusted([reading(0), *wrong, reading(660)]) == [True, *[False] * 10, True]


def test_a_clock_that_is_set_again_and_again_has_to_stand() -> None:
    """Each time anew."""
    restless = [reading(60 * minute, 3600 * minute) for minute in range(1, 40)]
    assert trusted([reading(0), *restless]) == [True, *[False] * 39]


def test_what_a_clock_has_shown_is_counted_on_from_the_last_reading() -> None:
    """A clock that nobody has read has shown nothing."""
    watch = ClockWatch()
    assert not watch.has_shown(NOON - timedelta(days=1), 0)
    assert watch.add_reading(reading(60, took=2))
    assert watch.has_shown(NOON + timedelta(seconds=60), 61)
    assert watch.has_shown(NOON + timedelta(seconds=99), 100)
    assert not watch.has_shown(NOON + timedelta(seconds=100), 100)
    assert not watch.add_reading(reading(120, MONTH))
    assert not watch.has_shown(NOON + timedelta(days=1), 120)


def test_how_long_it_was_steady() -> None:
    """From where it stands again, which is not where that was trusted."""
    watch = ClockWatch()
    assert watch.add_reading(reading(0))
    assert watch.add_reading(reading(60))
    assert watch.steady_for == timedelta(seconds=60)
    assert watch.is_steady_for(timedelta(days=1))  # it was never set
    for minute in range(2, 18):
        watch.add_reading(reading(60 * minute, MONTH))
    assert watch.steady_for == timedelta(minutes=15)
    assert not watch.is_steady_for(timedelta(minutes=16))
    assert watch.add_reading(reading(60 * 18, MONTH))
    assert watch.is_steady_for(timedelta(minutes=16))


def test_since_when_it_was_steady() -> None:
    """What it showed then, however long the answer of a later reading took."""
    watch = ClockWatch()
    assert watch.steady_since is None
    watch.add_reading(reading(0))
    watch.add_reading(Reading(NOON + timedelta(hours=1), 3600, 3 * 3600))
    assert watch.steady_since == NOON
    for minute in range(181, 200):
        watch.add_reading(reading(60 * minute, MONTH))
    assert watch.steady_since == NOON + timedelta(minutes=181, seconds=MONTH)


@pytest.mark.parametrize(
    ("late", "is_in_time"),
    [(timedelta(minutes=15), False), (timedelta(minutes=15, seconds=1), True)],
)
@in_loop
async def test_a_row_stands_from_15_minutes_after_its_time_on(
    late: timedelta, is_in_time: bool
) -> None:
    """Before, the clock may have been ahead when it was written, and a claim is in time."""

    class Ledger(MemoryLedger):
        async def now(self) -> datetime:
            return scheduled_at + late

    ledger, at, scheduled_at = Ledger(), asyncio.get_running_loop().time(), NOON
    row = await ledger.record_missed(Occurrence("nps", scheduled_at), "late", "A")
    assert row is not None
    watch, hour = clock_watch(ledger), timedelta(hours=1)
    assert watch.add_reading(Reading(NOON, at - 3_600, at - 3_600))
    assert watch.add_reading(Reading(NOON + hour, at, at))
    assert await was_in_time(ledger, replace(row, written_at=NOON + hour)) is is_in_time
