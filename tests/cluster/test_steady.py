from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from real_cluster import SECONDS, check_complete, check_no_overlap
from real_node import JOBS

if TYPE_CHECKING:
    from real_cluster import Cluster

pytestmark = pytest.mark.long


def test_three_processes_run_each_occurrence_once(cluster: Cluster) -> None:
    """Five fires a second for 20 s on three processes: one ok row each, and one run each."""
    cluster.run_on()
    cluster.stop()
    history, witnessed = cluster.history(), cluster.witnessed()
    check_complete(history)
    assert set(history["status"]) == {"ok"}
    assert set(history["attempt"]) == {1}
    assert len(history) >= JOBS * SECONDS
    begun = witnessed[witnessed["event"] == "begin"]
    assert len(begun) == len(history)
    assert not begun.duplicated(["job_id", "scheduled_at"]).any()
    check_no_overlap(witnessed)
