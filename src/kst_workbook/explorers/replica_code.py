"""A night of replicas as Python, for a reader to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kst_workbook.explorers.as_code import freezes_as_code, moment_as_code
from kst_workbook.explorers.replica_night import (
    END,
    FREEZE_AT,
    JOB_ID,
    LOCK,
    NO_LOCK,
    ONCE,
    PIECE,
    POLL,
    REDIS_LOCK,
    REFUSES,
    START,
    WAITS,
)

if TYPE_CHECKING:
    from kst_workbook.explorers.replica_night import Night

_IMPORTS: Final = """\
import asyncio
from datetime import timedelta

from kst_scheduler import Freeze, Node, kst, plot_timeline, simulate
from kst_scheduler.simulation import SimulatedRedis, WorkLog
"""


def write_code(night: Night) -> str:
    """Return Python that simulates the same night and draws its runs."""
    return f"""\
{_IMPORTS}{_more_imports(night)}
server, written = SimulatedRedis(), WorkLog()


async def work():
    written.note()
    for _ in range({night.job // PIECE}):  # a freeze stops the work, too
        await asyncio.sleep({PIECE})
        written.note()

{_job(night)}

def register(scheduler):
    scheduler.add_job({_registered(night)}, "cron", minute="0,15", id="{JOB_ID}")


nodes = [{", ".join(_node(*each) for each in night.offsets.items())}]
incidents = {freezes_as_code("A", FREEZE_AT, night.freeze)}
start, end = {moment_as_code(START)}, {moment_as_code(END)}
result = written.with_work_starts(simulate(register, start, end, nodes, incidents))
plot_timeline(result)
"""


def _node(name: str, offset: int) -> str:
    return f'Node("{name}", {offset})' if offset else f'Node("{name}")'


def _more_imports(night: Night) -> str:
    return {
        REDIS_LOCK: "from kst_scheduler.once import redis_lock\n",
        ONCE: "from kst_scheduler import MemoryLedger, current_node\n"
        "from kst_scheduler.once import once, redis_lock\n",
    }.get(night.lock, "")


def _job(night: Night) -> str:
    """Return what puts the work under the lock."""
    if night.lock == NO_LOCK:
        return ""
    if night.lock == ONCE:
        return f"""
ledger, lease = MemoryLedger(), timedelta(seconds={night.lease})


def lock():
    return {_lock(night)}


def locked():
    return once(ledger, lock, lease=lease, instance=current_node())(work)
"""
    return f"""
async def locked():
    async with {_lock(night)}:
        await work()
"""


def _lock(night: Night) -> str:
    if night.lock == WAITS:
        return f'server.client().lock("{LOCK}", timeout={night.lease}, sleep={POLL})'
    if night.lock == REFUSES:
        return f'server.client().lock("{LOCK}", timeout={night.lease}, blocking=False)'
    return f'redis_lock("{LOCK}", {night.lease}, client=server.client())'


def _registered(night: Night) -> str:
    return {NO_LOCK: "work", ONCE: "locked()"}.get(night.lock, "locked")
