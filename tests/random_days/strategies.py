"""Draw random days with hypothesis; the simplest day is one on which nothing goes wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from hypothesis import strategies as st

from kst_scheduler.simulation import ClockJump, Crash, Freeze, Incident
from random_days.aimed import AIMED, with_aimed_faults
from random_days.plan import CALM, END, MIDNIGHT, Day, JobPlan, Outage, Pause, WrongClock

QUARTERS = int((CALM - MIDNIGHT) / timedelta(minutes=15))
SECONDS = [0, -5, 1, 3, 20, 100, 400]
"""Incidents lie beside quarters of an hour, where jobs begin and end."""

OFFSETS = [0.0, 0.3, -0.3, 4.0, -4.0, 90.0, -90.0, 4000.0, -4000.0]
JUMPS = [1, -1, 100, -100, 1200, -1200, 11_000, -11_000, 36_000, -36_000]
LENGTHS = [5, 300, 1500, 2400, 6000, 15_000]
LASTING = [1, 15, 45, 120]
"""Minutes of an outage."""

KINDS = {
    "ledger": ["away", "slow", "deaf", "late", "down", "read-only"],
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
        hostile=draw(st.booleans()),
        kills=blocks and draw(st.sampled_from([False, False, False, True])),
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
def pauses(draw: st.DrawFn, nodes: str, names: list[str]) -> Pause:
    """Draw a pause of one job on one node."""
    start, hours = draw(moments()), draw(st.sampled_from([1, 3, 9]))
    end = min(CALM, start + timedelta(hours=hours))
    return Pause(draw(st.sampled_from(nodes)), draw(st.sampled_from(names)), start, end)


@st.composite
def wrong_clocks(draw: st.DrawFn) -> WrongClock:
    """Draw a clock that is wrong for less than a clock that was set is doubted."""
    start, minutes = draw(moments()), draw(st.sampled_from([1, 10, 14]))
    seconds = draw(st.sampled_from([7200, -7200, 300, -300, 11_000, -11_000]))
    return WrongClock(start, start + timedelta(minutes=minutes), seconds)


def _with_pauses(draw: st.DrawFn, day: Day) -> Day:
    """Add pauses; the clocks are almost right, as a replica hours behind is not heard of."""
    offsets = tuple(offset if abs(offset) < 60 else 0.0 for offset in day.offsets)
    calm = tuple(each for each in day.incidents if not isinstance(each, ClockJump))
    one = pauses("ABCDE"[: len(offsets)], list(day.named_jobs()))
    drawn = draw(st.lists(one, min_size=1, max_size=4, unique_by=lambda each: each.node))
    return replace(day, offsets=offsets, incidents=calm, pauses=tuple(drawn))


def _with_a_wrong_clock(draw: st.DrawFn, day: Day) -> Day:
    """Add a clock that is wrong for a while: the ledger's, and perhaps that of all nodes."""
    wrong = draw(wrong_clocks())
    if not draw(st.booleans()):
        return replace(day, wrong_clocks=(wrong,))
    jumps = [
        ClockJump(node.name, moment, seconds)
        for node in day.nodes()
        for moment, seconds in ((wrong.start, wrong.seconds), (wrong.end, -wrong.seconds))
    ]
    calm = [each for each in day.incidents if not isinstance(each, ClockJump)]
    return replace(day, incidents=(*calm, *jumps), wrong_clocks=(wrong,))


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Draw a day."""
    offsets = draw(st.lists(st.sampled_from(OFFSETS), min_size=2, max_size=5))
    blocks = draw(st.booleans())
    incidents: list[Incident] = []
    for node in "ABCDE"[: len(offsets)]:
        incidents += draw(troubles(node, spare=node == "A"))
    day = Day(
        offsets=tuple(offsets),
        jobs=tuple(draw(st.lists(jobs(blocks=blocks), min_size=1, max_size=3))),
        incidents=tuple(incidents),
        outages=tuple(draw(st.lists(outages(), max_size=4))),
    )
    day = with_aimed_faults(draw, day)
    kind = draw(st.sampled_from(["plain", "pauses", "wrong clock"]))
    if kind == "pauses":
        return _with_pauses(draw, day)
    return _with_a_wrong_clock(draw, day) if kind == "wrong clock" else day


SMALL: Final = [0.0, 0.3, -0.3, 4.0, -4.0]
"""Offsets of clocks that are almost right."""


@st.composite
def calm_days(draw: st.DrawFn, faults: int) -> Day:
    """Draw a day on which nothing goes wrong, or so many things."""
    offsets = tuple(draw(st.lists(st.sampled_from(SMALL), min_size=2, max_size=4)))
    blocks = faults > 0 and draw(st.booleans())
    day = Day(offsets, tuple(draw(st.lists(jobs(blocks=blocks), min_size=1, max_size=3))), (), ())
    for _ in range(faults):
        day = draw(st.sampled_from(FAULTS))(draw, day)
    return day


def _with_an_incident(draw: st.DrawFn, day: Day) -> Day:
    """Freeze a node, stop it for a while or for good, or set its clock."""
    node, at = draw(st.sampled_from([node.name for node in day.nodes()])), draw(moments())
    lasts = timedelta(minutes=draw(st.sampled_from([1, 15, 45, 120])))
    kinds: list[Incident] = [Freeze(node, at, lasts), Crash(node, at, lasts), Crash(node, at)]
    kinds += [ClockJump(node, at, draw(st.sampled_from(JUMPS)))]
    return replace(day, incidents=(*day.incidents, draw(st.sampled_from(kinds))))


def _with_an_outage(draw: st.DrawFn, day: Day) -> Day:
    return replace(day, outages=(*day.outages, draw(outages())))


def _with_a_pause(draw: st.DrawFn, day: Day) -> Day:
    names = "".join(node.name for node in day.nodes())
    return replace(day, pauses=(*day.pauses, draw(pauses(names, list(day.named_jobs())))))


def _with_a_ledger_set(draw: st.DrawFn, day: Day) -> Day:
    return replace(day, wrong_clocks=(*day.wrong_clocks, draw(wrong_clocks())))


@st.composite
def lost_days(draw: st.DrawFn) -> Day:
    """Draw a day that is never calm, with more faults than any cluster survives."""
    day = draw(days())
    late = st.builds(lambda at, later: at + later, moments(), st.just(END - CALM))
    nodes = [node.name for node in day.nodes()]
    incidents = list(day.incidents)
    for node in nodes:
        own = [each for each in incidents if each.node == node and not isinstance(each, ClockJump)]
        over = max([each.end or END for each in own], default=MIDNIGHT)
        for at in sorted(draw(st.lists(late, max_size=3, unique=True))):
            if at > over:
                incidents.append(draw(st.sampled_from([Freeze, Crash]))(node, at, END - at))
                break
    lasting = [
        replace(draw(outages()), start=at, end=END) for at in draw(st.lists(late, max_size=2))
    ]
    return replace(day, incidents=tuple(incidents), outages=(*day.outages, *lasting), is_calm=False)


FAULTS: Final = (
    *(_with_an_incident, _with_an_outage, _with_a_pause, _with_a_ledger_set),
    *AIMED,
)
KINDS_OF_DAYS: Final = {
    "calm": calm_days(0),
    "one fault": calm_days(1),
    "all faults": days(),
    "no calm": lost_days(),
}
"""Days by what goes wrong on them."""
