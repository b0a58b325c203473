"""What `import kst_scheduler` costs, against APScheduler, which it needs, and an empty process.

Every figure is the median over fresh processes, taken in turns in one run. Run it with
`uv run python benchmarks/imports.py`; it ends with exit code 1 where the target is missed.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import Final

ROUNDS: Final = 11
LIBRARY: Final = "import apscheduler.schedulers.asyncio"
STATEMENTS: Final = ("pass", "import pandas", LIBRARY, "import kst_scheduler")
ALLOWANCE: Final = 0.1
"""Seconds that this package may add to the import of APScheduler."""
KEPT_OUT: Final = (
    *("pandas", "numpy", "matplotlib", "fastapi", "httpx"),
    *("redis", "sqlalchemy", "holidays", "IPython", "greenlet"),
)


def seconds(statement: str) -> float:
    """Return how long a fresh interpreter takes for one statement."""
    began = perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)  # noqa: S603 - own statements
    return perf_counter() - began


def loaded() -> list[str]:
    """Return which of the libraries that should stay out the package imports."""
    statement = f"import sys, kst_scheduler; print(*(set({KEPT_OUT}) & set(sys.modules)))"
    command = [sys.executable, "-c", statement]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return shown.stdout.split()


def main() -> int:
    """Print the figures and return the exit code."""
    for statement in STATEMENTS:
        seconds(statement)  # the first one fills the caches
    rounds = [[seconds(statement) for statement in STATEMENTS] for _ in range(ROUNDS)]
    empty, pandas, library, ours = (median(times) for times in zip(*rounds, strict=True))
    print(f"median of {ROUNDS} fresh processes, Python {sys.version.split()[0]}")
    print(f"  empty process          {empty:.3f} s")
    print(f"  import pandas          {pandas:.3f} s")
    print(f"  import apscheduler     {library:.3f} s")
    print(f"  import kst_scheduler   {ours:.3f} s   {ours / pandas:.2f}x pandas")
    extra = median(round_[3] - round_[2] for round_ in rounds)
    print(f"  on top of apscheduler  {extra:+.3f} s   (target: at most +{ALLOWANCE:.3f} s)")
    print(f"  loaded though unused   {', '.join(loaded()) or 'none'}")
    return int(extra > ALLOWANCE)


if __name__ == "__main__":
    sys.exit(main())
