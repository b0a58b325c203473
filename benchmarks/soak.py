"""A real cluster that is broken on purpose for minutes: does anything run twice, or vanish?

Purpose: three replicas and two workers, as processes, on a real PostgreSQL and a real Valkey. Five
  jobs a second run on the replicas, behind a lock as well; 20 a second are handed off to workers
  that can run 16, so the queue is full. All the while processes are killed (kill -9), frozen
  (SIGSTOP) or exchanged (SIGTERM), and the servers are killed and restarted. A journal, to which
  every run writes when it begins and when it has done its work, is compared with the ledger's rows
  at the end (tests/real_faults.py). Prints what was broken, how often, and what ran.
Limits: a lease is two seconds, so that many are lost; occurrences are caught up for 20 s.
Run: ``uv run python benchmarks/soak.py --minutes 5``
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

# The cluster is that of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
QUEUED_JOBS = 20
os.environ["QUEUED_JOBS"] = str(QUEUED_JOBS)

from kst_scheduler.servers.embedded import EmbeddedServer  # noqa: E402 - after the path is set
from kst_scheduler.servers.postgres import Postgres  # noqa: E402
from kst_scheduler.servers.valkey import Valkey  # noqa: E402
from real_cluster import NODES, Cluster  # noqa: E402
from real_faults import Breaker, check_ended_once, settle  # noqa: E402
from real_node import CATCH_UP  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1, help="how long it is broken")
    parser.add_argument("--seed", type=int, help="of what is broken when; a random one by default")
    return parser.parse_args()


def report(history: pd.DataFrame, witnessed: pd.DataFrame, breaker: Breaker) -> None:
    """Print what was broken, and what ran."""
    print(f"broken on purpose, {sum(breaker.broken.values())} times:")
    for what, often in sorted(breaker.broken.items()):
        print(f"  {often:4} {what}")
    counts = history["status"].astype(str).value_counts()
    statuses = ", ".join(f"{often:,} {status}" for status, often in counts.items())
    begun = (witnessed["event"] == "begin").sum()
    print(f"{len(history):,} occurrences, each with one row: {statuses}")
    again = (history["attempt"] > 1).sum()
    print(f"{begun:,} runs began; {again:,} occurrences were tried more than once")


def main() -> None:
    """Break the cluster for as long as asked; any broken promise is an AssertionError."""
    asked = arguments()
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    print(f"seed {seed}, {asked.minutes:g} minutes", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServer(Postgres()) as postgres,
        EmbeddedServer(Valkey()) as valkey,
        Cluster(postgres, valkey, Path(folder), (*NODES, "W1", "W2")) as cluster,
    ):
        cluster.wait_until_up()
        breaker = Breaker(cluster, Random(seed))  # noqa: S311 - no secret
        breaker.break_for(60 * asked.minutes)
        history = settle(cluster, CATCH_UP.total_seconds() + 10, QUEUED_JOBS)
        witnessed = cluster.witnessed()
        again = check_ended_once(history, witnessed)
    report(history, witnessed, breaker)
    print(f"{again} did their work twice, as the first could not be written: their rows say so")
    print("none vanished, and none began again before its former lease was over")


if __name__ == "__main__":
    main()
