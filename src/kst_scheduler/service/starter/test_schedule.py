"""Tests of the schedule in virtual time. They run no real job, and need no database."""

from datetime import timedelta
from functools import partial

from kst_scheduler import Freeze, KSTScheduler, MemoryLedger, kst, simulate
from kst_scheduler.rehearsal import rehearse
from kst_scheduler.service import Service

import my_service


def test_bad_nights() -> None:
    """Two replicas go through two weeks with deployments, crashes, freezes and wrong clocks."""
    assert rehearse("my_service:register")


def test_a_frozen_replica() -> None:
    """Replica A is frozen at 03:00, so B runs the job, on time and once."""
    frozen = Freeze("A", at=kst(2026, 5, 10, 2, 59), duration=timedelta(minutes=2))
    night = simulate(
        partial(add_jobs, ledger=MemoryLedger()),
        start=kst(2026, 5, 10, 0),
        end=kst(2026, 5, 10, 6),
        nodes=2,
        incidents=[frozen],
    )
    runs = night.runs[night.runs["status"] == "ok"]
    assert [*runs["node"]] == ["B"]
    assert [*runs["started_at"]] == [kst(2026, 5, 10, 3)]


def add_jobs(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
    """Add the service's jobs to one replica; all replicas share the ledger."""
    my_service.register(Service(scheduler, ledger))
