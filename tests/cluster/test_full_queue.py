from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from kst_scheduler.servers.valkey import Valkey
from real_cluster import NODES, Cluster
from real_faults import Breaker, check_ended_once, settle

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

QUEUED_JOBS = 20
"""Due a second; the worker runs eight."""


def test_a_full_queue_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More is due than one worker can run, and it is killed: all have rows, and no run too many."""
    monkeypatch.setenv("QUEUED_JOBS", str(QUEUED_JOBS))
    monkeypatch.setenv("CATCH_UP_SECONDS", "3")
    nodes = (*NODES[:2], "W1")
    with (
        EmbeddedServer(Postgres()) as postgres,
        EmbeddedServer(Valkey()) as valkey,
        Cluster(postgres, valkey, tmp_path, nodes) as cluster,
    ):
        cluster.wait_until_up()
        cluster.run_on(2)
        Breaker(cluster, Random(0)).kill("W1")  # noqa: S311 - no secret
        history = settle(cluster, 5, QUEUED_JOBS)
        check_ended_once(history, cluster.witnessed())
    queued = history[history["job_id"].str.startswith("queued")]
    assert {"ok", "missed"} <= set(queued["status"]), queued["status"].value_counts()
