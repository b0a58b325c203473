from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytz
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from loop_oracle import NEW_YORK, SEOUL

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.fire_times.spans import fire_times, fire_timestamps
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import at, cron

DAILY = cron(hour=3, minute=0)
START, END = kst(2026, 5, 10), kst(2026, 5, 12)


def test_the_index_is_in_the_triggers_zone() -> None:
    """The zone is the trigger's, whatever zones the span is given in, and the unit is us."""
    found = fire_times(DAILY, START.astimezone(NEW_YORK), END.astimezone(UTC))
    assert found.dtype == pd.DatetimeTZDtype("us", SEOUL)
    assert found.to_pydatetime().tolist() == [kst(2026, 5, 10, 3), kst(2026, 5, 11, 3)]


def test_the_start_is_inclusive_and_the_end_is_not() -> None:
    """A fire at the start is in, one at the end is out; a microsecond moves either."""
    first, last, bit = kst(2026, 5, 10, 3), kst(2026, 5, 11, 3), timedelta(microseconds=1)
    assert fire_times(DAILY, first, last).day.tolist() == [10]
    assert fire_times(DAILY, first + bit, last).day.tolist() == []
    assert fire_times(DAILY, first, last + bit).day.tolist() == [10, 11]


def test_timestamps_are_the_same_times_as_integers() -> None:
    """fire_timestamps has microseconds since 1970, as the table of runs has."""
    found = fire_timestamps(DAILY, START, END)
    assert found.dtype == np.int64
    assert found.tolist() == [microseconds(moment) for moment in fire_times(DAILY, START, END)]


@pytest.mark.parametrize("trigger", [DAILY, at(START), OrTrigger([]), cron(year=2020)], ids=str)
def test_nothing_is_an_empty_index(trigger: Any) -> None:
    """An empty span, and a span without fires, give an index of the same kind."""
    for found in (
        fire_times(trigger, START, START),
        fire_times(trigger, START + timedelta(hours=4), START + timedelta(hours=5)),
    ):
        assert isinstance(found, pd.DatetimeIndex)
        assert len(found) == 0
        assert found.dtype == pd.DatetimeTZDtype("us", SEOUL)


@pytest.mark.parametrize(
    ("trigger", "zone"),
    [
        (CronTrigger(hour=3, timezone=timezone(timedelta(hours=9))), "UTC+09:00"),
        (DateTrigger(pytz.timezone("America/New_York").localize(datetime(2026, 5, 10))), "America"),  # noqa: DTZ001
        (OrTrigger([CronTrigger(hour=3, timezone=NEW_YORK), DAILY]), "America/New_York"),
        (OrTrigger([]), "Asia/Seoul"),
    ],
    ids=str,
)
def test_every_trigger_has_a_zone(trigger: Any, zone: str) -> None:
    """A fixed offset, a date's own zone, the first part's, and else the zone of the start."""
    assert str(fire_times(trigger, START, END).tz).startswith(zone)


@pytest.mark.parametrize("name", ["start", "end"])
def test_naive_ends_are_refused(name: str) -> None:
    """The message names the argument and the call to write instead."""
    span = {"start": START, "end": END} | {name: datetime(2026, 5, 11)}  # noqa: DTZ001
    with pytest.raises(NaiveDatetimeError, match=rf"^{name}=.*write kst\(2026, 5, 11\)"):
        fire_times(DAILY, **span)


def test_an_end_before_the_start_is_refused() -> None:
    """The message shows both, and says to swap them."""
    with pytest.raises(InvalidArgumentError, match=r"end=2026-05-10.*start=2026-05-12.*swap"):
        fire_times(DAILY, END, START)


@pytest.mark.parametrize(
    "trigger",
    [cron(hour=3, minute=0, jitter=30), OrTrigger([DAILY, cron(hour=4, minute=0, jitter=30)])],
    ids=["itself", "a part"],
)
def test_jitter_is_refused(trigger: Any) -> None:
    """Times drawn at random are no schedule; a part's jitter is found too."""
    for function in (fire_times, fire_timestamps):
        with pytest.raises(
            InvalidArgumentError, match=r"jitter=30.*write the same trigger without"
        ):
            function(trigger, START, END)


def test_what_is_no_trigger_is_refused() -> None:
    """A crontab line, say; the message says what to write."""
    with pytest.raises(InvalidArgumentError, match=r"'0 3 \* \* \*' is not a trigger; write"):
        fire_times("0 3 * * *", START, END)
