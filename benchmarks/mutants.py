"""Small faults put into the guarded code by hand: on which random day is each found?

Purpose: changes one line of a copy of ``src`` at a time, and plays random days
  (``tests/random_days``) on it, of each kind in turn, until something does not hold. Prints for
  each fault the first day that shows it, and what was said of that day, or that it survived.
Limits: a fault that hangs the search counts as found when it has used its CPU time. A number is the
  same day with the same version of hypothesis.
Run: ``uv run python benchmarks/mutants.py``, or ``--only lease`` for those with that word, or
  ``--days 50``; with two cores about half an hour.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
CPU_SECONDS: Final = 900
"""CPU time after which a search counts as hung."""
PLAY: Final = """
import logging, sys, traceback
from random_days.search import search
from random_days.strategies import KINDS_OF_DAYS
logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of nodes that are torn down
for kind in KINDS_OF_DAYS:
    for number in range(int(sys.argv[1])):
        try:
            failure = search(number, days=kind, shrink=False)
            said = failure and failure.faults[0]
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__} at {line.filename}:{line.lineno}: {error}".splitlines()[0]
        if said:
            print(f"{kind}, day {number}|{said}")
            raise SystemExit
"""


class Mutant(NamedTuple):
    """One change: a text that a file has once, and what takes its place."""

    name: str
    file: str
    old: str
    new: str


MUTANTS: Final = (
    Mutant(
        "renewals begin too late (1.2 leases)",
        "once/lease.py",
        "        next_at = sent + self._seconds / 3\n        while",
        "        next_at = sent + self._seconds * 1.2\n        while",
    ),
    Mutant(
        "a lease counts from the answer of its renewal",
        "once/lease.py",
        "            held = await self._try()\n",
        "            held = await self._try()\n            sent = loop.time()\n",
    ),
    Mutant(
        "a lease counts from the answer of its claim",
        "once/decorator.py",
        "return await self.ledger.claim(request), since",
        "return await self.ledger.claim(request), asyncio.get_running_loop().time()",
    ),
    Mutant(
        "a last write that is refused is taken for written",
        "once/decorator.py",
        "            raise LeaseLostError(_taken_over(occurrence))",
        "            return result",
    ),
    Mutant(
        "a lock that cannot be had is done without",
        "once/decorator.py",
        '        raise LockedOutError(f"{occurrence} was skipped: {reason}") from error',
        "        return",
    ),
    Mutant(
        "an outcome that cannot be written is not kept",
        "once/decorator.py",
        "            is_kept = self._keep(claim, outcome)",
        "            is_kept = False",
    ),
    Mutant(
        "the ledger is asked only once",
        "once/retry.py",
        "                    failure = error\n",
        "                    failure = error\n                    raise\n",
    ),
    Mutant(
        "writing the same end twice is refused",
        "ledger/memory.py",
        "            return (row.status, row.finished_at) == (outcome.status, finished_at)",
        "            return False",
    ),
    Mutant(
        "an end is written for whatever attempt",
        "ledger/memory.py",
        "row.attempt != claim.attempt:\n            return False\n        if row.status",
        "False:\n            return False\n        if row.status",
    ),
    Mutant(
        "a renewal of whatever attempt is granted",
        "ledger/memory.py",
        '(row.attempt, row.status) != (claim.attempt, "running")',
        'row.status != "running"',
    ),
    Mutant(
        "a row is inserted beside a running one",
        "ledger/memory.py",
        "        if request.occurrence.job_id in self._running:\n            return None\n",
        "",
    ),
    Mutant(
        "an abandoned row is closed though it has changed",
        "ledger/memory.py",
        "if self.get(row.id) != row or not self._is_over(row):",
        "if not self._is_over(row):",
    ),
    Mutant(
        "a row is closed though its lease holds",
        "ledger/memory.py",
        "if self.get(row.id) != row or not self._is_over(row):",
        "if self.get(row.id) != row:",
    ),
    Mutant(
        "a run is taken over before its lease is over",
        "ledger/claiming.py",
        "    if not met.lease_is_over:\n",
        "    if False:\n",
    ),
    Mutant(
        "a claim repeats what is not to be repeated",
        "ledger/claiming.py",
        "    if not request.take_over:\n",
        "    if False:\n",
    ),
    Mutant(
        "a take-over does not count as an attempt",
        "ledger/claiming.py",
        "    attempt = own.attempt + 1\n",
        "    attempt = own.attempt\n",
    ),
    Mutant(
        "a running one in the way is closed though it lives",
        "ledger/claiming.py",
        "    running = met.row\n    if met.lease_is_over:",
        "    running = met.row\n    if True:",
    ),
    Mutant(
        "attempts are not bounded",
        "ledger/claiming.py",
        "    if request.max_attempts is not None and own.lost + 1 >= request.max_attempts:",
        "    if False:",
    ),
    Mutant(
        "a claim whose answer was lost is not known again",
        "ledger/claiming.py",
        "    if met.is_same_claim:",
        "    if False:",
    ),
    Mutant(
        "what claims have closed is not told",
        "once/reconcile/reconciler.py",
        "        result.closed += self._ledger.closed_by_claims()\n",
        "",
    ),
    Mutant(
        "what is due is judged by the host's clock",
        "once/reconcile/reconciler.py",
        "until=min(now, datetime.now(UTC)) - self._delay",
        "until=datetime.now(UTC) - self._delay",
    ),
    Mutant(
        "what is due is judged by the ledger's clock alone",
        "once/reconcile/reconciler.py",
        "until=min(now, datetime.now(UTC)) - self._delay",
        "until=now - self._delay",
    ),
    Mutant(
        "replicas get no time to claim",
        "once/reconcile/reconciler.py",
        "until=min(now, datetime.now(UTC)) - self._delay",
        "until=min(now, datetime.now(UTC))",
    ),
    Mutant(
        "the alert is sent twice",
        "once/reconcile/reconciler.py",
        "            await self._on_missing(rows)\n",
        "            await self._on_missing(rows)\n            await self._on_missing(rows)\n",
    ),
    Mutant(
        "the mark passes what is left",
        "once/reconcile/job_reconciler.py",
        "min([max(since, self.look.until), *left])",
        "max(since, self.look.until)",
    ),
    Mutant(
        "a run is caught up beside a running one",
        "once/reconcile/job_reconciler.py",
        "        if any(row not in self.abandoned for row in running):\n            return False\n",
        "",
    ),
    Mutant(
        "nothing is caught up",
        "once/reconcile/overdue.py",
        "        if newest is None or self._is_late(newest.scheduled_at):",
        "        if True:",
    ),
    Mutant(
        "runs that are folded leave no row",
        "once/reconcile/overdue.py",
        "            if is_open and each is not self.newest:",
        "            if False:",
    ),
    Mutant(
        "runs that are too late leave no row",
        "once/reconcile/overdue.py",
        "            if self._has_no_row(moment):\n                waits",
        "            if False:\n                waits",
    ),
    Mutant(
        "abandoned runs are never closed",
        "once/reconcile/overdue.py",
        "            elif why := self._why_given_up(row):\n",
        '            elif why := "":\n',
    ),
    Mutant(
        "a run in progress here counts as one without a row",
        "once/reconcile/overdue.py",
        "return moment not in self.statuses and moment not in self.in_flight",
        "return moment not in self.statuses",
    ),
    Mutant(
        "nothing is in its catch-up window",
        "once/reconcile/overdue.py",
        "        return self.now - scheduled_at > self.window",
        "        return True",
    ),
    Mutant(
        "a look repeats what is not to be repeated",
        "once/reconcile/overdue.py",
        "        if not self.repeatable:\n",
        "        if False:\n",
    ),
    Mutant(
        "a run of the future that was abandoned is taken over",
        "once/reconcile/job_reconciler.py",
        'if row.trigger == "manual" or row.scheduled_at < self.look.until',
        "if True",
    ),
    Mutant(
        "a lock is not renewed",
        "once/locks.py",
        "            await self._on_the_primary(self._lock.reacquire)\n",
        "            pass\n",
    ),
    Mutant(
        "a lock is granted to all who ask",
        "once/locks.py",
        "                return granted or await self._lock.owned()",
        "                return True",
    ),
    Mutant(
        "a lock is not given back",
        "once/locks.py",
        "                    await self._on_the_primary(self._lock.release)",
        "                    pass",
    ),
)


def main() -> None:
    """Print a line for each mutant; exit with 1 when one survives."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=200, help="how many days of each kind")
    parser.add_argument("--only", default="", help="a word of the names of those to try")
    asked = parser.parse_args()
    chosen = [each for each in MUTANTS if asked.only in each.name]
    survived = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, (found, said) in zip(
            chosen, pool.map(partial(first_day, days=asked.days), chosen), strict=True
        ):
            survived += not found
            print(f"| {mutant.name} | {found or 'survived'} | {said} |", flush=True)
    print(f"{len(chosen)} faults, {len(chosen) - survived} found")
    sys.exit(1 if survived else 0)


def first_day(mutant: Mutant, days: int) -> tuple[str, str]:
    """Return the first day that shows a mutant, and what was said of it; empty: none did."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "kst_scheduler" / mutant.file
        text = path.read_text("utf-8")
        times = text.count(mutant.old)
        if times != 1:
            raise SystemExit(f"{mutant.name}: {mutant.file} has its text {times} times, not once")
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        played = subprocess.run(  # noqa: S603 - this Python
            [sys.executable, "-c", PLAY, str(days)],
            env=os.environ
            | {"PYTHONPATH": f"{source}{os.pathsep}{ROOT / 'tests'}", "TQDM_DISABLE": "1"},
            preexec_fn=_limit_cpu,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    if played.returncode < 0:
        return "hangs", f"more than {CPU_SECONDS} s of CPU"
    if played.returncode:
        return "raises", played.stderr.strip().splitlines()[-1]
    found, _, said = played.stdout.strip().partition("|")
    return found, said


def _limit_cpu() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


if __name__ == "__main__":
    main()
