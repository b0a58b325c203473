"""One random day: the cluster, its jobs, and what goes wrong; all of it can be told in words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.simulation import ClockJump, Crash, Freeze, Incident, Node
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import at, cron

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apscheduler.triggers.base import BaseTrigger

MIDNIGHT: Final = kst(2026, 5, 10)
END: Final = MIDNIGHT + timedelta(days=1)
CALM: Final = MIDNIGHT + timedelta(hours=20)
"""No incident lasts beyond it, so that the end of the day can be judged."""

LEASE: Final = timedelta(minutes=30)
"""Of rows and of locks: long, so that a day has few renewals."""

LOOK_EVERY: Final = 600
"""Seconds from one look of a reconciler to the next: ten minutes, as a day of minutes is dear."""

MAX_ATTEMPTS: Final = 3
"""The default of once: so many attempts may lose their lease."""

DRAIN: Final = timedelta(seconds=30)
"""From the begin of a drain to the end of its process; half of it is for the runs to end."""


LEDGER_STEPS: Final = (
    *("claim", "renew", "finish", "abandoned", "close_abandoned", "record_missed"),
    *("watermark", "advance_watermark", "rows", "now"),
)
"""Calls of the ledger."""
CLAIM_STEPS: Final = ("insert", "obstacles", "retake", "skip", "close")
"""The statements of a claim: the process can end between two of them. A look closes, too."""
LOCK_STEPS: Final = ("SET", "GET", "EVALSHA")
"""Commands to Redis: a lock is taken by the first; it is renewed and given back by the last."""
WORK_STEPS: Final = ("work begins", "work ends")
STEPS: Final = (*LEDGER_STEPS, *CLAIM_STEPS, *LOCK_STEPS, *WORK_STEPS)


def true_time() -> datetime:
    """Return the time, whatever the clock of the calling node shows."""
    return MIDNIGHT + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass(frozen=True)
class JobPlan:
    """One job."""

    every_hours: int
    """Hours between two fires; 0: it fires on one date."""
    minute: int
    """The minute of its fires; of a date job, the minute of the day."""
    seconds: int
    """How long a run takes."""
    guard: str
    """once, once and lock, or lock: what its runs stand behind."""
    blocks: bool
    """Whether it blocks its event loop for all that time, in place of awaiting."""
    fails: bool
    """Whether every second run raises when its work is done."""
    window: int
    """Minutes for which an occurrence may be caught up."""
    repeatable: bool
    hostile: bool = False
    """Whether its results and errors raise when they are read."""
    kills: bool = False
    """Whether every second run hangs its process for good, as if it had killed it."""
    max_attempts: int = MAX_ATTEMPTS
    """How many attempts of an occurrence may lose their lease."""

    def trigger(self) -> BaseTrigger:
        """Return the job's trigger, on Korean time."""
        if not self.every_hours:
            return at(MIDNIGHT + timedelta(minutes=self.minute))
        return cron(hour=f"*/{self.every_hours}", minute=self.minute)

    def __str__(self) -> str:
        first = MIDNIGHT + timedelta(minutes=self.minute)
        when = f"every {self.every_hours} h at minute {self.minute}"
        facts = [
            when if self.every_hours else f"once at {first:%H:%M}",
            f"runs {'block for' if self.blocks else 'take'} {self.seconds} s",
            f"behind {self.guard}",
            f"caught up for {self.window} min",
        ]
        facts += ["every second run fails"] * self.fails
        facts += ["not to be repeated"] * (not self.repeatable)
        facts += ["results raise when they are read"] * self.hostile
        facts += ["every second run hangs its process"] * self.kills
        facts += [f"{self.max_attempts} attempt(s)"] * (self.max_attempts != MAX_ATTEMPTS)
        return ", ".join(facts)


@dataclass(frozen=True)
class Outage:
    """A server that does not do as it is asked, for a while."""

    server: str
    """ledger or Redis."""
    kind: str
    """away: no connection. down: it answers that it serves nobody. read-only: it has failed over,
    and answers as long as nothing is to be written. slow: each step takes its time.
    deaf: it does what it was asked and the answer is lost. late: no answer, and it does what it was
    asked minutes later. emptied: it has forgotten everything, at the end of an absence."""
    start: datetime
    end: datetime
    node: str = ""
    """The only one that it concerns; empty: all."""

    def covers(self, moment: datetime) -> bool:
        """Tell whether the outage is on."""
        return self.start <= moment < self.end

    def concerns(self, node: str) -> bool:
        """Tell whether a node cannot use the server."""
        return self.node in {"", node}

    def loses_answers(self, node: str, moment: datetime) -> bool:
        """Tell whether a node gets no answer of the server; a slow one answers."""
        return self.kind != "slow" and self.concerns(node) and self.covers(moment)

    def __str__(self) -> str:
        where = f" for {self.node}" if self.node else ""
        span = f"from {_clock(self.start)} to {_clock(self.end)}"
        return f"the {self.server} is {self.kind}{where} {span}"


@dataclass(frozen=True)
class Strike:
    """A fault inside a step of a process: at one of its calls, or where its work begins or ends."""

    node: str
    step: str
    """One of ``STEPS``."""
    number: int
    """Which call of this kind on the node it is, from 1 on."""
    is_done: bool
    """Whether the server has done what it was asked, and only the answer is on its way."""
    kind: str
    """crash, freeze, clock: what happens to the node. lost: the call, or its answer, is lost. late:
    no answer, and it is done minutes later."""
    seconds: int
    """For how long the node is down or frozen, or by how much its clock is set."""

    def __str__(self) -> str:
        when = "after" if self.is_done else "before"
        return f"node {self.node}: {self.kind} {self.seconds:+d} s {when} {self.step} {self.number}"


@dataclass(frozen=True)
class Pause:
    """A job that is paused on one node, if its process is up, and lives to see the end."""

    node: str
    job: str
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return (
            f"{self.job} is paused on {self.node} from {_clock(self.start)} to {_clock(self.end)}"
        )


@dataclass(frozen=True)
class WrongClock:
    """The ledger's clock is wrong for a while; the nodes' clocks too, where they are one host."""

    start: datetime
    end: datetime
    seconds: int

    def __str__(self) -> str:
        span = f"from {_clock(self.start)} to {_clock(self.end)}"
        return f"the ledger's clock is {self.seconds:+d} s ahead {span}"


@dataclass(frozen=True)
class Day:
    """The cluster, its jobs, and what goes wrong."""

    offsets: tuple[float, ...]
    """How far the clock of each node is ahead, in seconds."""
    jobs: tuple[JobPlan, ...]
    incidents: tuple[Incident, ...]
    outages: tuple[Outage, ...]
    pauses: tuple[Pause, ...] = ()
    wrong_clocks: tuple[WrongClock, ...] = ()
    strikes: tuple[Strike, ...] = ()
    is_drained: bool = False
    """Whether each process is drained before it ends, as in a deploy."""
    is_calm: bool = True
    """Whether nothing is wrong after ``CALM``. Else no more is asked than that nothing is wrong in
    what is done: it may be that nothing is done."""

    def clock_was_wrong(self, moment: datetime, since: timedelta) -> bool:
        """Tell whether the ledger's clock is wrong, or was within so much time."""
        return any(each.start <= moment < each.end + since for each in self.wrong_clocks)

    def drains(self, node: str) -> list[datetime]:
        """Return when the processes of a node are drained."""
        if not self.is_drained:
            return []
        crashes = (each for each in self.incidents if isinstance(each, Crash))
        return [each.at - DRAIN for each in crashes if each.node == node]

    def nodes(self) -> list[Node]:
        """Return the nodes, named A, B, C and so on."""
        return [Node("ABCDE"[i], offset) for i, offset in enumerate(self.offsets)]

    def named_jobs(self) -> dict[str, JobPlan]:
        """Return the jobs by their ids."""
        return {f"job-{number}": job for number, job in enumerate(self.jobs, 1)}

    def words(self) -> str:
        """Return the day in words, a fact a line."""
        return "\n".join(self._facts())

    def _facts(self) -> Iterator[str]:
        for node in self.nodes():
            clock = f", its clock {node.clock_offset:+g} s" if node.clock_offset else ""
            yield f"node {node.name}{clock}"
        for name, job in self.named_jobs().items():
            yield f"{name}: {job}"
        for incident in sorted(self.incidents, key=lambda each: each.at):
            yield _told(incident)
        yield from map(str, sorted(self.outages, key=lambda each: each.start))
        yield from map(str, sorted(self.pauses, key=lambda each: each.start))
        yield from map(str, self.wrong_clocks)
        yield from map(str, self.strikes)
        if self.is_drained:
            yield "each process is drained before it ends"


def _told(incident: Incident) -> str:
    who, when = f"node {incident.node}", _clock(incident.at)
    if isinstance(incident, ClockJump):
        return f"{who}: its clock jumps by {incident.seconds:+g} s at {when}"
    if isinstance(incident, Freeze):
        return f"{who} is frozen from {when} to {_clock(incident.end)}"
    assert isinstance(incident, Crash)
    back = "never comes back" if incident.end is None else f"is back at {_clock(incident.end)}"
    return f"{who} crashes at {when} and {back}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(KST):%H:%M:%S}"
