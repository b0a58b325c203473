"""Draw faults that are aimed at the runs of a day: beside a fire, or in the middle of a run.

Faults that lie anywhere seldom meet what lasts for a second: a claim, a last write, a renewal.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hypothesis import strategies as st

from kst_scheduler.simulation import ClockJump, Crash
from random_days.plan import CALM, DRAIN, LEASE, MIDNIGHT, Day, JobPlan, Outage

BESIDE: Final = [-1, -3, 0, 1, -15]
"""Seconds from a fire, or from the end of its run, to a fault."""

AT_A_RUN: Final = [
    *[("deaf", 5, "fire"), ("deaf", 15, "fire"), ("deaf", 5, "end"), ("deaf", 15, "end")],
    *[("away", 25, "fire"), ("down", 5, "fire"), ("read-only", 25, "fire"), ("late", 15, "fire")],
    *[("away", 65, "end"), ("down", 400, "end"), ("read-only", 65, "end"), ("late", 15, "end")],
]
"""Outages of the ledger: kind, seconds, and where they begin.

Those of up to 25 s are shorter than the patience of ``once``, 30 s; where no answer comes, of 15 s,
as a try lasts ten.
"""

LATER: Final = [0.5, 1.1, 2.0]
"""Leases from a fire to a fault, where that is not beside the fire or the end of its run."""


@st.composite
def moments_of_runs(draw: st.DrawFn, day: Day, where: str = "") -> datetime:
    """Draw a moment beside a fire, beside the end of its run, or some part of a lease later."""
    job = draw(st.sampled_from([job for job in day.jobs if job.guard != "lock"] or day.jobs))
    # The node whose clock is ahead of the others has the first claim.
    fire = draw(st.sampled_from(_fires(job))) - timedelta(seconds=max(day.offsets))
    where = where or draw(st.sampled_from(["fire", "end", "later"]))
    later = draw(st.sampled_from(LATER)) * LEASE.seconds
    after = {"fire": 0.0, "end": float(job.seconds), "later": later}[where]
    at = fire + timedelta(seconds=after + draw(st.sampled_from(BESIDE)))
    return min(max(at, MIDNIGHT + timedelta(seconds=1)), CALM - timedelta(minutes=1))


def _fires(job: JobPlan) -> list[datetime]:
    hours = range(0, 20, job.every_hours) if job.every_hours else [0]
    return [MIDNIGHT + timedelta(hours=hour, minutes=job.minute) for hour in hours]


def _names(day: Day) -> list[str]:
    """Return the names of the nodes, most often the one that comes first with its claims."""
    nodes = day.nodes()
    first = max(nodes, key=lambda node: node.clock_offset).name
    return [*(node.name for node in nodes), *[first] * len(nodes)]


def with_an_outage_at_a_run(draw: st.DrawFn, day: Day) -> Day:
    """Add an outage of the ledger, mostly one that is over before anybody loses patience."""
    kind, seconds, where = draw(st.sampled_from(AT_A_RUN))
    start = draw(moments_of_runs(day, where))
    return _with(day, Outage("ledger", kind, start, start + timedelta(seconds=seconds)))


def with_a_node_cut_off(draw: st.DrawFn, day: Day) -> Day:
    """Add an outage of the ledger for one node: the others can take over what it runs."""
    node = draw(st.sampled_from(_names(day)))
    start = draw(moments_of_runs(day))
    kind = draw(st.sampled_from(["away", "deaf", "late", "slow"]))
    end = min(CALM, start + timedelta(minutes=draw(st.sampled_from([1, 35, 65]))))
    return _with(day, Outage("ledger", kind, start, end, node))


def with_a_node_that_loses_touch(draw: st.DrawFn, day: Day) -> Day:
    """Add a node for which the ledger is slow, and then away: its last answers come late."""
    node = draw(st.sampled_from(_names(day)))
    start = draw(moments_of_runs(day))
    then = start + timedelta(seconds=draw(st.sampled_from([60, 700])))
    end = min(CALM, then + timedelta(minutes=65))
    slow = Outage("ledger", "slow", start - timedelta(seconds=20), then, node)
    return _with(day, slow, Outage("ledger", "away", then, end, node))


def with_a_last_renewal_that_is_late(draw: st.DrawFn, day: Day) -> Day:
    """Add a node whose last renewal is on its way when its lease is over."""
    node = draw(st.sampled_from(_names(day)))
    start = draw(moments_of_runs(day, "fire")) + timedelta(minutes=1)
    late, end = start + LEASE - timedelta(minutes=3), start + LEASE + timedelta(minutes=1)
    if end > CALM:
        return day
    away = Outage("ledger", "away", start, late, node)
    return _with(day, away, Outage("ledger", "late", late, end, node))


def with_an_heir_that_is_late(draw: st.DrawFn, day: Day) -> Day:
    """Stop all nodes in a run but one, whose clock is behind by more than a lease."""
    at = draw(moments_of_runs(day, "fire")) + timedelta(minutes=1)
    nodes = [node.name for node in day.nodes()]
    if {each.node for each in day.incidents} or at + 4 * LEASE > CALM:
        return day
    crashes = tuple(Crash(node, at, 4 * LEASE) for node in nodes[:-1])
    return replace(day, offsets=(*day.offsets[:-1], -2400.0), incidents=crashes)


def with_a_ledger_that_comes_back(draw: st.DrawFn, day: Day) -> Day:
    """Add an outage that is longer than a lease, and ends beside a fire or the end of a run."""
    end = draw(moments_of_runs(day))
    start = max(MIDNIGHT, end - timedelta(minutes=draw(st.sampled_from([40, 65]))))
    kind = draw(st.sampled_from(["down", "down", "away"]))
    return _with(day, Outage("ledger", kind, start, end))


def with_a_slow_ledger(draw: st.DrawFn, day: Day) -> Day:
    """Let each step take its time all day: what others do comes between."""
    del draw
    return _with(day, Outage("ledger", "slow", MIDNIGHT, CALM))


def with_deploys(draw: st.DrawFn, day: Day) -> Day:
    """Let each process be drained before it ends, and deploy all nodes one after another."""
    at = draw(moments_of_runs(day)) + DRAIN
    stopped = {each.node for each in day.incidents if not isinstance(each, ClockJump)}
    nodes = [node.name for node in day.nodes() if node.name not in stopped]
    deploys = [Crash(node, at + number * DRAIN * 2, DRAIN) for number, node in enumerate(nodes)]
    incidents = (*day.incidents, *(each for each in deploys if each.at < CALM - DRAIN))
    return replace(day, incidents=incidents, is_drained=True)


def with_one_attempt(draw: st.DrawFn, day: Day) -> Day:
    """Let no run be repeated that has lost its lease once, and another fault."""
    day = draw(st.sampled_from([with_an_heir_that_is_late, with_deploys]))(draw, day)
    return replace(day, jobs=tuple(replace(job, max_attempts=1) for job in day.jobs))


AIMED: Final = (
    *[with_an_outage_at_a_run] * 8,
    *[with_a_node_that_loses_touch, with_a_ledger_that_comes_back] * 3,
    *[with_a_node_cut_off, with_deploys, with_one_attempt] * 2,
    *(with_a_last_renewal_that_is_late, with_an_heir_that_is_late, with_a_slow_ledger),
)
"""The more often a kind stands here, the more days have it."""


def with_aimed_faults(draw: st.DrawFn, day: Day) -> Day:
    """Add up to two of them."""
    for add in draw(st.lists(st.sampled_from(AIMED), max_size=2, unique=True)):
        day = add(draw, day)
    return day


def _with(day: Day, *outages: Outage) -> Day:
    return replace(day, outages=(*day.outages, *outages))
