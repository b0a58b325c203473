"""Rehearse a service of your own: run it through a programme of bad nights, and look."""

from kst_scheduler.extras import require_extra

with require_extra("simulation", "rehearse()"):
    from kst_scheduler.rehearsal.findings import Finding, explain
    from kst_scheduler.rehearsal.rehearse import Rehearsal, rehearse

__all__ = ["Finding", "Rehearsal", "explain", "rehearse"]
