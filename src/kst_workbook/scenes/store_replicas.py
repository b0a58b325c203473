"""Replicas with their jobs in a job store and, beside it, in code and ledger; to be killed.

Each runs the same job every second, three times over: from a job store to which it was added once,
from one to which each start adds it, and once, from the code, with a ledger.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from sqlalchemy import make_url

from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import current_occurrence
from kst_scheduler.servers.child import spawn
from kst_scheduler.triggers.factories import every

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pandas as pd

ADDED_ONCE: Final = "store, added once"
ADDED_AT_START: Final = "store, added at each start"
LEDGER: Final = "code and ledger"

LEASE: Final = timedelta(seconds=2)
"""How long a replica that was killed keeps its row."""

_EVERY_SECOND: Final = every(seconds=1)
_NOTE_RUN: Final = "kst_workbook.scenes.store_replicas:note_run"
"""By name, as the function itself would be stored as ``__main__:note_run`` by the processes."""


async def note_run(file: str) -> None:
    """Append the occurrence that runs to a file; the whole work of each job."""
    run = current_occurrence()
    with Path(file).open("a", encoding="utf-8") as lines:  # noqa: ASYNC230 - a few bytes
        lines.write(f"{run.job_id}\t{run.scheduled_at.isoformat()}\n")


def noted_runs(file: str) -> pd.DataFrame:
    """Return one row a run: job_id, scheduled_at."""
    import pandas as pd  # noqa: PLC0415 - slow to load, and the replicas do without

    columns = ["job_id", "scheduled_at"]
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    runs = pd.DataFrame([line.split("\t") for line in lines], columns=columns)
    return runs.assign(scheduled_at=pd.to_datetime(runs["scheduled_at"]))


def start_replicas(count: int, database_url: str, file: str) -> list[subprocess.Popen[bytes]]:
    """Start so many processes, and return at once; on Linux they end with this process.

    They are the first replicas: the job that is added once is added by them.
    """
    Path(file).touch()
    store = _job_store(database_url)
    store.jobs_t.create(store.engine, checkfirst=True)  # two that create it at once would collide
    store.engine.dispose()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"DATABASE_URL": database_url}  # a command line is public
    command = [sys.executable, "-m", __name__, file]
    return [spawn(command, ends_by=signal.SIGKILL, env=environment, **quiet) for _ in range(count)]


@asynccontextmanager
async def replica(database_url: str, file: str, *, first: bool) -> AsyncIterator[SqlLedger]:
    """Run a replica in this process; a first one also adds the job that is added once."""
    ledger = SqlLedger(database_url)
    await ledger.open()
    scheduler = KSTScheduler(jobstores={"postgres": _job_store(database_url)})
    in_store = {"trigger": _EVERY_SECOND, "args": [file], "jobstore": "postgres"}
    if first:
        scheduler.add_job(_NOTE_RUN, id=ADDED_ONCE, **in_store)
    scheduler.add_job(_NOTE_RUN, id=ADDED_AT_START, **in_store)
    scheduler.add_job(once(ledger, lease=LEASE)(note_run), _EVERY_SECOND, args=[file], id=LEDGER)
    try:
        async with Reconciler(scheduler, ledger, delay=timedelta(0)):
            scheduler.start()
            yield ledger
    finally:
        await scheduler.drain(1)
        await ledger.close()


def _job_store(database_url: str) -> SQLAlchemyJobStore:
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return SQLAlchemyJobStore(url=url, tablename="replica_jobs")


async def _serve(file: str) -> None:
    async with replica(os.environ["DATABASE_URL"], file, first=True):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
