from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times import fire_times, fire_timestamps
from kst_scheduler.once.reconcile import fire_plan as module
from kst_scheduler.once.reconcile.fire_plan import FirePlan
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import at, cron, crontab, every

if TYPE_CHECKING:
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
        fires = [plan.moment(fire) for fire in plan.between(first, last)]
        expected = fire_times(trigger, first, max(first, last))
        assert fires == expected.to_pydatetime().tolist()
        assert {str(fire.tzinfo) for fire in fires} <= {str(expected.tz)}


def test_the_trigger_is_asked_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand jobs that are looked at every minute cost next to nothing."""
    asked: list[datetime] = []

    def counted(trigger: BaseTrigger, start: datetime, end: datetime) -> Any:
        asked.append(start)
        return fire_timestamps(trigger, start, end)

    monkeypatch.setattr(module, "fire_timestamps", counted)
    plan = FirePlan(cron(hour=3))
    for minute in range(3 * 1440):
        begin = START + timedelta(minutes=minute)
        plan.between(begin, begin + timedelta(minutes=1))
    assert len(asked) <= 4


def test_jitter_is_refused() -> None:
    """Replicas disagree about times that are drawn at random."""
    with pytest.raises(InvalidArgumentError, match="has jitter=30"):
        FirePlan(cron(hour=3, jitter=30)).between(START, START)
