"""Run Python jobs with APScheduler 3.11 on Korean time.

What adds a job and runs it is imported at once. The Reconciler, tables of runs, databases,
simulations and pictures are imported when they are first asked for, and pandas when the first table
is made: they are slow to load.

``once`` and ``fire_times`` are functions here and rooms too. Import from those rooms with ``from``:
``from kst_scheduler.once import locks``. ``import kst_scheduler.once.locks as locks`` fails.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kst_scheduler.errors import (
    AttemptsUsedUpError,
    InvalidArgumentError,
    JobConflictError,
    KSTSchedulerError,
    LeaseLostError,
    LedgerUnavailableError,
    LedgerVersionError,
    LockedOutError,
    MissingExtraError,
    NaiveDatetimeError,
    NoOccurrenceError,
    NotRunningError,
    RefusedError,
    ServerError,
    SimulationBlockedError,
    SimulationError,
    SimulationStuckError,
    TargetError,
    TimezoneError,
    UnknownJobError,
)
from kst_scheduler.extras import are_installed
from kst_scheduler.fire_times import fire_times
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.scheduler.agreement import JobWarning
from kst_scheduler.scheduler.drain import DrainResult
from kst_scheduler.scheduler.executor import EVENT_JOB_LOCKED_OUT, OccurrenceExecutor
from kst_scheduler.scheduler.kst_scheduler import JOB_DEFAULTS, KSTScheduler
from kst_scheduler.scheduler.occurrence import AlreadyRunningError, Occurrence, current_occurrence
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import BusinessDayTrigger, on_business_days
from kst_scheduler.triggers.factories import TriggerWarning, at, cron, crontab, every
from kst_scheduler.triggers.holidays import BusinessDays
from kst_scheduler.triggers.spread import spread
from kst_scheduler.triggers.wording import describe, preview

if TYPE_CHECKING:
    from kst_scheduler.ledger import SqlLedger
    from kst_scheduler.once.reconcile import Reconciler
    from kst_scheduler.runs import RunRecorder, broken_promises, duplicates, fates, lateness
    from kst_scheduler.servers import embedded_postgres, embedded_valkey
    from kst_scheduler.simulation import (
        ClockJump,
        Crash,
        Freeze,
        Node,
        SimulationResult,
        current_node,
        simulate,
    )
    from kst_scheduler.timeline import (
        FontWarning,
        plot_fire_times,
        plot_lateness,
        plot_month,
        plot_timeline,
        plot_year,
    )

__all__ = [
    "EVENT_JOB_LOCKED_OUT",
    "JOB_DEFAULTS",
    "KST",
    "AlreadyRunningError",
    "AttemptsUsedUpError",
    "BusinessDayTrigger",
    "BusinessDays",
    "ClockJump",
    "Crash",
    "DrainResult",
    "FontWarning",
    "Freeze",
    "InvalidArgumentError",
    "JobConflictError",
    "JobWarning",
    "KSTScheduler",
    "KSTSchedulerError",
    "LeaseLostError",
    "LedgerUnavailableError",
    "LedgerVersionError",
    "LockedOutError",
    "MemoryLedger",
    "MissingExtraError",
    "NaiveDatetimeError",
    "NoOccurrenceError",
    "Node",
    "NotRunningError",
    "Occurrence",
    "OccurrenceExecutor",
    "Reconciler",
    "RefusedError",
    "RunRecorder",
    "ServerError",
    "SimulationBlockedError",
    "SimulationError",
    "SimulationResult",
    "SimulationStuckError",
    "SqlLedger",
    "TargetError",
    "TimezoneError",
    "TriggerWarning",
    "UnknownJobError",
    "at",
    "broken_promises",
    "cron",
    "crontab",
    "current_node",
    "current_occurrence",
    "describe",
    "duplicates",
    "embedded_postgres",
    "embedded_valkey",
    "every",
    "fates",
    "fire_times",
    "kst",
    "lateness",
    "on_business_days",
    "once",
    "plot_fire_times",
    "plot_lateness",
    "plot_month",
    "plot_timeline",
    "plot_year",
    "preview",
    "redis_lock",
    "simulate",
    "spread",
]

_LATE = {
    "SqlLedger": "kst_scheduler.ledger",
    "Reconciler": "kst_scheduler.once.reconcile",
    **dict.fromkeys(
        ["RunRecorder", "broken_promises", "duplicates", "fates", "lateness"],
        "kst_scheduler.runs",
    ),
    **dict.fromkeys(["embedded_postgres", "embedded_valkey"], "kst_scheduler.servers"),
    **dict.fromkeys(
        [
            "ClockJump",
            "Crash",
            "Freeze",
            "Node",
            "SimulationResult",
            "current_node",
            "simulate",
        ],
        "kst_scheduler.simulation",
    ),
    **dict.fromkeys(
        [
            "FontWarning",
            "plot_fire_times",
            "plot_lateness",
            "plot_month",
            "plot_timeline",
            "plot_year",
        ],
        "kst_scheduler.timeline",
    ),
}


_PACKAGES = {
    "kst_scheduler.ledger": ["sqlalchemy"],
    "kst_scheduler.simulation": ["greenlet", "pandas", "time_machine"],
    "kst_scheduler.timeline": ["matplotlib", "pandas"],
}
"""What a room needs of an extra at its import."""
_MISSING = {room for room, packages in _PACKAGES.items() if not are_installed(*packages)}
# Python imports all that __all__ names, so `from kst_scheduler import *` takes what is usable here.
__all__[:] = [name for name in __all__ if _LATE.get(name) not in _MISSING]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
