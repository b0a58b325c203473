"""What the core costs: its import against APScheduler's, its size on disk, a service's memory.

Run it with `uv run python benchmarks/imports.py`; it ends with exit code 1 where a target is
missed. Times are the least CPU time of fresh processes, taken in turns in one run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Final

ROUNDS: Final = 15
LIBRARY: Final = "import apscheduler.schedulers.asyncio"
STATEMENTS: Final = ("pass", "import pandas", LIBRARY, "import kst_scheduler")
MAX_RATIO: Final = 1.3
"""Of the import of APScheduler."""
CORE: Final = ("apscheduler", "pytz", "tzlocal")
SOURCE: Final = Path(__file__).resolve().parents[1] / "src"
MAX_MEGABYTES: Final = 15.0
MIN_SAVED: Final = 60.0
"""Megabytes of memory that a service at work has less without tables and pictures."""
KEPT_OUT: Final = (
    *("pandas", "numpy", "matplotlib", "fastapi", "httpx"),
    *("redis", "sqlalchemy", "holidays", "IPython", "greenlet"),
)
SERVICE: Final = """
import asyncio, resource
{first}
from kst_scheduler import every, once
from kst_scheduler.service import Settings
from kst_scheduler.service.app import create_app
from kst_scheduler.service.components import running

async def crawl():
    pass

def add(service):
    service.scheduler.add_job(once(service.ledger)(crawl), every(minutes=1), id="crawl")

async def main():
    create_app(Settings(jobs=add))
    async with running(Settings(jobs=add)):
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

asyncio.run(main())
"""


def output(program: str) -> str:
    """Return what a fresh interpreter prints."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def seconds(statement: str) -> float:
    """Return the CPU time that a fresh interpreter takes for one statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output(statement)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def megabytes() -> float:
    """Return what the core takes on disk, this project's two packages included."""
    found = [Path(str(each.locate())) for name in CORE for each in files(name) or []]
    found += SOURCE.rglob("*.*")
    return sum(each.stat().st_size for each in found if each.suffix != ".pyc") / 1e6


def main() -> int:
    """Print the figures and return the exit code."""
    rounds = [[seconds(statement) for statement in STATEMENTS] for _ in range(ROUNDS)]
    empty, pandas, library, ours = (min(times) for times in zip(*rounds, strict=True))
    ratio = (ours - empty) / (library - empty)
    print(f"least of {ROUNDS} fresh processes, Python {sys.version.split()[0]}")
    print(f"  empty process          {empty:.3f} s")
    print(f"  import pandas          {pandas:.3f} s")
    print(f"  import apscheduler     {library:.3f} s")
    print(f"  import kst_scheduler   {ours:.3f} s")
    print(f"  without the process    {ratio:.2f}x apscheduler   (target: at most {MAX_RATIO}x)")
    loaded = f"import sys, kst_scheduler; print(*(set({KEPT_OUT}) & set(sys.modules)))"
    print(f"  loaded though unused   {output(loaded).strip() or 'none'}")
    size = megabytes()
    print(f"on disk                  {size:.1f} MB   (target: under {MAX_MEGABYTES:.0f} MB)")
    light, heavy = (
        float(output(SERVICE.format(first=first)))
        for first in ("", "import pandas, matplotlib.figure")
    )
    print(f"memory of a service      {light:.0f} MB")
    saved = heavy - light
    print(f"  with tables, pictures  {saved:+.0f} MB   (target: at least +{MIN_SAVED:.0f} MB)")
    return int(ratio > MAX_RATIO or size > MAX_MEGABYTES or saved < MIN_SAVED)


if __name__ == "__main__":
    sys.exit(main())
