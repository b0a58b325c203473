"""What goes wrong in a simulation, and when: freezes, crashes and clocks that jump."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import NAT, moments
from kst_scheduler.timezone import require_aware

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Node:
    """A simulated process on its own host. Its clock is ``clock_offset`` seconds ahead."""

    name: str
    clock_offset: float = 0.0


@dataclass(frozen=True)
class Freeze:
    """The node's process is frozen, as after SIGSTOP or while its virtual machine is migrated."""

    node: str
    at: datetime
    duration: timedelta

    @property
    def end(self) -> datetime:
        """When the process continues. What became due in the meantime is handled then."""
        return self.at + self.duration


@dataclass(frozen=True)
class Crash:
    """The node's process dies, as after kill -9. It restarts after ``restart_after``; None: never.

    Its memory is lost. What its jobs wrote to a file, a database or Redis stays. Their ``finally``
    blocks do not run at the crash: Python runs them when the simulation is over.
    """

    node: str
    at: datetime
    restart_after: timedelta | None = None

    @property
    def end(self) -> datetime | None:
        """When the new process starts; None: never."""
        return None if self.restart_after is None else self.at + self.restart_after


@dataclass(frozen=True)
class ClockJump:
    """The wall clock of the node's host is set forward, or back if ``seconds`` is negative.

    Timers do not change: asyncio's follow the monotonic clock. So a plain AsyncIOScheduler wakes up
    too late after a jump forward. A KSTScheduler notices the jump within a minute: it checks the
    wall clock once a minute (scheduler.wall_clock).
    """

    node: str
    at: datetime
    seconds: float

    @property
    def end(self) -> datetime:
        """The time of the jump: it takes no time."""
        return self.at


Incident: TypeAlias = Freeze | Crash | ClockJump

MAX_SECONDS: Final = 10 * 366 * 24 * 3600
"""By how much a clock may be off."""
MAX_PRINTED: Final = 10**15
"""A number this large or larger is not printed: it may have hundreds of digits."""
MIN_SHOWN: Final = datetime(1970, 1, 1, tzinfo=UTC).timestamp()
MAX_SHOWN: Final = datetime(9998, 12, 31, tzinfo=UTC).timestamp()
"""What a clock may show; a CronTrigger knows no year before."""

KINDS = {Freeze: "freeze", Crash: "crash", ClockJump: "clock_jump"}


def check_nodes(nodes: int | Sequence[Node]) -> list[Node]:
    """Return the nodes; a count of them is named A, B, C and so on.

    Raises:
        InvalidArgumentError: there is no node, more than 26 without names, or a name twice.

    """
    if isinstance(nodes, int) and not isinstance(nodes, bool):
        if not 1 <= nodes <= 26:  # noqa: PLR2004 - letters of the alphabet
            raise InvalidArgumentError(
                f"nodes={nodes} is not from 1 to 26; name more with a list of Node(...)"
            )
        return [Node(chr(ord("A") + index)) for index in range(nodes)]
    if not isinstance(nodes, list | tuple) or not all(isinstance(each, Node) for each in nodes):
        raise InvalidArgumentError(
            f"nodes={nodes!r} is neither a count nor a list of nodes; write nodes=2, or "
            'nodes=[Node("A"), Node("B", clock_offset=30)]'
        )
    for node in nodes:
        _check_seconds(node.clock_offset, f"{node!r}: clock_offset")
        if not isinstance(node.name, str) or not node.name:
            raise InvalidArgumentError(f'{node!r}: name is not a text; write Node("A")')
    names = [node.name for node in nodes]
    if not names:
        raise InvalidArgumentError("nodes=[] leaves nobody to run the jobs; write nodes=1")
    if len(set(names)) < len(names):
        raise InvalidArgumentError(f"two nodes have the same name: {', '.join(sorted(names))}")
    return list(nodes)


def check_incidents(
    incidents: Sequence[Incident], nodes: Sequence[Node], start: datetime, end: datetime
) -> list[Incident]:
    """Return the incidents in the order in which they happen.

    Raises:
        InvalidArgumentError: one of them is of an unknown node, outside the simulated span, has no
            length, or begins while the node is still frozen or down from another.

    """
    if not isinstance(incidents, list | tuple):
        raise InvalidArgumentError(
            f"incidents={incidents!r} is not a list; write "
            'incidents=[Freeze("A", kst(2026, 5, 10, 3), timedelta(minutes=30))]'
        )
    names = [node.name for node in nodes]
    for incident in incidents:
        _check_incident(incident, names, start, end)
    ordered = sorted(incidents, key=lambda incident: incident.at)
    for name in names:
        lasting = [each for each in ordered if each.node == name and type(each) is not ClockJump]
        for earlier, later in itertools.pairwise(lasting):
            if earlier.end is None or later.at < earlier.end:
                raise InvalidArgumentError(
                    f"overlapping incidents on node {name}: {later} begins before {earlier} is over"
                )
    for node in nodes:
        _check_clock(node, ordered, start, end)
    return ordered


def incidents_table(incidents: Sequence[Incident]) -> pd.DataFrame:
    """Return one row an incident: node, kind, start, end (NaT: never over), detail."""
    return pd.DataFrame(
        {
            "node": pd.array([each.node for each in incidents], dtype="str"),
            "kind": pd.array([KINDS[type(each)] for each in incidents], dtype="str"),
            "start": moments(_instants([each.at for each in incidents])),
            "end": moments(_instants([each.end for each in incidents])),
            "detail": pd.array([_detail(each) for each in incidents], dtype="str"),
        }
    )


def _check_incident(
    incident: Incident, names: Sequence[str], start: datetime, end: datetime
) -> None:
    kind = type(incident).__name__
    if type(incident) not in KINDS:
        raise InvalidArgumentError(f"{incident!r} is not a Freeze, a Crash or a ClockJump")
    if incident.node not in names:
        raise InvalidArgumentError(
            f"{kind} names the unknown node {incident.node!r}; the nodes are {', '.join(names)}"
        )
    require_aware(incident.at, f"{kind}.at")
    if not start <= incident.at < end:
        raise InvalidArgumentError(
            f"{incident} lies outside the simulated span, {start.isoformat()} to {end.isoformat()}"
        )
    if isinstance(incident, ClockJump):
        _check_seconds(incident.seconds, f"{kind}: seconds")
    elif not isinstance(_length(incident), timedelta | None):
        raise InvalidArgumentError(f"{incident} lasts no timedelta; write timedelta(minutes=30)")
    try:
        length = incident.end - incident.at if incident.end is not None else None
    except OverflowError as error:
        raise InvalidArgumentError(
            f"{incident} ends after the year 9999; write timedelta(minutes=30)"
        ) from error
    if type(incident) is not ClockJump and length is not None and length <= timedelta(0):
        raise InvalidArgumentError(f"{incident} lasts no time; give it a positive timedelta")


def _length(incident: Freeze | Crash) -> object:
    """Return how long it lasts; None: it is never over, as only a crash can be."""
    if isinstance(incident, Freeze):
        return incident.duration if incident.duration is not None else ""
    return incident.restart_after


def _check_seconds(seconds: object, name: str) -> None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds != seconds:  # noqa: PLR0124 - NaN
        raise InvalidArgumentError(
            f"{name}={seconds!r} is not a finite number of seconds; write one, such as 30"
        )
    if abs(seconds) > MAX_SECONDS:
        number = f"={seconds:g}" if abs(seconds) < MAX_PRINTED else ""
        raise InvalidArgumentError(
            f"{name}{number} is more than ten years; write a finite number of seconds, such as 30"
        )


def _check_clock(node: Node, incidents: Sequence[Incident], start: datetime, end: datetime) -> None:
    """Refuse a clock that would show a year that no datetime has, or no CronTrigger."""
    offset = node.clock_offset
    jumps = [each for each in incidents if isinstance(each, ClockJump) and each.node == node.name]
    for cause, seconds in [(node, 0.0), *((jump, jump.seconds) for jump in jumps)]:
        offset += seconds
        for moment in (start, end):
            shown = moment.timestamp() + offset
            if offset and not MIN_SHOWN <= shown <= MAX_SHOWN:
                raise InvalidArgumentError(
                    f"{cause} sets the clock of node {node.name} by {offset:+,.0f} s in all, so it "
                    "would show a year that is not from 1970 to 9998; write fewer seconds"
                )


def _instants(times: Sequence[datetime | None]) -> NDArray[np.int64]:
    return np.array([NAT if each is None else microseconds(each) for each in times], np.int64)


def _detail(incident: Incident) -> str:
    if isinstance(incident, ClockJump):
        return f"clock {incident.seconds:+g} s"
    if isinstance(incident, Crash) and incident.restart_after is None:
        return "not restarted"
    return ""
