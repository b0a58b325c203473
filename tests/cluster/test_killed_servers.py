from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from real_cluster import SECONDS, check_after_faults
from real_node import JOBS, LEASE

if TYPE_CHECKING:
    from real_cluster import Cluster

pytestmark = pytest.mark.long


def test_killed_servers_lose_no_occurrence(cluster: Cluster) -> None:
    """Kill -9 of PostgreSQL and of Valkey, each back at once, and each away longer than a lease."""
    for outage in (0.0, 1.5 * LEASE.total_seconds()):
        for server in (cluster.postgres, cluster.valkey):
            cluster.run_on(SECONDS / 6)
            server.kill()
            time.sleep(outage)
            server.restart()
    cluster.run_on(SECONDS / 3)
    cluster.stop()
    history = cluster.history()
    check_after_faults(history, cluster.witnessed())
    assert len(history) >= JOBS * SECONDS
    assert (history["status"] == "ok").sum() >= JOBS * SECONDS / 2
