"""Calls of many clients to a ledger on a real database: is each row's history linearizable?

Purpose: four processes of eight clients each call a ledger in SQLite, then one in PostgreSQL. They
  claim, renew, finish, miss, look at and close rows, all of them the same twelve at a time, with
  leases of 20 to 100 ms. Processes are killed (kill -9), and so is PostgreSQL; connections are cut,
  and some answers are not waited for. Each call is noted with its time, the time of its answer, and
  its answer (tests/linear). Then the calls about each row are checked against the model of a row.
  Prints how many calls were checked, how many of them have no answer, what was killed, and each row
  whose calls are not linearizable.
Limits: each row belongs to a job of its own, so the index that prevents two concurrent runs of one
  job is not tested. All processes are on one host.
Run: ``uv run python benchmarks/linear_histories.py --calls 1000000``, or with ``--seconds 200`` to
  stop after a while
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

# The clients are those of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from ledgers import run_sql
from linear.check import check
from linear.crowd import make_history
from linear.history import Locked

if TYPE_CHECKING:
    from linear.history import History

KILLS = 10
CRASHES = 2
"""In each batch."""


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=20_000, help="how many, over both databases")
    parser.add_argument(
        "--batch", type=int, default=10_000, help="calls that are checked at a time"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no batch after so long")
    parser.add_argument("--seed", type=int, help="of the first batch; a random one by default")
    return parser.parse_args()


class Tally:
    """What was seen on one database."""

    def __init__(self, name: str, crashes: int) -> None:
        self._name = name
        self._crashes = crashes
        self._counts: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._seconds = self._checking = 0.0

    def add(self, history: History, seconds: float) -> int:
        """Check a history, and count it; print what is wrong, and return how often."""
        began = time.process_time()
        faults = check(history)
        self._checking += time.process_time() - began
        self._seconds += seconds
        for fault in faults:
            print(f"{self._name}: {fault}", flush=True)
        calls = history.calls
        known = [call for call in calls if call.is_known]
        claims = [c for c in known if c.kind == "claim" and not isinstance(c.answer, Locked)]
        self._unknown.update(call.kind for call in calls if not call.is_known)
        self._counts.update(
            {
                "calls": len(calls),
                "rows": len(history.rows),
                "attempts after the first": sum(call.answer > 1 for call in claims),
                "closed": sum(call.kind == "close" and bool(call.answer) for call in known),
                "refused as lost": sum(
                    call.kind in {"renew", "finish"} and not call.answer for call in known
                ),
                "kills of a client": KILLS,
                "kills of the server": self._crashes,
            }
        )
        return len(faults)

    def __str__(self) -> str:
        if not self._counts:
            return f"{self._name}: no batch"
        counts = ", ".join(f"{count:,} {what}" for what, count in self._counts.items())
        unknown = ", ".join(f"{count:,} {kind}" for kind, count in self._unknown.most_common())
        calls = self._counts["calls"]
        return (
            f"{self._name}: {counts}\n"
            f"  {self._unknown.total():,} without an answer: {unknown}\n"
            f"  {calls / self._seconds:,.0f} calls a second; checked in "
            f"{self._checking / calls * 1e6:.0f} us of CPU a call"
        )


def sqlite(calls: int, seed: int) -> History:
    """Return the history of a batch on a new file."""
    with tempfile.TemporaryDirectory() as folder:
        return make_history(f"sqlite:///{folder}/ledger.db", Path(folder), calls, seed, kills=KILLS)


def postgresql(server: EmbeddedServer, calls: int, seed: int) -> History:
    """Return the history of a batch on an empty table."""
    with tempfile.TemporaryDirectory() as folder:
        path, faults = Path(folder), {"kills": KILLS, "crashes": CRASHES}
        history = make_history(server.url, path, calls, seed, server=server, **faults)
    run_sql(server.url, "TRUNCATE crawl_runs")
    return history


def main() -> None:
    """Run batches on both databases in turn; exit with 1 if a history is not linearizable."""
    asked = arguments()
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    print(f"first seed {seed}", flush=True)
    tallies = {"SQLite": Tally("SQLite", 0), "PostgreSQL": Tally("PostgreSQL", CRASHES)}
    began, batches, faults = time.monotonic(), -(-asked.calls // asked.batch), 0
    with EmbeddedServer(Postgres()) as server:
        for number in range(batches):
            name = list(tallies)[number % 2]
            started = time.monotonic()
            if started - began > asked.seconds:
                break
            if name == "SQLite":
                history = sqlite(asked.batch, seed + number)
            else:
                history = postgresql(server, asked.batch, seed + number)
            faults += tallies[name].add(history, time.monotonic() - started)
    print(*tallies.values(), sep="\n")
    print(f"{faults} rows whose history is not linearizable")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
