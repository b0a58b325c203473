"""Replicas and workers as processes of the operating system, and what can be said of their runs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pandas as pd

from kst_scheduler.ledger import SqlLedger
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import KST, UTC
from real_node import JOBS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from kst_scheduler.servers import Server

R = TypeVar("R")
FOREVER = pd.Timestamp.max.tz_localize(UTC)

SECONDS = 20
"""How long the replicas run side by side."""

NODES = ("A", "B", "C")
NODE = Path(__file__).with_name("real_node.py")


def wait_until(
    is_so: Callable[[], bool], what: str, seconds: float = 120, pause: float = 0.02
) -> None:
    """Return when something is so, or fail and say what was waited for."""
    give_up_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up_at, f"waited {seconds:g} s for {what}"
        time.sleep(pause)


@dataclass
class Cluster:
    """Three replicas, and perhaps workers, on one PostgreSQL and one Valkey."""

    postgres: Server
    valkey: Server
    folder: Path
    nodes: tuple[str, ...] = NODES
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    shown_until: pd.Timestamp = FOREVER
    """What is due later is in neither table."""

    @property
    def journal(self) -> Path:
        """The file to which every run writes that it began, and that it has done its work."""
        return self.folder / "journal.txt"

    def __enter__(self) -> Self:
        self.journal.touch()
        for node in self.nodes:
            self.start(node)
        return self

    def __exit__(self, *_exception: object) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def start(self, node: str) -> None:
        """Start a replica; what it logs goes to a file of its own."""
        (self.folder / f"{node}.up").unlink(missing_ok=True)
        urls = {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.valkey.url}
        with (self.folder / f"{node}.log").open("ab") as log:
            self.processes[node] = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, NODE, node, self.journal],
                env=os.environ | urls,
                stderr=log,
            )

    def freeze_in_the_middle(self, besides: str = "") -> tuple[str, str]:
        """Freeze a replica in the middle of a run; return its name, and the run's key."""
        frozen: list[tuple[str, str]] = []

        def is_frozen() -> bool:
            candidates = [run for run in self._at_work().items() if run[1] != besides]
            frozen.extend((node, key) for key, node in candidates[-1:] if self._freeze(node, key))
            return bool(frozen)

        wait_until(is_frozen, "a run")
        return frozen[0]

    def wait_for_end(self, key: str) -> None:
        """Return when the ledger has the end of an occurrence."""

        def has_end() -> bool:
            return str(row_of(self.history(), key)["status"]) != "running"

        wait_until(has_end, f"an end of {key}", pause=0.2)

    def _freeze(self, node: str, key: str) -> bool:
        """Freeze a replica; let it go on if its run has come to an end meanwhile."""
        process = self.processes[node]
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # it is at work until it has got the signal
        if self._at_work().get(key) == node:
            return True
        process.send_signal(signal.SIGCONT)
        return False

    def kill(self, node: str) -> None:
        """End a replica as ``kill -9`` does, for good."""
        process = self.processes.pop(node)
        process.kill()
        process.wait()

    def wait_for_runs(self, count: int) -> None:
        """Return when each job has ended so many more runs."""
        before = self._ended()
        wait_until(
            lambda: all(count <= self._ended()[job] - before[job] for job in job_ids()),
            f"{count} more runs of each job",
        )

    def wait_until_up(self, *nodes: str) -> None:
        """Return when replicas have started their schedulers."""
        for node in nodes or self.nodes:
            wait_until((self.folder / f"{node}.up").exists, f"replica {node}")

    def run_on(self, seconds: float = SECONDS) -> None:
        """Let the replicas run; this is the test's own length, not a wait for something."""
        time.sleep(seconds)
        for node, process in self.processes.items():
            assert process.poll() is None, self.log(node)

    def stop(self) -> None:
        """Let every replica drain, as at a deployment, when all due by now has been looked at.

        What is due in the last moments may run, or be written as missed, by the next replica only.
        """
        self.shown_until = pd.Timestamp.now(KST)
        wait_until(self._is_looked_at, "a look at what is due", pause=0.2)
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for node, process in self.processes.items():
            assert process.wait(timeout=120) == 0, self.log(node)

    def _is_looked_at(self) -> bool:
        """Return whether all that was due until ``shown_until`` has been looked at."""

        async def watermark(ledger: SqlLedger) -> list[datetime | None]:
            sources = {row.source for row in await ledger.rows()}
            return [await ledger.watermark(source) for source in sources]

        return all(moment and moment >= self.shown_until for moment in self._ask(watermark))

    def log(self, node: str) -> str:
        """Return the end of what a replica has logged."""
        return (self.folder / f"{node}.log").read_text()[-4000:]

    def history(self) -> pd.DataFrame:
        """Return the ledger's rows as a table of runs."""
        table = self._ask(SqlLedger.history)
        return table[table["scheduled_at"] < self.shown_until].reset_index(drop=True)

    def _ask(self, question: Callable[[SqlLedger], Awaitable[R]]) -> R:
        """Ask the ledger."""

        async def ask() -> R:
            ledger = SqlLedger(self.postgres.url)
            await ledger.open()
            try:
                return await question(ledger)
            finally:
                await ledger.close()

        return asyncio.run(ask())

    def witnessed(self) -> pd.DataFrame:
        """Return the journal: event, job_id, scheduled_at, node, at."""
        rows = [line.split() for line in self.journal.read_text().splitlines()]
        table = pd.DataFrame(rows, columns=["event", "key", "node", "at"])
        parts = table["key"].str.partition("@")
        table["job_id"], table["scheduled_at"] = parts[0], _kst(pd.to_datetime(parts[2]))
        table["at"] = _kst(pd.to_datetime(table["at"].astype(float), unit="s", utc=True))
        return table[table["scheduled_at"] < self.shown_until].reset_index(drop=True)

    def _ended(self) -> Counter[str]:
        """Return how many runs of each job have ended, by the journal."""
        lines = self.journal.read_text().splitlines()
        return Counter(line.split()[1].partition("@")[0] for line in lines if line[:3] == "end")

    def _at_work(self) -> dict[str, str]:
        """Return the keys of the runs that have begun and not ended, with their replicas."""
        at_work: dict[str, str] = {}
        for line in self.journal.read_text().splitlines():
            event, key, node, _ = line.split()
            if event == "begin":
                at_work[key] = node
            else:
                at_work.pop(key, None)
        return at_work


def _kst(times: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return times.dt.tz_convert(KST).dt.as_unit("us")


def job_ids() -> list[str]:
    """Return the names of the jobs that every replica has."""
    return [f"job-{number}" for number in range(JOBS)]


def row_of(history: pd.DataFrame, key: str) -> pd.Series[Any]:
    """Return the row of an occurrence."""
    is_it = [
        Occurrence(job_id, scheduled_at).key == key
        for job_id, scheduled_at in zip(history["job_id"], history["scheduled_at"], strict=True)
    ]
    return history[is_it].iloc[0]


def check_complete(history: pd.DataFrame, seconds: int = 1, jobs: int = JOBS) -> None:
    """No occurrence is without a row, from the first one of each job to the last."""
    for job_id, rows in history.groupby("job_id"):
        moments = rows["scheduled_at"].sort_values()
        steps = moments.diff().dropna()
        assert (steps == pd.Timedelta(seconds=seconds)).all(), f"{job_id}: {steps.value_counts()}"
    assert history["job_id"].nunique() == jobs


def check_attempts(history: pd.DataFrame, witnessed: pd.DataFrame) -> None:
    """What ran twice ran again only after the former lease was over, and never ended well twice."""
    begun = witnessed[witnessed["event"] == "begin"]
    for key, runs in begun.groupby(["job_id", "scheduled_at"]):
        row = history[(history["job_id"] == key[0]) & (history["scheduled_at"] == key[1])]
        (attempt,) = row["attempt"]
        assert len(runs) <= attempt, key
        if len(runs) == 1:
            continue
        lost = pd.to_datetime(row["detail"].str.extractall(r"lost its lease at (\S+)")[0])
        assert len(lost) == attempt - 1, row["detail"].tolist()
        again_at = runs["at"].sort_values().iloc[1:]
        assert (again_at.to_numpy() >= lost.to_numpy()[-len(again_at) :]).all(), key


def check_reasons(history: pd.DataFrame) -> None:
    """What did not end well says why."""
    not_ok = history[history["status"] != "ok"]
    assert (not_ok["detail"] != "").all(), not_ok
    assert not (history["status"] == "running").any(), history[history["status"] == "running"]


def check_after_faults(
    history: pd.DataFrame, witnessed: pd.DataFrame, seconds: int = 1, jobs: int = JOBS
) -> None:
    """Whatever was killed or frozen: all have rows, those not ok say why, none ran too early."""
    check_complete(history, seconds, jobs)
    check_reasons(history)
    check_attempts(history, witnessed)


def check_no_overlap(witnessed: pd.DataFrame) -> None:
    """Two runs of one job were never at work together."""
    for job_id, lines in witnessed.sort_values("at").groupby("job_id"):
        assert list(lines["event"]) == ["begin", "end"] * (len(lines) // 2), job_id
