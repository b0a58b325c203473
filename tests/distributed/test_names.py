from __future__ import annotations

from datetime import timedelta

import pytest

from handed_off import NOWHERE
from kst_scheduler.distributed import task_app
from kst_scheduler.distributed.names import MAX_BYTES, lock_of, queue_name, queue_of
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import kst

NPS = Occurrence("nps", kst(2026, 5, 10, 3))


def test_each_namespace_has_a_queue() -> None:
    """Without one it is that of before there were namespaces: what waits there is still run."""
    assert queue_name("") == "kst_scheduler"
    assert queue_name("billing") == "kst_scheduler/billing"
    assert queue_of(task_app(NOWHERE, namespace="billing")) == "kst_scheduler/billing"


@pytest.mark.parametrize("namespace", ["x" * 27, "x" * 500, "결제" * 5])
def test_a_long_namespace_fits_a_channel_of_postgresql(namespace: str) -> None:
    """In bytes; and two that begin in the same way have two queues."""
    name = queue_name(namespace)
    assert len(name.encode()) == MAX_BYTES
    assert name.startswith("kst_scheduler/")
    assert name != queue_name(namespace + "x")


def test_a_lock_is_of_its_namespace() -> None:
    """Procrastinate's locks hold for the whole table."""
    assert lock_of(task_app(NOWHERE), NPS) == NPS.key
    billing = task_app(NOWHERE, namespace="billing")
    assert lock_of(billing, NPS) == f"kst_scheduler/billing: {NPS.key}"
    later = Occurrence("nps", NPS.scheduled_at + timedelta(days=1))
    assert lock_of(billing, NPS) != lock_of(billing, later)
