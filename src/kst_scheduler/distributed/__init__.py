"""Hand scheduled jobs to workers on any machine, by way of Procrastinate on the same PostgreSQL."""

from __future__ import annotations

from kst_scheduler.extras import require_extra

with require_extra("distributed", "the queue of jobs that are handed off"):
    from kst_scheduler.distributed.handoff import hand_off
    from kst_scheduler.distributed.queue import task_app
    from kst_scheduler.distributed.worker import work

__all__ = ["hand_off", "task_app", "work"]
