"""One of each fault in ten seconds, in place of the long tests beside it, which have a minute."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from real_cluster import check_after_faults, check_no_overlap, row_of
from real_node import JOBS

if TYPE_CHECKING:
    from real_cluster import Cluster


def check_before_faults(cluster: Cluster) -> None:
    """Each occurrence has run once, and no two runs of a job together."""
    witnessed, history = cluster.witnessed(), cluster.history()
    # On a busy machine a run may last until the next one is due, which is skipped then.
    assert set(history["status"]) <= {"ok", "running", "skipped"}
    assert set(history.loc[history["status"] != "skipped", "attempt"]) == {1}
    assert not witnessed.duplicated(["event", "key"]).any()
    ended = witnessed["key"][witnessed["event"] == "end"]
    assert len(ended) >= 2 * JOBS
    check_no_overlap(witnessed[witnessed["key"].isin(ended)])


def test_one_of_each_fault_loses_nothing(cluster: Cluster) -> None:
    """A frozen holder, a killed one, and kill -9 of both servers: all is run or has its reason."""
    cluster.wait_for_runs(2)
    check_before_faults(cluster)
    frozen, kept = cluster.freeze_in_the_middle()
    killed, lost = cluster.freeze_in_the_middle(besides=frozen)
    cluster.kill(killed)
    for key in (kept, lost):
        cluster.wait_for_end(key)
    ended_by_others = row_of(cluster.history(), kept)
    cluster.processes[frozen].send_signal(signal.SIGCONT)
    cluster.wait_for_runs(1)
    for server in (cluster.postgres, cluster.valkey):
        server.kill()
    for server in (cluster.postgres, cluster.valkey):
        server.restart()
    cluster.wait_for_runs(2)
    cluster.stop()
    history = cluster.history()
    check_after_faults(history, cluster.witnessed())
    assert row_of(history, kept).equals(ended_by_others)
    for node, key in ((frozen, kept), (killed, lost)):
        assert f"attempt 1 on {node} lost its lease" in str(row_of(history, key)["detail"])
