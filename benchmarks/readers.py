"""Whether those who read the admin API make jobs late, over real HTTP.

Purpose: starts ``kst-scheduler serve`` on a real PostgreSQL whose ledger is full of rows, with
  - a plain job that is due every 0.2 s, and
  - five jobs of ``once`` that are due every second,
  and prints how many of the runs that were due began in time, without any reader and while 25
  clients ask for ``/admin/runs?limit=1000`` without a pause. In time is before the next run of the
  job is due: a run that is later is folded into that one, and does not happen.
Limits: the server, the service and the clients share the cores of one machine.
Run: ``uv run python benchmarks/readers.py``; ``--seconds 5`` is how long each part lasts
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler import KST, current_occurrence, every, kst, once
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.servers import embedded_postgres

if TYPE_CHECKING:
    from kst_scheduler.service import Service

CLIENTS = 25
ROWS = 3_000
EVERY = 0.2
ONCE_JOBS = 5
KEY = "a-key-for-this-benchmark"
ANCHOR = kst(2026, 1, 1)


def add(service: Service) -> None:
    """Add the jobs, each of which says for when it was due, and when it began."""

    async def job() -> None:
        now = time.time()
        it = current_occurrence()
        print("run", it.job_id, it.scheduled_at.timestamp(), now, flush=True)

    trigger = IntervalTrigger(seconds=EVERY, start_date=ANCHOR, timezone=KST)
    service.scheduler.add_job(job, trigger, id="plain")
    for number in range(ONCE_JOBS):
        service.scheduler.add_job(once(service.ledger)(job), every(seconds=1), id=f"once-{number}")


def main() -> None:
    """Serve, measure without and with readers, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=20, help="how long each part lasts")
    seconds = parser.parse_args().seconds
    with embedded_postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(postgres.url))
        environment = {"DATABASE_URL": postgres.url, "KST_SCHEDULER_ADMIN_KEY": KEY}
        words = ["kst_scheduler.service.cli", "serve", "--port=0", f"--jobs={__file__}:add"]
        log = Path(folder) / "log"
        with (
            log.open("w") as file,
            subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-m", *words],
                env=os.environ | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                url = address(process, log)
                spans = {
                    clients: asyncio.run(measure(url, clients, seconds)) for clients in (0, CLIENTS)
                }
            finally:
                process.terminate()
        said = log.read_text()
    found = re.findall(r"(?m)^run (\S+) ([\d.]+) ([\d.]+)$", said)
    runs = [(name, float(due), float(begun)) for name, due, begun in found]
    for clients, (begin, end, answers) in spans.items():
        print(f"\n{clients} clients for {seconds} s; answers: {dict(answers)}")
        for kind, period in (("plain", EVERY), ("once", 1.0)):
            print(f"  {kind}: {in_time(runs, kind, period, begin, end)}")


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return where the service answers, once it does."""
    while process.poll() is None:
        if found := re.search(r"serving on (\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"the service has ended:\n{log.read_text()}")


async def fill(url: str) -> None:
    """Write rows with reasons of a usual length, so that an answer is 0.4 MB."""
    ledger, now = SqlLedger(url), datetime.now(KST)
    await ledger.open()
    for number in range(ROWS):
        late = Occurrence("filled", now - timedelta(minutes=number + 1))
        await ledger.record_missed(late, "down " * 40, "benchmark")
    await ledger.close()


async def measure(url: str, clients: int, seconds: int) -> tuple[float, float, Counter[int]]:
    """Let clients read without a pause; return when that began and ended, and the answers."""
    answers: Counter[int] = Counter()
    until = time.monotonic() + seconds + 2

    async def read(client: httpx.AsyncClient) -> None:
        while time.monotonic() < until:
            answer = await client.get("/admin/runs?limit=1000")
            answers[answer.status_code] += 1

    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=60, limits=limits
    ) as client:
        readers = [asyncio.create_task(read(client)) for _ in range(clients)]
        await asyncio.sleep(1)
        begin = time.time()
        await asyncio.sleep(seconds)
        end = time.time()
        await asyncio.gather(*readers)
    return begin, end, answers


def in_time(
    runs: list[tuple[str, float, float]], kind: str, period: float, begin: float, end: float
) -> str:
    """Return how many runs of a kind of jobs were due within a span, and began in time."""
    late: defaultdict[str, list[float]] = defaultdict(list)
    for name, due, begun in runs:
        if name.startswith(kind) and begin <= due < end:
            late[name].append(begun - due)
    first, last = (math.ceil((each - ANCHOR.timestamp()) / period) for each in (begin, end))
    due_in_span = len(late) * (last - first)
    all_late = sorted(each for of_job in late.values() for each in of_job)
    good = sum(each < period for each in all_late)
    p50, worst = all_late[len(all_late) // 2], all_late[-1]
    return (
        f"{good} of {due_in_span} due runs in time, {len(all_late)} happened; "
        f"late by {p50 * 1e3:.0f} ms (p50), {worst * 1e3:.0f} ms (worst)"
    )


if __name__ == "__main__":
    main()
