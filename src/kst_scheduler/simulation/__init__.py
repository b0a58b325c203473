"""Run the real APScheduler for days of Korean time within milliseconds, with faults on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.extras import require_extra

with require_extra("simulation", "simulate()"):
    from kst_scheduler.simulation.incidents import ClockJump, Crash, Freeze, Incident, Node
    from kst_scheduler.simulation.result import SimulationInterrupted, SimulationResult
    from kst_scheduler.simulation.simulate import current_node, simulate
    from kst_scheduler.simulation.work import WorkLog

if TYPE_CHECKING:
    from kst_scheduler.simulation.redis_server import SimulatedRedis

__all__ = [
    "ClockJump",
    "Crash",
    "Freeze",
    "Incident",
    "Node",
    "SimulatedRedis",
    "SimulationInterrupted",
    "SimulationResult",
    "WorkLog",
    "current_node",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name != "SimulatedRedis":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kst_scheduler.simulation.redis_server import SimulatedRedis  # noqa: PLC0415 - an extra

    return SimulatedRedis
