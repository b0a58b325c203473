"""Draw random days with hypothesis; the simplest day is one on which nothing goes wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import strategies as st

from kst_scheduler.simulation import ClockJump, Crash, Freeze, Incident
from random_days.plan import CALM, MIDNIGHT, Day, JobPlan, Outage

QUARTERS = int((CALM - MIDNIGHT) / timedelta(minutes=15))
SECONDS = [0, -5, 1, 3, 20, 100, 400]
"""Incidents lie beside quarters of an hour, where jobs begin and end."""

OFFSETS = [0.0, 0.3, -0.3, 4.0, -4.0, 90.0, -90.0, 4000.0, -4000.0]
JUMPS = [1, -1, 100, -100, 1200, -1200, 11_000, -11_000, 36_000, -36_000]
LENGTHS = [5, 300, 1500, 2400, 6000, 15_000]
LASTING = [1, 15, 45, 120]
"""Minutes of an outage."""

KINDS = {
    "ledger": ["away", "slow", "deaf", "late", "down"],
    "Redis": ["away", "slow", "deaf", "emptied"],
}


@st.composite
def moments(draw: st.DrawFn) -> datetime:
    """Draw a moment at which something goes wrong."""
    quarter = draw(st.integers(1, QUARTERS - 1))
    seconds = draw(st.sampled_from(SECONDS))
    return MIDNIGHT + timedelta(minutes=15 * quarter, seconds=seconds)


@st.composite
def jobs(draw: st.DrawFn, *, blocks: bool) -> JobPlan:
    """Draw a job."""
    every_hours = draw(st.sampled_from([6, 0, 4, 2]))
    minute = 15 * draw(st.integers(0, 3 if every_hours else 4 * 18))
    return JobPlan(
        every_hours=every_hours,
        minute=minute,
        seconds=draw(st.sampled_from(LENGTHS)),
        guard=draw(st.sampled_from(["once", "once and lock", "lock"])),
        blocks=blocks and draw(st.booleans()),
        fails=draw(st.booleans()),
        window=draw(st.sampled_from([90, 15, 300])),
        repeatable=draw(st.booleans().map(lambda never: not never)),
    )


@st.composite
def troubles(draw: st.DrawFn, node: str, *, spare: bool) -> list[Incident]:
    """Draw what happens to one node; one that is spared always comes back."""
    edges = sorted(draw(st.lists(moments(), max_size=4, unique=True)))
    found: list[Incident] = []
    for begin, end in list(pairwise(edges))[::2]:
        kind = draw(st.sampled_from([Freeze, Crash]))
        found.append(kind(node, begin, end - begin))
    if len(edges) % 2 and not spare:
        found.append(Crash(node, edges[-1]))
    jumps = draw(st.lists(st.tuples(moments(), st.sampled_from(JUMPS)), max_size=2))
    return [*found, *(ClockJump(node, moment, seconds) for moment, seconds in jumps)]


@st.composite
def outages(draw: st.DrawFn) -> Outage:
    """Draw one outage of a server."""
    server = draw(st.sampled_from(sorted(KINDS)))
    start, minutes = draw(moments()), draw(st.sampled_from(LASTING))
    end = min(CALM, start + timedelta(minutes=minutes))
    return Outage(server, draw(st.sampled_from(KINDS[server])), start, end)


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Draw a day."""
    offsets = draw(st.lists(st.sampled_from(OFFSETS), min_size=2, max_size=5))
    blocks = draw(st.booleans())
    incidents: list[Incident] = []
    for node in "ABCDE"[: len(offsets)]:
        incidents += draw(troubles(node, spare=node == "A"))
    return Day(
        offsets=tuple(offsets),
        jobs=tuple(draw(st.lists(jobs(blocks=blocks), min_size=1, max_size=3))),
        incidents=tuple(incidents),
        outages=tuple(draw(st.lists(outages(), max_size=4))),
    )
