from __future__ import annotations

import gc
import itertools
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st
from lessons import NIGHT, nothing, plain_scheduler

from kst_scheduler.simulation import simulate
from kst_scheduler.simulation.fast_triggers import (
    ASKED_OFTEN,
    MEMOS_BEFORE_A_LOOK,
    TABLE_SPAN,
    fast_triggers,
)
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES = [KST, ZoneInfo("America/New_York"), ZoneInfo("Europe/London")]

number = st.integers(0, 23)
field = st.one_of(
    st.just("*"),
    number.map(str),
    st.integers(1, 12).map("*/{}".format),
    st.lists(number, min_size=1, max_size=4).map(lambda values: ",".join(map(str, values))),
)
weekday = st.sampled_from(["*", "mon-fri", "sun", "tue,thu"])
moment = st.datetimes(datetime(2025, 12, 1), datetime(2027, 2, 1), timezones=st.sampled_from(ZONES))  # noqa: DTZ001


@settings(deadline=None, max_examples=150)
@given(
    hour=field,
    minute=field,
    day_of_week=weekday,
    zone=st.sampled_from(ZONES),
    start_date=st.none() | moment,
    end_date=st.none() | moment,
    now=moment,
    steps=st.lists(st.sampled_from(["same", "late", "early", "restart"]), max_size=60),
)
def test_answers_are_the_librarys(
    hour: str,
    minute: str,
    day_of_week: str,
    zone: ZoneInfo,
    start_date: datetime | None,
    end_date: datetime | None,
    now: datetime,
    steps: list[str],
) -> None:
    """Asked as a scheduler asks, and asked oddly, a fast trigger says what the library's says."""

    def trigger() -> CronTrigger:
        return CronTrigger(
            hour=hour,
            minute=minute,
            day_of_week=day_of_week,
            timezone=zone,
            start_date=start_date,
            end_date=end_date,
        )

    plain, fast = trigger(), trigger()
    library = CronTrigger.get_next_fire_time
    previous = None
    with fast_triggers():
        for step in ["same"] * (ASKED_OFTEN + 5) + steps:
            asked_at = now + timedelta(hours={"late": 30, "early": -30}.get(step, 0))
            previous = None if step == "restart" else previous
            expected = library(plain, previous, asked_at)
            # A scheduler asks twice, with the same objects.
            answers = [fast.get_next_fire_time(previous, asked_at) for _ in range(2)]
            assert [_wall(answer) for answer in answers] == [_wall(expected)] * 2
            previous = expected
            now = now if previous is None else max(now, previous)
    assert CronTrigger.get_next_fire_time is library


@pytest.mark.parametrize("length", [timedelta(0), TABLE_SPAN])
def test_a_long_chain_is_the_librarys(length: timedelta) -> None:
    """Every fire of a month, one after the other, is the library's, also after the end."""
    trigger = CronTrigger(minute="*/10", day_of_week="mon-fri", timezone=KST)
    library = CronTrigger.get_next_fire_time
    fire = expected = trigger.get_next_fire_time(None, kst(2026, 5, 1))
    with fast_triggers(length):
        while expected < kst(2026, 6, 1):
            expected = library(trigger, expected, expected)
            fire = trigger.get_next_fire_time(fire, fire)
            assert fire == expected


def test_jitter_is_left_to_the_library() -> None:
    """A trigger with jitter is never answered from a table."""
    trigger = CronTrigger(minute="*", jitter=20, timezone=KST)
    with fast_triggers():
        fire = trigger.get_next_fire_time(None, kst(2026, 5, 1))
        fires = set()
        for _ in range(ASKED_OFTEN * 3):
            fire = trigger.get_next_fire_time(fire, fire)
            fires.add(fire.second)
    assert len(fires) > 1


class _HalfAnHourLater(CronTrigger):  # type: ignore[misc] # the library is untyped
    """Fires half an hour after the fields match: it calls the base class with other arguments."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        later = timedelta(minutes=30)
        fire: datetime | None
        fire = super().get_next_fire_time(previous and previous - later, now - later)
        return fire and fire + later


class _NotAtNoon(CronTrigger):  # type: ignore[misc] # the library is untyped
    """Leaves some fires of the base class out."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        fire: datetime | None = super().get_next_fire_time(previous, now)
        while fire is not None and fire.hour == 12:
            fire = super().get_next_fire_time(fire, fire)
        return fire


class _SameRule(CronTrigger):  # type: ignore[misc] # the library is untyped
    """Adds a name, and keeps the rule."""


class _AlwaysOnTheHour(CronTrigger):  # type: ignore[misc] # the library is untyped
    """Keeps the rule, and replaces a step of it: each fire is at the full hour."""

    def _set_field_value(self, dateval: Any, fieldnum: int, new_value: int) -> Any:
        moment = super()._set_field_value(dateval, fieldnum, new_value)
        return moment.replace(minute=0)


@pytest.mark.parametrize(
    "make", [_HalfAnHourLater, _NotAtNoon, _SameRule, _AlwaysOnTheHour, CronTrigger]
)
def test_a_subclass_is_never_answered_from_the_memo_of_its_base(
    make: Callable[..., CronTrigger],
) -> None:
    """Its own rule may call the base class with other arguments, as often as it likes."""
    plain, fast = make(minute="0,20", timezone=KST), make(minute="0,20", timezone=KST)
    fires, expected = [NIGHT], [NIGHT]
    for _ in range(ASKED_OFTEN * 4):
        expected.append(plain.get_next_fire_time(expected[-1], expected[-1]))
    with fast_triggers():
        for _ in range(ASKED_OFTEN * 4):
            fires.append(fast.get_next_fire_time(fires[-1], fires[-1]))
    assert fires == expected


def test_a_subclass_has_the_rows_that_its_rule_gives() -> None:
    """Every hour at half past, for a whole day."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(nothing, _HalfAnHourLater(minute=0, timezone=KST), id="half past")

    runs = simulate(register, NIGHT, NIGHT + timedelta(days=1)).runs
    assert list(runs["scheduled_at"]) == [
        NIGHT + timedelta(hours=hour, minutes=30) for hour in range(24)
    ]


def _half_past() -> CronTrigger:
    return CronTrigger(minute=30, timezone=KST)


@pytest.mark.parametrize(
    "change",
    [
        lambda trigger: setattr(trigger, "fields", _half_past().fields),
        lambda trigger: trigger.fields.__setitem__(6, _half_past().fields[6]),
        lambda trigger: setattr(trigger, "timezone", ZoneInfo("Asia/Kolkata")),  # half an hour off
        lambda trigger: setattr(trigger, "end_date", NIGHT + timedelta(hours=20)),
        lambda trigger: setattr(trigger, "start_date", NIGHT + timedelta(hours=40)),
        lambda trigger: trigger.__setstate__(_half_past().__getstate__()),
    ],
)
def test_a_trigger_that_is_changed_answers_as_it_is_now(
    change: Callable[[CronTrigger], object],
) -> None:
    """A memo of what it was before is of no use."""
    plain, fast = CronTrigger(minute=0, timezone=KST), CronTrigger(minute=0, timezone=KST)
    library = CronTrigger.get_next_fire_time
    previous = NIGHT
    with fast_triggers():
        for step in range(ASKED_OFTEN * 4):
            if step == ASKED_OFTEN * 2:
                change(plain)
                change(fast)
            expected = library(plain, previous, previous)
            assert fast.get_next_fire_time(previous, previous) == expected
            previous = expected or previous


def _memos() -> int:
    return sum(type(each).__name__ == "_Memo" for each in gc.get_objects())


def test_memos_of_triggers_that_are_gone_are_dropped() -> None:
    """A job store that unpickles makes a new trigger each time that it is read."""
    counts, runs = [], itertools.count()

    def count(_event: Any) -> None:
        gc.collect()  # jobs refer to themselves, and when they go is Python's own affair
        if next(runs) % 60 == 59:  # it looks at every object of the process
            counts.append(_memos())

    def register(scheduler: Any) -> None:
        scheduler.add_job(nothing, "cron", minute="*", id="minutely")
        scheduler.add_job(nothing, "cron", hour="*/6", id="six-hourly")
        scheduler.add_listener(count, 2**12)

    store = SQLAlchemyJobStore(url="sqlite://")
    gc.freeze()  # what is older is not looked through each time
    simulate(
        register,
        NIGHT,
        NIGHT + timedelta(hours=6),
        scheduler=lambda: plain_scheduler(jobstores={"default": store}),
    )
    assert len(counts) == 6
    assert max(counts) <= 2 * MEMOS_BEFORE_A_LOOK


def test_memos_of_triggers_in_use_are_kept() -> None:
    """Of more triggers than there are memos before the first look, each keeps its own."""
    triggers = [CronTrigger(minute="*", timezone=KST) for _ in range(3 * MEMOS_BEFORE_A_LOOK)]
    fires = [NIGHT] * len(triggers)
    asked = []
    library = CronTrigger.get_next_fire_time

    def count(*arguments: Any) -> Any:
        asked.append(arguments)
        return library(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kst_scheduler.simulation.fast_triggers._library_answer", count)
        with fast_triggers():
            for step in range(ASKED_OFTEN * 2):
                if step == ASKED_OFTEN:
                    asked.clear()  # from here on each has its table
                fires = [
                    trigger.get_next_fire_time(fire, fire)
                    for trigger, fire in zip(triggers, fires, strict=True)
                ]
    assert set(fires) == {NIGHT + timedelta(minutes=ASKED_OFTEN * 2)}
    assert not asked


def _wall(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.isoformat()} fold={moment.fold}"
