"""Draw random days with hypothesis; the simplest day is one on which nothing goes wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from kst_scheduler.simulation import ClockJump, Crash, Freeze, Incident
from random_days.aimed import AIMED, with_aimed_faults
from random_days.plan import (
    CALM,
    END,
    LEDGER_STEPS,
    LOCK_STEPS,
    MIDNIGHT,
    STEPS,
    WORK_STEPS,
    Day,
    JobPlan,
    Outage,
    Pause,
    Strike,
    WrongClock,
)
from random_days.recipes import RECIPES, with_a_crash, without_jumps

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

QUARTERS = int((CALM - MIDNIGHT) / timedelta(minutes=15))
SECONDS = [0, -5, 1, 3, -1, 20, 100, 400, 599, -301]
"""Incidents lie beside quarters of an hour, where jobs begin and end, and beside renewals, which
come every ten minutes from there."""

OFFSETS = [0.0, 0.3, -0.3, 4.0, -4.0, 90.0, -90.0, 4000.0, -4000.0, -1900.0]
JUMPS = [1, -1, 100, -100, 1200, -1200, 11_000, -11_000, 36_000, -36_000]
LENGTHS = [5, 300, 1500, 2400, 6000, 15_000]
LASTING = [60, 12, 5, 25, 900, 2700, 7200]
"""Seconds of an outage; for half a minute a claim and a last write are tried again."""

CALLS = [1, 1, 2, 3, 5, 8, 13, 40]
"""Which call of a step is struck."""
STOPS = [20, 3, 300, 2100, 7200]
"""Seconds for which a process that is struck is down or frozen."""

WRITES: Final = (
    *("claim", "renew", "finish", "record_missed", "close", "retake", "SET", "EVALSHA"),
)
"""Steps after which others see something else."""

SWARM: Final = (
    *("freezes", "crashes", "jumps", "offsets", "ledger", "Redis", "strikes"),
    "blocking jobs",
)
"""What can go wrong; each day has some of it, so that faults that hide each other come alone."""

KINDS = {
    "ledger": ["away", "slow", "deaf", "late", "down", "read-only"],
    "Redis": ["away", "slow", "deaf", "emptied"],
}


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
def moments(draw: st.DrawFn, plans: Sequence[JobPlan]) -> datetime:
    """Draw a moment at which something goes wrong, beside the begin or the end of a run, say."""
    quarter = MIDNIGHT + timedelta(minutes=15 * draw(st.integers(1, QUARTERS - 1)))
    runs = [each for plan in plans for each in _runs(plan) if MIDNIGHT < each < CALM]
    is_beside_a_run: bool = draw(st.booleans())
    if runs and is_beside_a_run:
        quarter = draw(st.sampled_from(runs))
    moment = quarter + timedelta(seconds=draw(st.sampled_from(SECONDS)))
    return max(MIDNIGHT + timedelta(seconds=1), min(moment, CALM - timedelta(minutes=15)))


def _runs(plan: JobPlan) -> list[datetime]:
    """Return when the runs of a job begin, and when they end."""
    begins = _begins(plan)
    return [*begins, *(begin + timedelta(seconds=plan.seconds) for begin in begins)]


def _begins(plan: JobPlan) -> list[datetime]:
    hours = range(0, 24, plan.every_hours) if plan.every_hours else [0]
    return [MIDNIGHT + timedelta(hours=hour, minutes=plan.minute) for hour in hours]


@st.composite
def troubles(
    draw: st.DrawFn,
    plans: Sequence[JobPlan],
    node: str,
    kinds: Collection[str],
    rate: int,
    *,
    spare: bool,
) -> list[Incident]:
    """Draw what happens to one node; one that is spared always comes back."""
    stops = [kind for kind, name in ((Freeze, "freezes"), (Crash, "crashes")) if name in kinds]
    edges = sorted(draw(st.lists(moments(plans), max_size=2 * rate, unique=True))) if stops else []
    found: list[Incident] = []
    for begin, end in list(pairwise(edges))[::2]:
        found.append(draw(st.sampled_from(stops))(node, begin, end - begin))
    if len(edges) % 2 and Crash in stops and not spare:
        found.append(Crash(node, edges[-1]))
    jump = st.tuples(moments(plans), st.sampled_from(JUMPS))
    jumps = draw(st.lists(jump, max_size=rate)) if "jumps" in kinds else []
    return [*found, *(ClockJump(node, moment, seconds) for moment, seconds in jumps)]


@st.composite
def outages(
    draw: st.DrawFn, plans: Sequence[JobPlan], servers: Sequence[str] = ("Redis", "ledger")
) -> Outage:
    """Draw one outage of a server."""
    server = draw(st.sampled_from(servers))
    start, seconds = draw(moments(plans)), draw(st.sampled_from(LASTING))
    end = max(start, min(CALM, start + timedelta(seconds=seconds)))
    return Outage(server, draw(st.sampled_from(KINDS[server])), start, end)


@st.composite
def strikes(draw: st.DrawFn, nodes: str) -> Strike:
    """Draw a fault inside a step of a process; more of them where something is written."""
    step = draw(st.sampled_from((*WRITES, *STEPS, *WRITES)))
    kinds = ["crash", "freeze"]
    kinds += ["lost"] * (step not in WORK_STEPS) + ["late"] * (step in LEDGER_STEPS)
    kinds += ["clock"] * (step not in LOCK_STEPS)
    kind = draw(st.sampled_from(kinds))
    seconds = draw(st.sampled_from(JUMPS if kind == "clock" else STOPS))
    node, number = draw(st.sampled_from(nodes)), draw(st.sampled_from(CALLS))
    is_done = step not in WORK_STEPS and kind != "late" and draw(st.booleans())
    return Strike(node, step, number, is_done, kind, seconds)


@st.composite
def pauses(draw: st.DrawFn, plans: Sequence[JobPlan], nodes: str, names: list[str]) -> Pause:
    """Draw a pause of one job on one node."""
    start, hours = draw(moments(plans)), draw(st.sampled_from([1, 3, 9]))
    end = min(CALM, start + timedelta(hours=hours))
    return Pause(draw(st.sampled_from(nodes)), draw(st.sampled_from(names)), start, end)


@st.composite
def wrong_clocks(draw: st.DrawFn, plans: Sequence[JobPlan]) -> WrongClock:
    """Draw a clock that is wrong for less than a clock that was set is doubted."""
    start, minutes = draw(moments(plans)), draw(st.sampled_from([1, 10, 14]))
    seconds = draw(st.sampled_from([7200, -7200, 300, -300, 11_000, -11_000]))
    return WrongClock(start, start + timedelta(minutes=minutes), seconds)


def _with_pauses(draw: st.DrawFn, day: Day) -> Day:
    """Add pauses; the clocks are almost right, as a replica hours behind is not heard of."""
    offsets = tuple(offset if abs(offset) < 60 else 0.0 for offset in day.offsets)
    day = without_jumps(day)
    one = pauses(day.jobs, "ABCDE"[: len(offsets)], list(day.named_jobs()))
    drawn = draw(st.lists(one, min_size=1, max_size=4, unique_by=lambda each: each.node))
    if draw(st.booleans()):
        drawn = [
            replace(drawn[0], node=node.name, start=drawn[0].start + timedelta(seconds=later))
            for node in day.nodes()
            for later in [draw(st.sampled_from([0, 1, 700]))]
        ]
    return replace(day, offsets=offsets, pauses=tuple(drawn))


def _with_a_wrong_clock(draw: st.DrawFn, day: Day) -> Day:
    """Add a clock that is wrong for a while: the ledger's, and perhaps that of all nodes."""
    if draw(st.booleans()):  # a run that is in progress when the next one is claimed
        job = replace(day.jobs[0], every_hours=2, minute=0, seconds=15_000, guard="once")
        day = replace(day, jobs=(job, *day.jobs[1:]))
    wrong = draw(wrong_clocks(day.jobs))
    if draw(st.booleans()):  # a process that starts then knows no other
        node = draw(st.sampled_from(day.nodes())).name
        down = timedelta(seconds=60)
        day = with_a_crash(day, Crash(node, wrong.start + timedelta(seconds=5) - down, down))
    if not draw(st.booleans()):
        return replace(day, wrong_clocks=(wrong,))
    jumps = [
        ClockJump(node.name, moment, seconds)
        for node in day.nodes()
        for moment, seconds in ((wrong.start, wrong.seconds), (wrong.end, -wrong.seconds))
    ]
    day = without_jumps(day)
    return replace(day, incidents=(*day.incidents, *jumps), wrong_clocks=(wrong,))


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Draw a day, with some kinds of faults, and few or many of each."""
    kinds = draw(st.sets(st.sampled_from(SWARM)))
    rate = draw(st.sampled_from([1, 2, 4]))
    offset = st.sampled_from(OFFSETS if "offsets" in kinds else [0.0])
    offsets = draw(st.lists(offset, min_size=2, max_size=5))
    nodes = "ABCDE"[: len(offsets)]
    plans = draw(st.lists(jobs(blocks="blocking jobs" in kinds), min_size=1, max_size=3))
    incidents: list[Incident] = []
    for node in nodes:
        incidents += draw(troubles(plans, node, kinds, rate, spare=node == "A"))
    servers = tuple(each for each in sorted(KINDS) if each in kinds)
    strike = st.lists(strikes(nodes), max_size=2 * rate, unique_by=_call_of)
    day = Day(
        offsets=tuple(offsets),
        jobs=tuple(plans),
        incidents=tuple(incidents),
        outages=tuple(draw(st.lists(outages(plans, servers), max_size=rate)) if servers else ()),
        strikes=tuple(draw(strike) if "strikes" in kinds else ()),
    )
    day = with_aimed_faults(draw, day)
    kind = draw(st.sampled_from(["plain", "recipe", "pauses", "wrong clock", "recipe"]))
    if kind == "recipe":
        return draw(st.sampled_from(RECIPES))(draw, day)
    if kind == "pauses":
        return _with_pauses(draw, day)
    return _with_a_wrong_clock(draw, day) if kind == "wrong clock" else day


def _call_of(strike: Strike) -> tuple[str, str, int]:
    return strike.node, strike.step, strike.number


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
    node, at = draw(st.sampled_from([node.name for node in day.nodes()])), draw(moments(day.jobs))
    lasts = timedelta(minutes=draw(st.sampled_from([1, 15, 45, 120])))
    kinds: list[Incident] = [Freeze(node, at, lasts), Crash(node, at, lasts), Crash(node, at)]
    kinds += [ClockJump(node, at, draw(st.sampled_from(JUMPS)))]
    return replace(day, incidents=(*day.incidents, draw(st.sampled_from(kinds))))


def _with_an_outage(draw: st.DrawFn, day: Day) -> Day:
    return replace(day, outages=(*day.outages, draw(outages(day.jobs))))


def _with_a_strike(draw: st.DrawFn, day: Day) -> Day:
    nodes = "".join(node.name for node in day.nodes())
    return replace(day, strikes=(*day.strikes, draw(strikes(nodes))))


def _with_a_pause(draw: st.DrawFn, day: Day) -> Day:
    names = "".join(node.name for node in day.nodes())
    return replace(day, pauses=(*day.pauses, draw(pauses(day.jobs, names, list(day.named_jobs())))))


def _with_a_ledger_set(draw: st.DrawFn, day: Day) -> Day:
    return replace(day, wrong_clocks=(*day.wrong_clocks, draw(wrong_clocks(day.jobs))))


@st.composite
def lost_days(draw: st.DrawFn) -> Day:
    """Draw a day that is never calm, with more faults than any cluster survives."""
    day = draw(days())
    late = st.builds(lambda at, later: at + later, moments(day.jobs), st.just(END - CALM))
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
        replace(draw(outages(day.jobs)), start=at, end=END)
        for at in draw(st.lists(late, max_size=2))
    ]
    return replace(day, incidents=tuple(incidents), outages=(*day.outages, *lasting), is_calm=False)


FAULTS: Final = (
    *(_with_an_incident, _with_an_outage, _with_a_strike),
    *(_with_a_pause, _with_a_ledger_set),
    *AIMED,
)
KINDS_OF_DAYS: Final = {
    "calm": calm_days(0),
    "one fault": calm_days(1),
    "all faults": days(),
    "no calm": lost_days(),
}
"""Days by what goes wrong on them."""
