"""The library's own loop, and spans and triggers to hold fire_times against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from hypothesis import strategies as st

from kst_scheduler.fire_times.instants import microseconds, moment_at
from kst_scheduler.fire_times.offsets import offset_changes
from kst_scheduler.fire_times.spans import fire_timestamps

SEOUL = ZoneInfo("Asia/Seoul")
NEW_YORK = ZoneInfo("America/New_York")
LONDON = ZoneInfo("Europe/London")

# Gaps and repeats of half an hour, of two hours, at midnight, over midnight, in Ramadan, of a day.
ODD_ZONES = [
    ZoneInfo(f"{area}")
    for area in (
        "Australia/Lord_Howe",
        "Antarctica/Troll",
        "America/Havana",
        "America/Sao_Paulo",
        "America/Nuuk",
        "Africa/Casablanca",
        "Pacific/Apia",
    )
]
MAX_FIRES = 120
"""Fires of one example; the library takes up to a tenth of a millisecond for each."""


def library_loop(trigger: Any, start: datetime, end: datetime, most: int) -> list[int]:
    """Ask the library, and return its answers between start and end as instants."""
    instants: list[int] = []
    fire = trigger.get_next_fire_time(None, start)
    while fire is not None and microseconds(fire) < microseconds(end) and len(instants) <= most:
        if microseconds(fire) >= microseconds(start):
            instants.append(microseconds(fire))
        fire = trigger.get_next_fire_time(fire, fire)
    return instants


def assert_equals_loop(trigger: Any, start: datetime, end: datetime, most: int = MAX_FIRES) -> None:
    """Assert equality; beyond ``most`` fires the span is cut short."""
    expected = library_loop(trigger, start, end, most)
    if len(expected) > most:
        end = moment_at(expected.pop())
        expected = [instant for instant in expected if instant < microseconds(end)]
    assert fire_timestamps(trigger, start, max(start, end)).tolist() == expected


@st.composite
def spans(draw: st.DrawFn, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Draw a span; most begin or end on a day on which the zone's clocks change."""
    begins, ends = sorted((draw(_moments(zone)), draw(_moments(zone))))
    start = begins.astimezone(draw(st.sampled_from([zone, UTC, SEOUL])))
    if draw(st.booleans()) and start.tzinfo is zone:
        # Any clock time, existing or not, in either pass of an hour that is repeated.
        start = start.replace(hour=draw(st.integers(0, 3)), fold=draw(st.integers(0, 1)))
    return start, max(start.astimezone(UTC), ends).astimezone(zone)


@st.composite
def _moments(draw: st.DrawFn, zone: ZoneInfo) -> datetime:
    years = (
        microseconds(datetime(2009, 1, 1, tzinfo=UTC)),
        microseconds(datetime(2031, 1, 1, tzinfo=UTC)),
    )
    changes = [change.at for change in offset_changes(zone, *years)] or [years[0]]
    near = moment_at(draw(st.sampled_from(changes)))
    minutes = draw(st.one_of(st.integers(-150, 150), st.integers(-5000, 400_000)))
    moved = near + timedelta(minutes=minutes)
    return moved + timedelta(microseconds=draw(st.sampled_from([0, 0, 1, 999_999])))


def _numbers(low: int, high: int) -> st.SearchStrategy[str]:
    """Draw what every field takes: values, lists, ranges and steps."""
    pairs = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    return st.one_of(
        st.integers(low, high).map(str),
        st.lists(st.integers(low, high), min_size=1, max_size=4).map(
            lambda values: ",".join(map(str, values))
        ),
        pairs.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.integers(1, high - low).map(lambda step: f"*/{step}"),
        st.tuples(pairs, st.integers(1, 59)).map(_stepped),
    )


def _stepped(drawn: tuple[list[int], int]) -> str:
    (first, last), step = drawn
    return f"{first}-{last}/{min(step, last - first)}" if last > first else str(first)


_PLACES = ["1", "last", "2nd mon", "last fri", "1st sun", "2nd sun", "last sun", "5th sat", "31"]
_WEEKDAYS = ["mon", "tue", "sun", "mon-fri", "sat,sun"]
FIELDS = {
    "year": st.sampled_from(["*/2", "2012-2024/3", "2026"]),
    "month": _numbers(1, 12),
    "day": st.sampled_from(_PLACES) | _numbers(1, 31),
    "week": _numbers(1, 53),
    "day_of_week": st.sampled_from(_WEEKDAYS) | _numbers(0, 6),
    "hour": st.sampled_from(["0", "1", "2", "3", "0,1", "23", "*"]) | _numbers(0, 23),
    "minute": st.sampled_from(["0", "30", "*"]) | _numbers(0, 59),
    "second": st.sampled_from(["0", "59", "*/30"]),
}
_OFTEN = {"hour": 9, "minute": 6, "day_of_week": 4, "day": 4, "month": 3, "second": 2}


@st.composite
def crons(draw: st.DrawFn, zone: ZoneInfo, near: datetime, *, dates: bool = True) -> CronTrigger:
    """Draw a CronTrigger whose dates lie around ``near``.

    Its end date is never left out: without one, the library's loop takes seconds over sets that no
    date matches.
    """
    names = [name for name in FIELDS if draw(st.integers(1, 10)) <= _OFTEN.get(name, 1)]
    fields = {name: draw(FIELDS[name]) for name in names or ["hour"]}
    trigger = CronTrigger(**fields, timezone=zone, end_date=datetime(2035, 1, 1, tzinfo=UTC))
    if dates and draw(st.integers(1, 4)) == 1:
        minutes = timedelta(minutes=draw(st.integers(-3000, 50_000)))
        trigger.start_date = (near + minutes).astimezone(zone)
    if dates and draw(st.integers(1, 4)) == 1:
        trigger.end_date = draw(_moments(zone)).astimezone(zone)
    return trigger
