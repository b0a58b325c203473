from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from real_cluster import SECONDS, check_after_faults, row_of
from real_node import JOBS, LEASE

if TYPE_CHECKING:
    from real_cluster import Cluster

pytestmark = pytest.mark.long


def test_a_killed_process_loses_no_occurrence(cluster: Cluster) -> None:
    """Kill -9 in the middle of a run: it is run again, elsewhere, once its lease is over."""
    cluster.run_on(SECONDS / 4)
    node, key = cluster.freeze_in_the_middle()
    cluster.processes[node].kill()
    cluster.processes[node].wait()
    time.sleep(SECONDS / 4)  # two replicas go on
    cluster.start(node)
    cluster.wait_until_up(node)
    cluster.run_on(SECONDS / 2)
    cluster.stop()
    history = cluster.history()
    check_after_faults(history, cluster.witnessed())
    assert len(history) >= JOBS * SECONDS
    lost = row_of(history, key)
    assert f"attempt 1 on {node} lost its lease" in str(lost["detail"])


@pytest.mark.parametrize("seconds_between_fires", [8])
def test_a_frozen_holder_does_not_write_over_its_successor(cluster: Cluster) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT: the row stays the successor's."""
    node, key = cluster.freeze_in_the_middle()
    time.sleep(2.5 * LEASE.total_seconds())
    taken_over = row_of(cluster.history(), key)
    cluster.processes[node].send_signal(signal.SIGCONT)
    cluster.run_on(2)
    cluster.stop()
    history, witnessed = cluster.history(), cluster.witnessed()
    check_after_faults(history, witnessed, 8)
    assert taken_over["node"] != node
    assert taken_over["status"] == "ok"
    assert taken_over["attempt"] == 2
    assert row_of(history, key).equals(taken_over)
    ended = witnessed[(witnessed["event"] == "end") & (witnessed["key"] == key)]
    assert node not in set(ended["node"])
