"""How fast a million runs become a table, and how much memory that takes.

Purpose: prints the time and the peak of the memory allocated while RunLog.table() builds a million
rows, beside pandas.DataFrame from the same rows as a list of dictionaries of datetimes.
Limits: the log's own arrays, filled one row at a time before, are not counted; the peer is given a
tenth of the rows, and its time is multiplied by ten.
Run: ``uv run python benchmarks/runs_table.py``
"""

from __future__ import annotations

import time
import tracemalloc
from datetime import UTC, datetime, timedelta

import pandas as pd

from kst_scheduler.runs.table import RunLog

ROWS = 1_000_000
START = 1_778_400_000_000_000
TARGET_SECONDS, TARGET_MEGABYTES = 0.3, 100


def fill() -> RunLog:
    """Return a log of three nodes with a hundred jobs a minute each."""
    log = RunLog()
    for index in range(ROWS):
        scheduled = START + index // 300 * 60_000_000
        log.add("ABC"[index % 3], f"job-{index % 100}", scheduled, "ok", scheduled, scheduled + 5)
    return log


def rows_of_datetimes(count: int) -> list[dict[str, object]]:
    """Return the same rows in the way one would first write them."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        {
            "node": "ABC"[index % 3],
            "job_id": f"job-{index % 100}",
            "scheduled_at": epoch + timedelta(microseconds=START + index // 300 * 60_000_000),
            "status": "ok",
        }
        for index in range(count)
    ]


def main() -> None:
    """Print the figures."""
    log = fill()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        table = log.table()
        times.append(time.perf_counter() - began)
    tracemalloc.start()
    log.table()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    rows = rows_of_datetimes(ROWS // 10)
    began = time.perf_counter()
    pd.DataFrame(rows).astype({"status": "category"})
    peer = (time.perf_counter() - began) * 10
    seconds = min(times)
    print(f"{len(table):,} rows: {seconds:.3f} s, peak {peak:.0f} MB allocated")
    print(f"the same from dictionaries: {peer:.3f} s, {peer / seconds:.1f}x")
    if seconds > TARGET_SECONDS or peak > TARGET_MEGABYTES:
        print(f"MISSED: over {TARGET_SECONDS} s or {TARGET_MEGABYTES} MB")


if __name__ == "__main__":
    main()
