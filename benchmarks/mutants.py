"""Small faults put into the guarded code by hand: on which random day is each found?

Purpose: changes one line of a copy of ``src`` at a time, and plays random days
  (``tests/random_days``) on it, of each kind in turn, until something does not hold. Prints for
  each fault the first day that shows it, and what broke; or the test that does; or "survived".
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
import signal
import subprocess
import sys
import tempfile
from collections import Counter
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
for number in range(int(sys.argv[1])):
    for kind in KINDS_OF_DAYS:
        try:
            failure = search(number, days=kind, shrink=False)
            said = failure and failure.faults[0]
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{line.filename.rpartition('/')[2]}:{line.lineno}"
            said = f"{type(error).__name__} at {where}: {error}".splitlines()[0]
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
    why_no_day: str = ""
    """Why no day shows it: it breaks no promise, or the state is none that a day can reach."""
    killed_by: str = ""
    """The test that fails on it, where no day does."""


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
        killed_by="tests/test_day_invariants.py"
        "::test_a_day_shows_the_lack_of_one_safeguard_and_is_clean_with_it[counted_late]",
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
        killed_by="tests/test_day_invariants.py::test_a_rare_state_is_clean"
        "[the last renewal is late]",
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
        why_no_day="A row is closed as it was seen, with a lease that was over then; it holds "
        "again only where the ledger's clock is set back between the two statements.",
        killed_by="tests/ledger/test_upkeep.py::test_a_row_that_works_is_not_closed",
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
        why_no_day="The row is claimed once, so what a look starts too early is the run itself.",
        killed_by="tests/once/reconcile/test_reconciler.py"
        "::test_an_occurrence_gets_the_time_to_be_claimed_before_it_is_looked_at",
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
        killed_by="tests/test_day_invariants.py::test_a_rare_state_is_clean"
        "[the next occurrence waits for a long run]",
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
        why_no_day="A claim waits for 30 s at most, and the jobs of the days fire every two hours "
        "and are caught up for 15 minutes: no look finds one both in progress and too late.",
        killed_by="tests/once/reconcile/test_overdue.py::test_a_run_in_progress_here_is_left_alone",
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
        why_no_day="A look starts nothing that lies in the future of its host; an older run of "
        "the job waits. On a day a run is lost 25 minutes after its time or later. So the host is "
        "behind by more than that, and all others have left the older run alone.",
        killed_by="tests/once/reconcile/test_reconciler.py"
        "::test_what_is_due_does_not_wait_for_a_lost_run_that_is_not",
    ),
    Mutant(
        "a run that may be about to end here is closed",
        "once/reconcile/job_reconciler.py",
        "        if self.look.scheduler.running_occurrences(self.job.id):\n            return",
        "        if False:\n            return",
        killed_by="tests/once/reconcile/test_reconciler.py"
        "::test_a_run_that_is_being_stopped_here_is_not_closed",
    ),
    Mutant(
        "a claim does not wait for an outcome that is kept",
        "once/decorator.py",
        "                if not await kept_writes().write_pending(self._job(occurrence)):\n",
        "                if False:\n",
        why_no_day="A job of the days has one instance, so its next claim in the process begins "
        "when the end is written; one that is kept is tried each second.",
        killed_by="tests/once/test_once.py::test_a_healthy_last_write_is_waited_for_without_a_word",
    ),
    Mutant(
        "an outcome that is kept is not tried again by itself",
        "scheduler/kept_writes.py",
        "            self._task = asyncio.create_task(self._keep_trying())",
        "            pass",
    ),
    Mutant(
        "a claim takes over at once after an outage",
        "once/takeover.py",
        "        if self._was_away:\n",
        "        if False:\n",
    ),
    Mutant(
        "the first look after an outage closes what is lost",
        "once/reconcile/reconciler.py",
        "        if self._was_away:  #",
        "        if False:  #",
    ),
    Mutant(
        "a clock that was set is trusted at once",
        "ledger/clock_watch.py",
        "return reading.received - self._untrusted[0].sent >= TRUSTED_AFTER.total_seconds()",
        "return True",
    ),
    Mutant(
        "an occurrence is run long before its time",
        "once/decorator.py",
        "if not occurrence.manual and not await has_come(self.ledger, occurrence.scheduled_at):",
        "if False:",
    ),
    Mutant(
        "the mark moves back",
        "ledger/memory.py",
        "self._watermarks[source] = max(until, self._watermarks.get(source, until))",
        "self._watermarks[source] = until",
    ),
    Mutant(
        "what was missed is not told",
        "once/reconcile/reconciler.py",
        "        rows = [*result.missed, *result.closed]\n",
        "        rows = [*result.closed]\n",
    ),
    Mutant(
        "a drain does not wait for the runs",
        "scheduler/drain.py",
        "        await asyncio.wait(batches, timeout=seconds)\n",
        "        pass\n",
        killed_by="tests/test_day_invariants.py::test_a_day_shows_the_lack_of_one_safeguard_and_is_clean_with_it"
        "[not_waited_for]",
    ),
    Mutant(
        "a drain cuts nothing",
        "scheduler/drain.py",
        "for future, batch in batches.items() if not batch.in_thread and future.cancel()]",
        "for future in ()]",
        why_no_day="The scheduler is shut down next, which cancels what still runs.",
        killed_by="tests/scheduler/test_drain.py::test_what_is_left_is_cancelled_and_named",
    ),
    Mutant(
        "a drain lets new runs start",
        "scheduler/run_control.py",
        "            self.pause()\n            for executor",
        "            for executor",
    ),
    Mutant(
        "a lease runs out while the ledger is down",
        "once/lease.py",
        "                if self._is_down and not self._is_over():\n",
        "                if False:\n",
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
    parser.add_argument("--only", nargs="+", default=[""], help="words of the names to try")
    asked = parser.parse_args()
    chosen = [each for each in MUTANTS if any(word in each.name for word in asked.only)]
    if not chosen:
        parser.error(f"--only: no fault has one of {', '.join(asked.only)} in its name")
    if any(broken := first_day(unchanged(chosen[0]), 1)):
        raise SystemExit(f"the code as it is does not pass: {': '.join(broken)}")
    counts = Counter[str]()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        judged = pool.map(partial(judge, days=asked.days), chosen)
        for mutant, (net, said) in zip(chosen, judged, strict=True):
            counts[net] += 1
            print(f"| {mutant.name} | {net} | {said} |", flush=True)
    print(f"{len(chosen)} faults: {', '.join(f'{net} {times}' for net, times in counts.items())}")
    sys.exit(1 if counts["survived"] else 0)


def judge(mutant: Mutant, days: int) -> tuple[str, str]:
    """Return which net found a mutant, and how; or that it survived."""
    found, said = first_day(mutant, days)
    if found:
        return "random days", f"{found}: {said}"
    if mutant.killed_by and fails_test(mutant) and not fails_test(unchanged(mutant)):
        return "a named test", f"{mutant.killed_by}; {mutant.why_no_day}"
    return "survived", mutant.why_no_day


def unchanged(mutant: Mutant) -> Mutant:
    """Return the code as it is, in a mutant's place."""
    return mutant._replace(new=mutant.old)


def first_day(mutant: Mutant, days: int) -> tuple[str, str]:
    """Return the first day that shows a mutant, and what broke; empty: none did."""
    played = _run(mutant, "-c", PLAY, str(days))
    if played.returncode == -signal.SIGXCPU:
        return "hangs", f"more than {CPU_SECONDS} s of CPU"
    if played.returncode:
        raise SystemExit(f"{mutant.name}: the search itself failed: {played.stderr[-600:]}")
    found, _, said = played.stdout.strip().partition("|")
    return found, said


def fails_test(mutant: Mutant) -> bool:
    """Tell whether the test that is named fails on a mutant."""
    options = ("-q", "-o", "addopts=", "-p", "no:cacheprovider")
    # 1: a test failed; any other number is an error of its own.
    return _run(mutant, "-m", "pytest", *options, mutant.killed_by).returncode == 1


def _run(mutant: Mutant, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python on a copy of the source that has one change."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "kst_scheduler" / mutant.file
        text = path.read_text("utf-8")
        times = text.count(mutant.old)
        if times != 1:
            raise SystemExit(f"{mutant.name}: {mutant.file} has its text {times} times, not once")
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        return subprocess.run(  # noqa: S603 - this Python
            [sys.executable, *arguments],
            env=os.environ
            | {"PYTHONPATH": f"{source}{os.pathsep}{ROOT / 'tests'}", "TQDM_DISABLE": "1"},
            preexec_fn=_limit_cpu,
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


def _limit_cpu() -> None:
    # Where both are the same, the process is killed as by a machine without memory.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))


if __name__ == "__main__":
    main()
