"""The programme of nights: what goes wrong, on which night, and when.

A night begins at half past one in the afternoon, Korean time, and lasts for 24 hours. What goes
wrong in it does so around the first fire of each job.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.choices import UNITS
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times.instants import SECOND, microseconds, moment_at
from kst_scheduler.simulation.incidents import ClockJump, Crash, Freeze, Incident
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAY: Final = timedelta(days=1)
FIRST_NIGHT: Final = kst(2026, 5, 4, 13, 30)
"""A Monday. The programme is the same each time, so it does not begin today. Few jobs are due at
half past one, in Korea or in UTC, so that each night has the whole of what it is about."""
NIGHTS: Final = 14
APART: Final = 60 * SECOND
"""Between two troubles of one night."""
SET_RIGHT: Final = 900
"""Seconds after which a wrong clock is set right."""
MAX_TROUBLES: Final = 24
"""Of one night."""
NOTHING_DUE: Final = timedelta(hours=13, minutes=30)
"""When things go wrong in a night in which no job is due: at 03:00."""
MIN_RUN: Final = 11
"""Seconds of a run before its end can be ten seconds away."""
DOWN: Final = 60
"""Seconds from the stop of a process to the start of the next."""

KINDS: Final = ("freeze", "crash", "deploy", "block", "clock")
"""What can go wrong."""
INCIDENT: Final = re.compile(
    rf"({'|'.join(KINDS)}) (\S+) (\d\d:\d\d(?::\d\d)?) ([+-]?\d+(?:\.\d+)?)([{''.join(UNITS)}])"
)


@dataclass(frozen=True)
class Night:
    """One kind of night."""

    name: str
    what: str
    steps: tuple[tuple[str, str, float, float], ...] = ()
    """Kind, node ("*": each), seconds after the fire, and how many seconds it lasts."""
    at_end: bool = False
    """Whether the time counts from the end of the run."""
    is_long: bool = False
    """Whether each run lasts longer than the time to the next one."""


PROGRAMME: Final = (
    Night("quiet", "nothing goes wrong"),
    Night("deployment", "a deployment over the fire", (("deploy", "*", -30, DOWN),)),
    Night(
        "cut",
        "a deployment ten seconds before the end of the run",
        (("deploy", "*", -10, DOWN),),
        True,
    ),
    Night("freeze", "A is frozen for 30 s over the fire", (("freeze", "A", -10, 30),)),
    Night(
        "crash", "A dies ten seconds before the end of the run", (("crash", "A", -10, DOWN),), True
    ),
    Night("ahead", "the clock of B is two minutes ahead", (("clock", "B", -600, 120),)),
    Night("blocked", "the event loop of A is blocked for two minutes", (("block", "A", -60, 120),)),
    Night("behind", "the clock of A is two minutes behind", (("clock", "A", -600, -120),)),
    Night("outage", "all are down for four minutes over the fire", (("crash", "*", -60, 240),)),
    Night("long", "each run lasts longer than the time to the next", is_long=True),
    *(Night("quiet", "nothing goes wrong"),) * 4,
)


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong on a node."""

    kind: str
    """freeze, crash, clock, deploy or block."""
    node: str
    at: datetime
    seconds: float
    night: int

    @property
    def end(self) -> datetime:
        """When it is over."""
        return self.at + timedelta(seconds=0 if self.kind == "clock" else self.seconds)

    def as_incident(self) -> Incident | None:
        """Return it as an incident of a simulation; None: it is planned by itself."""
        length = timedelta(seconds=self.seconds)
        if self.kind == "freeze":
            return Freeze(self.node, self.at, length)
        if self.kind == "crash":
            return Crash(self.node, self.at, length)
        if self.kind == "clock":
            return ClockJump(self.node, self.at, self.seconds)
        return None


@dataclass
class Plan:
    """What goes wrong in a rehearsal, and when runs are long."""

    start: datetime
    nights: int
    troubles: list[Trouble] = field(default_factory=list)
    given: list[Trouble] = field(default_factory=list)
    """Those of ``troubles`` that are planned for a time of day."""
    long: list[tuple[datetime, datetime]] = field(default_factory=list)

    @property
    def end(self) -> datetime:
        """When the last night is over."""
        return self.start + self.nights * DAY

    @property
    def bad_nights(self) -> int:
        """In how many nights something goes wrong, or runs are long."""
        long = {self.night_of(begin) for begin, _ in self.long}
        return len(long | {trouble.night for trouble in self.troubles})

    def night_of(self, moment: datetime) -> int:
        """Return the number of the night in which a moment lies."""
        return (moment - self.start) // DAY


def check_only(names: Sequence[str], nights: int) -> None:
    """Refuse names of nights that are none, or that a rehearsal of so many nights has not.

    Raises:
        InvalidArgumentError: the programme has no such night, or only later.

    """
    known: dict[str, int] = {}
    for number, night in enumerate(PROGRAMME, start=1):
        known.setdefault(night.name, number)
    for name in names:
        if name not in known:
            raise InvalidArgumentError(
                f"there is no night {name!r}; the programme has {', '.join(known)}"
            )
        if known[name] > nights:
            raise InvalidArgumentError(
                f"the night {name!r} is number {known[name]}, and nights={nights} ends before it; "
                f"write {known[name]}"
            )


def check_incident(text: str, nodes: Sequence[str]) -> None:
    """Refuse an incident of each night that cannot be read.

    Raises:
        InvalidArgumentError: it is not KIND NODE HH:MM LENGTH, or of another node.

    """
    _, node, _, _ = _read(text)
    if node not in nodes:
        raise InvalidArgumentError(
            f"incident {text!r} is of the unknown node {node!r}; the nodes are {', '.join(nodes)}"
        )


def plan_of(
    start: datetime,
    nights: int,
    nodes: Sequence[str],
    fires: Mapping[str, Sequence[int | None]],
    seconds: Mapping[str, float],
    *,
    only: Sequence[str] = (),
    incidents: Sequence[str] = (),
) -> Plan:
    """Return what goes wrong on each night.

    Args:
        start: when the first night begins.
        nights: how many there are; the programme begins again where it is shorter.
        nodes: their names.
        fires: the first fire of each job in each night, in microseconds since 1970; None: none.
        seconds: how long each job lasts.
        only: the names of the nights in which something goes wrong; empty: all of them, unless
            there are ``incidents``.
        incidents: what goes wrong in each night, such as "freeze B 02:50 20m".

    """
    plan = Plan(start, nights)
    for number in range(nights):
        night = PROGRAMME[number % len(PROGRAMME)]
        begin = start + number * DAY
        plan.given += [_of_each_night(text, number, begin) for text in incidents]
        if night.name not in only and (only or incidents):
            continue
        if night.is_long:
            plan.long.append((begin, begin + DAY))
        moments = []
        for job, each in fires.items():
            moment = each[number]
            if moment is not None:
                lasts = round(max(seconds[job], MIN_RUN) * SECOND) if night.at_end else 0
                moments.append(moment + lasts)
        moments = moments or [microseconds(begin + NOTHING_DUE)]
        for moment in _apart(sorted(moments), night):
            plan.troubles += _troubles(night, number, moment, nodes, begin)
    plan.troubles += plan.given
    return plan


def _of_each_night(text: str, number: int, begin: datetime) -> Trouble:
    kind, node, clock, seconds = _read(text)
    at = begin.replace(hour=clock.hour, minute=clock.minute, second=clock.second)
    return Trouble(kind, node, at if at >= begin else at + DAY, seconds, number)


def _read(text: str) -> tuple[str, str, time, float]:
    """Return kind, node, time of day and seconds of an incident."""
    found = INCIDENT.fullmatch(text)
    if found is None:
        raise InvalidArgumentError(
            f"incident {text!r} cannot be read; write freeze, crash, deploy, block or clock, a "
            'node, a Korean time and a length: "freeze B 02:50 20m", "clock A 02:00 -120s"'
        )
    kind, node, clock, number, unit = found.groups()
    seconds = float(number) * UNITS[unit]
    if not seconds or (seconds < 0 and kind != "clock"):
        raise InvalidArgumentError(f"incident {text!r} lasts no time; write 20m, say")
    try:
        return kind, node, time.fromisoformat(clock), seconds
    except ValueError:
        raise InvalidArgumentError(f"incident {text!r}: {clock} is no time of day") from None


def _apart(moments: Sequence[int], night: Night) -> list[int]:
    """Leave out what is due before all is over that goes wrong around the last moment."""
    begins = [after for _, _, after, _ in night.steps]
    ends = [
        after + (SET_RIGHT if kind == "clock" else lasts) for kind, _, after, lasts in night.steps
    ]
    apart = round((max(ends, default=0) - min(begins, default=0)) * SECOND) + APART
    kept: list[int] = []
    for moment in moments:
        if not kept or moment - kept[-1] >= apart:
            kept.append(moment)
    return kept[:MAX_TROUBLES]


def _troubles(
    night: Night, number: int, moment: int, nodes: Sequence[str], begin: datetime
) -> list[Trouble]:
    found = []
    for kind, name, after, lasts in night.steps:
        for node in nodes if name == "*" else [name]:
            at = moment_at(moment).astimezone(KST) + timedelta(seconds=after)
            if node not in nodes or at < begin or at >= begin + DAY:
                continue
            found.append(Trouble(kind, node, at, lasts, number))
            if kind == "clock":  # set right again after a quarter of an hour
                back = at + timedelta(seconds=SET_RIGHT)
                found.append(Trouble(kind, node, back, -lasts, number))
    return found
