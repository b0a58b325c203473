"""What a service does when a thousand jobs are due at the same second.

Purpose: starts the service on a real PostgreSQL, with 1,000 cron jobs that are due at one second
and work for one, and prints
  - when the last of them had been claimed and had begun, in seconds after that second;
  - how many ended as what;
  - for how long the service's event loop was blocked at most, by a task that wants to run all 5 ms;
  - the p50, p99 and worst time in which /healthz answered meanwhile, asked from another process.
Limits: the servers, the service and the one who asks share the cores of one machine.
Run: ``uv run python benchmarks/due_at_once.py``
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.servers import embedded_postgres
from kst_scheduler.servers.local_server import serve_locally
from kst_scheduler.service import Settings, create_app
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from kst_scheduler.service import Service

JOBS = 1_000
SECONDS_OF_WORK = 1
SECONDS_UNTIL_DUE = 8
SECONDS_ASKED = 6
TICK = 0.005


class Meter:
    """Measures for how long the event loop does not come to run a task."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def keep_measuring(self) -> None:
        """Measure until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK)
            self.worst = max(self.worst, time.perf_counter() - began - TICK)


async def serve() -> None:
    """Be the service: print its URL and when its jobs are due, then what became of them."""
    due = datetime.now(KST).replace(microsecond=0) + timedelta(seconds=SECONDS_UNTIL_DUE)
    trigger = cron(hour=due.hour, minute=due.minute, second=due.second)
    begun: list[float] = []
    logging.basicConfig(level=logging.INFO, filename=os.devnull)  # as talkative as `serve`

    async def job() -> None:
        begun.append(time.time())
        await asyncio.sleep(SECONDS_OF_WORK)

    def register(service: Service) -> None:
        for number in range(JOBS):
            each = once(service.ledger)(job)
            service.scheduler.add_job(each, trigger, id=f"job-{number:04}")

    app, meter = create_app(Settings(jobs=register)), Meter()
    async with serve_locally(app) as url:
        print(json.dumps({"url": url, "due": due.timestamp()}), flush=True)
        await asyncio.sleep(due.timestamp() - time.time() - 1)
        measuring = asyncio.create_task(meter.keep_measuring())
        await asyncio.sleep(SECONDS_ASKED)
        measuring.cancel()
    report = {"last": max(begun) - due.timestamp(), "begun": len(begun), "blocked": meter.worst}
    print(json.dumps(report), flush=True)


def main() -> None:
    """Start the service in another process, ask it how it is, and print the figures."""
    with embedded_postgres() as postgres:
        environment = os.environ | {"DATABASE_URL": postgres.url}
        command = [sys.executable, __file__, "serve"]
        with subprocess.Popen(  # noqa: S603 - this program
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            said = _line(process)
            time.sleep(said["due"] - time.time() - 1)
            answers = asyncio.run(ask(said["url"] + "/healthz"))
            report = _line(process)
        statuses = asyncio.run(outcomes(postgres.url))
    print(f"{report['begun']} of {JOBS} jobs begun; the last {report['last']:.2f} s after (max 2)")
    print("rows:", dict(statuses))
    print(f"event loop blocked for at most {report['blocked'] * 1e3:.0f} ms (max 100)")
    answers.sort()
    p50, p99 = answers[len(answers) // 2], answers[len(answers) * 99 // 100]
    print(
        f"/healthz, {len(answers)} times: p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.0f} ms (max 100),"
        f" worst {answers[-1] * 1e3:.0f} ms"
    )


async def ask(url: str) -> list[float]:
    """Ask every 10 ms, from a second before the jobs are due; return the seconds of each answer."""
    answers, until = [], time.perf_counter() + SECONDS_ASKED - 1
    async with httpx.AsyncClient(timeout=10) as client:
        while time.perf_counter() < until:
            began = time.perf_counter()
            (await client.get(url)).raise_for_status()
            answers.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
    return answers


async def outcomes(url: str) -> Counter[str]:
    """Return how many rows the ledger has of each status."""
    ledger = SqlLedger(url)
    await ledger.open()
    rows = await ledger.rows()
    await ledger.close()
    return Counter(row.status for row in rows)


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    if process.stdout is None:
        raise RuntimeError("the service has no output")
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
