"""Run the real APScheduler for days of Korean time within milliseconds, with faults on demand."""

from kst_scheduler.extras import require_extra

with require_extra("simulation", "simulate()"):
    from kst_scheduler.simulation.incidents import ClockJump, Crash, Freeze, Incident, Node
    from kst_scheduler.simulation.simulate import SimulationResult, current_node, simulate

__all__ = [
    "ClockJump",
    "Crash",
    "Freeze",
    "Incident",
    "Node",
    "SimulationResult",
    "current_node",
    "simulate",
]
