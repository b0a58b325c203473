from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.fire_times.iteration import one_by_one
from kst_scheduler.once.reconcile import fire_plan as module
from kst_scheduler.once.reconcile.fire_plan import FirePlan
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import at, cron, crontab, every

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from apscheduler.triggers.base import BaseTrigger

START = kst(2026, 5, 10)

triggers = st.sampled_from(
    [
        cron(minute="*/7"),
        cron(hour=3),
        every(minutes=11),
        at(START + timedelta(hours=5)),
        crontab("0 3 * * 0"),
    ]
)
minutes = st.integers(0, 5000)


@settings(max_examples=60)
@given(trigger=triggers, spans=st.lists(st.tuples(minutes, minutes), max_size=8))
def test_it_answers_as_fire_times_does(trigger: BaseTrigger, spans: list[tuple[int, int]]) -> None:
    """Whatever was asked before, forwards and backwards; a span that ends too early is empty."""
    plan = FirePlan(trigger)
    for begin, end in spans:
        first, last = START + timedelta(minutes=begin), START + timedelta(minutes=end)
        fires = [plan.moment(fire) for fire in asyncio.run(plan.between(first, last))]
        expected = fire_times(trigger, first, max(first, last))
        assert fires == expected.to_pydatetime().tolist()
        assert {str(fire.tzinfo) for fire in fires} <= {str(expected.tz)}


@pytest.mark.parametrize(("trigger", "most"), [(cron(hour=3), 4), (cron(minute="*"), 44)])
@in_loop
async def test_the_trigger_is_asked_now_and_then(
    monkeypatch: pytest.MonkeyPatch, trigger: BaseTrigger, most: int
) -> None:
    """Once a day, or once in a hundred fires: a thousand jobs cost next to nothing each minute."""
    asked: list[datetime] = []

    def counted(trigger: BaseTrigger, start: datetime, end: int) -> Iterator[int]:
        asked.append(start)
        return one_by_one(trigger, start, end)

    monkeypatch.setattr(module, "one_by_one", counted)
    plan = FirePlan(trigger)
    for minute in range(3 * 1440):
        begin = START + timedelta(minutes=minute)
        await plan.between(begin, begin + timedelta(minutes=1))
    assert len(asked) <= most


@pytest.mark.parametrize("hours", [1, 2, 3, 12, 23, 24, 25])
@in_loop
async def test_a_process_that_was_frozen_finds_all_fires_since(hours: int) -> None:
    """Also of a job of each minute, which is asked for less than two hours ahead."""
    plan = FirePlan(cron(minute="*"))
    await plan.between(START, START + timedelta(hours=1))
    begin = START + timedelta(hours=hours)
    assert len(await plan.between(begin, begin + timedelta(hours=1))) == 60


@in_loop
async def test_the_loop_goes_on_while_many_fires_are_asked_for() -> None:
    """A trigger is asked a hundred times in a row, and no more."""
    turns: list[int] = []

    async def turn() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    other = asyncio.create_task(turn())
    fires = await FirePlan(cron(minute="*")).between(START - timedelta(days=3), START)
    other.cancel()
    assert len(fires) == 3 * 1440
    assert len(turns) >= len(fires) // 100


def test_jitter_is_refused() -> None:
    """Replicas disagree about times that are drawn at random."""
    with pytest.raises(InvalidArgumentError, match="has jitter=30"):
        asyncio.run(FirePlan(cron(hour=3, jitter=30)).between(START, START))
