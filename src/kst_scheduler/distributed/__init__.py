"""Hand scheduled jobs to workers on any machine, by way of Procrastinate on the same PostgreSQL."""

from __future__ import annotations

from kst_scheduler.errors import MissingExtraError

try:
    from kst_scheduler.distributed.handing import hand_off
    from kst_scheduler.distributed.queue import task_app
    from kst_scheduler.distributed.worker import work
except ModuleNotFoundError as error:
    if error.name not in {"procrastinate", "psycopg", "psycopg_pool", "sqlalchemy"}:
        raise
    raise MissingExtraError(
        f"jobs cannot be handed off without {error.name}; "
        "write pip install 'kst-scheduler[distributed]'"
    ) from error

__all__ = ["hand_off", "task_app", "work"]
