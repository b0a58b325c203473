"""Break a real cluster on purpose, again and again, and see whether anything ran twice or vanished.

Used by the tests, for seconds, and by ``benchmarks/soak.py``, for minutes.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pandas as pd

from kst_scheduler.timezone import KST
from real_cluster import check_after_faults
from real_node import JOBS, LEASE

if TYPE_CHECKING:
    from random import Random

    from kst_scheduler.servers import Server
    from real_cluster import Cluster

OUTAGES: Final = (0.0, 0.5, 1.5)
"""How long a process or a server is away, in leases."""

SERVERS: Final = 0.3
"""How often it is a server that is broken, and not a node."""


@dataclass
class Breaker:
    """Breaks one thing after another, by a random number generator of its own."""

    cluster: Cluster
    random: Random
    broken: Counter[str] = field(default_factory=Counter)
    """What was broken, and how often."""

    def break_for(self, seconds: float, pause: float = 2) -> None:
        """Break things for so long; each is whole again before the next one is broken."""
        give_up_at = time.monotonic() + seconds
        of_nodes = [self.kill, self.freeze, self.redeploy]
        while time.monotonic() < give_up_at:
            if self.random.random() < SERVERS:
                self._crash_server()
            else:
                self.random.choice(of_nodes)(self.random.choice(self.cluster.nodes))
            time.sleep(pause * self.random.random())

    def kill(self, node: str) -> None:
        """Kill a process, and start a new one after a while."""
        self._note("kill -9 of a {}, and a new one", node)
        self.cluster.processes[node].kill()
        self.cluster.processes[node].wait()
        self._wait()
        self._start(node)

    def freeze(self, node: str) -> None:
        """Let a process stand still for a while."""
        self._note("SIGSTOP of a {}, then SIGCONT", node)
        self.cluster.processes[node].send_signal(signal.SIGSTOP)
        self._wait()
        self.cluster.processes[node].send_signal(signal.SIGCONT)

    def redeploy(self, node: str) -> None:
        """Let a process drain, and start a new one."""
        self._note("SIGTERM of a {}, and a new one", node)
        process = self.cluster.processes[node]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, self.cluster.log(node)
        self._start(node)

    def _start(self, node: str) -> None:
        """Start a process, which needs the servers only to come up."""
        self.cluster.start(node)
        self.cluster.wait_until_up(node)

    def _crash_server(self) -> None:
        name: str = self.random.choice(["postgres", "valkey"])
        self.broken[f"kill -9 of {name}, and a restart"] += 1
        server: Server = getattr(self.cluster, name)
        server.kill()
        self._wait()
        server.restart()

    def _note(self, what: str, node: str) -> None:
        self.broken[what.format("worker" if node.startswith("W") else "replica")] += 1

    def _wait(self) -> None:
        time.sleep(LEASE.total_seconds() * self.random.choice(OUTAGES))


def settle(cluster: Cluster, seconds: float, queued_jobs: int) -> pd.DataFrame:
    """Let the cluster alone until all is in order again, stop it, and check what it did.

    What was due in the last ``seconds`` may still have waited for its turn; it is not judged.

    Returns:
        The ledger's rows that were judged, as a table of runs.

    """
    since = pd.Timestamp.now(KST)
    cluster.run_on(seconds)
    cluster.stop()
    history, witnessed = cluster.history(), cluster.witnessed()
    judged = history[history["scheduled_at"] < since]
    seen = witnessed[witnessed["scheduled_at"] < since]
    check_after_faults(judged, seen, jobs=JOBS + queued_jobs)
    last = judged.groupby("job_id")["scheduled_at"].max()
    assert (last >= since - pd.Timedelta(seconds=2)).all(), last
    return judged


def check_ended_once(history: pd.DataFrame, witnessed: pd.DataFrame) -> int:
    """Nothing ended twice, but where a first end could not be written; return how often that was.

    A run that did its work, and died before it could write so, is repeated: the row says it.
    """
    ends = witnessed[witnessed["event"] == "end"].groupby(["job_id", "scheduled_at"]).size()
    again = ends[ends > 1]
    rows = history.set_index(["job_id", "scheduled_at"])
    for key in again.index:
        assert "lost its lease at" in str(rows.loc[key, "detail"]), key
    return len(again)
