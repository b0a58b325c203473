"""Faults inside the steps of a process: a crash, a freeze or a clock that is set at one call."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation import ClockJump, Crash, Freeze, current_node
from kst_scheduler.simulation.clock import current_world
from kst_scheduler.simulation.world import wake_up
from random_days.plan import CALM, END, Outage, true_time

if TYPE_CHECKING:
    from kst_scheduler.simulation import Incident
    from random_days.plan import Day, Strike

SECOND: Final = 1_000_000
"""In microseconds, as the world counts."""


class Strikes:
    """Carries out the strikes of a day, and knows which of them came about."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._planned = {(each.node, each.step, each.number): each for each in day.strikes}
        self._nodes = {each.node for each in day.strikes}
        self._clocks = {each.node for each in day.strikes if each.kind == "clock"}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._incidents: list[Incident] = []
        self._outages: list[Outage] = []

    def boot(self) -> None:
        """Let the scheduler of a new process look at its clock each minute if it may be set."""
        node = current_node()
        if node in self._clocks:
            _host().next_jump = lambda since: since

    def next_call(self, step: str) -> Strike | None:
        """Count a call of the node that runs, and return what strikes it."""
        if not self._planned or (node := current_node()) not in self._nodes:
            return None
        self._calls[node, step] += 1
        return self._planned.pop((node, step, self._calls[node, step]), None)

    def hit(self, strike: Strike | None, *, is_done: bool) -> bool:
        """Carry out a strike whose moment it is; return whether the call or its answer is lost.

        A process that crashes does not return from here, and one that is frozen does when it thaws.
        """
        if strike is None or strike.is_done is not is_done:
            return False
        if strike.kind in {"lost", "late"}:
            return True
        if strike.kind == "clock":
            self._set_clock(strike)
        elif seconds := self._seconds_of(strike):
            self._stop(strike, seconds)
        return False

    def note_lost(self, server: str, kind: str, seconds: float) -> None:
        """Note that a server has not answered one call, as in an outage of a kind."""
        start = true_time()
        self._outages.append(Outage(server, kind, start, start + timedelta(seconds=seconds)))

    def day(self) -> Day:
        """Return the day with what the strikes have come to, as incidents and outages."""
        incidents = (*self._day.incidents, *self._incidents)
        return replace(self._day, incidents=incidents, outages=(*self._day.outages, *self._outages))

    def _set_clock(self, strike: Strike) -> None:
        at = true_time()
        if at < CALM or not self._day.is_calm:
            _host().jump(strike.seconds * SECOND)
            self._incidents.append(ClockJump(strike.node, at, strike.seconds))

    def _seconds_of(self, strike: Strike) -> float:
        """Return how long it may last: to the end of the faults, or to the node's next one."""
        at = true_time()
        ends = [CALM if self._day.is_calm else END]
        ends += [
            each.at
            for each in self._day.incidents
            if each.node == strike.node and not isinstance(each, ClockJump) and each.at >= at
        ]
        left = (min(ends) - at).total_seconds() - 1
        return min(strike.seconds, left) if left >= 1 else 0

    def _stop(self, strike: Strike, seconds: float) -> None:
        world, host, lasts = current_world(), _host(), timedelta(seconds=seconds)
        assert world is not None
        end = wake_up(world.now + round(seconds * SECOND))
        if strike.kind == "freeze":
            self._incidents.append(Freeze(strike.node, true_time(), lasts))
            world.call_at(world.now, partial(host.freeze, end))
        else:
            self._incidents.append(Crash(strike.node, true_time(), lasts))
            world.call_at(world.now, partial(host.crash, end))
            world.call_at(end, host.restart)
        world.park(world.now)


def _host() -> Any:
    world = current_world()
    assert world is not None
    assert world.current is not None
    return world.current.host
