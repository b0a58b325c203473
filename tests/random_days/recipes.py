"""Draw faults that together lead to a rare state: each alone would meet the others too seldom."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from kst_scheduler.simulation import ClockJump, Crash
from random_days.plan import CALM, LEASE, MIDNIGHT, Day, Outage, Strike, WrongClock

if TYPE_CHECKING:
    from collections.abc import Callable

HOURS: Final = [4, 8, 12]
"""When the run begins that is aimed at; the jobs of a recipe fire every two or four hours."""


def with_an_outage_between_runs(draw: st.DrawFn, day: Day) -> Day:
    """Let the ledger be away from one run of a job to its next one, or from its begin or middle.

    What a process keeps meanwhile meets the next claim, and so does a lease that could not be
    renewed.
    """
    fire, lasts = _fire(draw), draw(st.sampled_from([300, 1500, 2400]))
    day = _with_a_job(day, every_hours=2, seconds=lasts)
    start = fire + timedelta(seconds=draw(st.sampled_from([lasts - 2, -1, 598, 1800])))
    end = fire + timedelta(hours=2, seconds=draw(st.sampled_from([12, -1, 0])))
    kind = draw(st.sampled_from(["away", "down", "deaf", "read-only"]))
    day = _with_an_outage(day, Outage("ledger", kind, start, end))
    if draw(st.booleans()):
        slow = Outage("ledger", "slow", end, end + timedelta(minutes=15))
        day = _with_an_outage(day, slow)
    if draw(st.booleans()):
        middle = end - (end - start) / 2
        for node in day.nodes():
            day = with_a_crash(day, Crash(node.name, middle, timedelta(seconds=5)))
    return day


def with_an_end_that_comes_late(draw: st.DrawFn, day: Day) -> Day:
    """End a run that is taken for lost after another node read its row, before that node acts."""
    fire, is_repeatable = _fire(draw), draw(st.booleans())
    day = _with_a_job(day, every_hours=4, seconds=300, repeatable=is_repeatable, window=300)
    day = replace(day, offsets=(4.0, *(0.0 for _ in day.offsets[1:])))
    start, lost = fire + timedelta(seconds=200), fire + LEASE
    day = _with_an_outage(
        day, Outage("ledger", "away", start, lost + timedelta(seconds=650), node="A")
    )
    step = "retake" if is_repeatable else "close"
    return _with_strikes(day, [(step, False, "freeze", 700)], "BCDE")


def with_a_last_claim(draw: st.DrawFn, day: Day) -> Day:
    """Let a node that is behind claim a run that all others have lost, and that is used up."""
    kinds: list[dict[str, Any]] = [{"max_attempts": 1}, {"repeatable": False}]
    kind = draw(st.sampled_from(kinds))
    day = _with_a_job(day, every_hours=4, minute=15, seconds=2400, **kind)
    others = "ABCDE"[: len(day.offsets) - 1]
    offsets = (*(min(each, 4.0, key=abs) for each in day.offsets[:-1]), -1900.0)
    strikes = [("work begins", False, "crash", 7200)]
    return _with_strikes(replace(day, offsets=offsets), strikes, others)


def with_a_struck_renewal(draw: st.DrawFn, day: Day) -> Day:
    """Freeze or kill each node in its first renewal."""
    day = _with_a_job(day, every_hours=4, seconds=2400)
    strike = draw(st.sampled_from([("freeze", 7200), ("freeze", 2100), ("crash", 20)]))
    return _with_strikes(day, [("renew", draw(st.booleans()), *strike)])


def with_a_struck_claim(draw: st.DrawFn, day: Day) -> Day:
    """Kill each node in its first claim, or just after it, or let that be carried out late."""
    day = _with_a_job(day, every_hours=4, seconds=2400)
    step = draw(st.sampled_from(["insert", "claim", "obstacles"]))
    kind = draw(st.sampled_from([("crash", 20), ("late", 1)])) if step == "claim" else ("crash", 20)
    return _with_strikes(day, [(step, kind[0] != "late", *kind)])


def with_a_struck_lock(draw: st.DrawFn, day: Day) -> Day:
    """Lose the answers of the first commands of each node about its locks."""
    day = _with_a_job(day, every_hours=4, guard="once and lock")
    is_done = draw(st.booleans())
    return _with_strikes(day, [(step, is_done, "lost", 1) for step in ("SET", "EVALSHA")])


def with_a_struck_alert(draw: st.DrawFn, day: Day) -> Day:
    """Let an occurrence be missed in an outage, and kill or freeze those that write that."""
    fire = _fire(draw)
    day = _with_a_job(day, every_hours=4, window=15)
    end = fire + timedelta(minutes=20)
    day = _with_an_outage(day, Outage("ledger", "away", fire - timedelta(seconds=30), end))
    kind = draw(st.sampled_from([("crash", 20), ("freeze", 1200)]))
    is_done = draw(st.sampled_from([True, True, False]))
    day = _with_strikes(day, [("record_missed", is_done, *kind)])
    if draw(st.booleans()):
        day = _with_an_outage(day, Outage("ledger", "slow", end, end + timedelta(minutes=15)))
    return day


def with_a_start_by_a_wrong_clock(draw: st.DrawFn, day: Day) -> Day:
    """Set the clocks of all hosts forward, and let a process start that knows no other time."""
    start, seconds = _fire(draw) + timedelta(minutes=20), 11_000
    day = without_jumps(_with_a_job(day, every_hours=2, window=15))
    end = start + timedelta(minutes=draw(st.sampled_from([10, 14])))
    jumps = [
        ClockJump(node.name, at, by)
        for node in day.nodes()
        for at, by in ((start, seconds), (end, -seconds))
    ]
    wrong = WrongClock(start, end, seconds)
    day = replace(day, incidents=(*day.incidents, *jumps), wrong_clocks=(wrong,))
    node, down = draw(st.sampled_from(day.nodes())).name, timedelta(seconds=60)
    return with_a_crash(day, Crash(node, start + timedelta(seconds=5) - down, down))


def with_a_missed_run_by_a_clock_behind(draw: st.DrawFn, day: Day) -> Day:
    """Let a node that is behind claim what was missed, while the ledger's clock is behind, too."""
    fire = _fire(draw)
    day = without_jumps(_with_a_job(day, every_hours=4, window=15))
    offsets = (*(min(each, 4.0, key=abs) for each in day.offsets[:-1]), -4000.0)
    out = Outage("ledger", "away", fire - timedelta(seconds=30), fire + timedelta(minutes=30))
    start = fire + timedelta(seconds=3940)
    wrong = WrongClock(start, start + timedelta(minutes=10), -2400)
    return _with_an_outage(replace(day, offsets=offsets, wrong_clocks=(wrong,)), out)


RECIPES: Final[tuple[Callable[[st.DrawFn, Day], Day], ...]] = (
    *(with_an_outage_between_runs, with_an_end_that_comes_late, with_a_struck_alert) * 2,
    *(with_an_outage_between_runs, with_an_end_that_comes_late, with_a_last_claim),
    *(with_a_struck_renewal, with_a_struck_claim, with_a_struck_lock, with_a_struck_alert),
    *(with_a_start_by_a_wrong_clock, with_a_missed_run_by_a_clock_behind),
)


def with_a_crash(day: Day, crash: Crash) -> Day:
    """Add a crash, where its node is not stopped already."""
    assert crash.end is not None
    others = [
        each
        for each in day.incidents
        if each.node == crash.node and not isinstance(each, ClockJump)
    ]
    is_free = all(each.end and (each.end < crash.at or each.at > crash.end) for each in others)
    fits = is_free and crash.at > MIDNIGHT and crash.end < CALM
    return replace(day, incidents=(*day.incidents, crash)) if fits else day


def without_jumps(day: Day) -> Day:
    """Leave out what sets the clock of one node."""
    incidents = tuple(each for each in day.incidents if not isinstance(each, ClockJump))
    strikes = tuple(each for each in day.strikes if each.kind != "clock")
    return replace(day, incidents=incidents, strikes=strikes)


def _fire(draw: st.DrawFn) -> datetime:
    return MIDNIGHT + timedelta(hours=draw(st.sampled_from(HOURS)))


def _with_a_job(day: Day, **changes: Any) -> Day:
    """Change the first job; it stands behind ``once``, and does not block."""
    usual: dict[str, Any] = {"minute": 0, "guard": "once", "blocks": False, "kills": False}
    return replace(day, jobs=(replace(day.jobs[0], **(usual | changes)), *day.jobs[1:]))


def _with_an_outage(day: Day, outage: Outage) -> Day:
    return replace(day, outages=(*day.outages, outage))


def _with_strikes(day: Day, faults: list[tuple[str, bool, str, int]], nodes: str = "ABCDE") -> Day:
    """Strike the first call of each step on each of the nodes."""
    strikes = [
        Strike(node.name, step, 1, is_done, kind, seconds)
        for node in day.nodes()
        if node.name in nodes
        for step, is_done, kind, seconds in faults
    ]
    return replace(day, strikes=(*day.strikes, *strikes))
