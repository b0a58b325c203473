"""Random clusters through random days of faults: does a run happen twice, vanish, or wait in vain?

Purpose: plays days of 2 to 5 nodes with cron and date jobs. What goes wrong: freezes, crashes,
  clocks that are off or jump, pauses of single replicas, a ledger whose own clock is wrong for a
  while, and a ledger and a Redis that are away, down, read-only, slow, deaf (the answer is lost),
  late (the statement is carried out minutes later) or emptied; also at one call of the ledger or of
  Redis, inside a step of a process. Each day draws its own kinds of faults. ``--kind`` plays other
  days: without a fault, with one fault, or without a calm end. The scheduler, ``once``,
  ``redis_lock`` and the reconciler are the real ones. After each day its promises are checked
  (tests/random_days/invariants.py). Prints what was broken and how often, on how many days each
  rare state was reached (tests/random_days/marks.py), and each day on which a promise was broken:
  shrunk by hypothesis, in words, with the command that plays it again, and with its timeline as a
  PNG in the working directory. Exits with 1 after such a day, and if 1,000 days or more with all
  faults never reached one of the rare states: then the search is too weak.
Limits: the ledger is the one in memory, whose claims are those of every ledger. A number is the
  same day with the same version of hypothesis. About a tenth of a second a day.
Run: ``uv run python benchmarks/cluster_days.py --seeds 1000``, or ``--seed 123`` for one day
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

# The days are those of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kst_scheduler.timeline import plot_timeline
from random_days.search import search
from random_days.strategies import KINDS_OF_DAYS
from random_days.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    from random_days.search import Failure

COMMAND = "uv run python benchmarks/cluster_days.py --seed"
EVERY = 500
"""Days from one line of progress to the next."""


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="how many days; a seed is a day")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this day only")
    parser.add_argument(
        "--kind", choices=list(KINDS_OF_DAYS), default="all faults", help="what goes wrong"
    )
    asked = parser.parse_args()
    if asked.seeds < 1:
        parser.error("--seeds: at least one day")
    return asked


def report(failure: Failure, kind: str) -> None:
    """Print what did not hold, the day in words and its replay, and draw its timeline."""
    picture = Path(f"cluster-day-{failure.number}.png")
    plot_timeline(failure.story.result).get_figure(root=True).savefig(picture)  # type: ignore[union-attr]
    print(f"\nDay {failure.number}: {failure.faults[0]}")
    for fault in failure.faults[1:5]:
        print(f"  also: {fault}")
    print(f"The simplest day like it:\n{failure.story.day.words()}")
    print(
        f"Play it again: {COMMAND} {failure.number} --kind '{kind}'\nIts timeline: {picture}",
        flush=True,
    )


def play(seeds: Iterable[int], kind: str) -> bool:
    """Play days; return whether all of them held, and reached what they must."""
    tally, failed, began = Tally(), 0, time.process_time()
    for count, seed in enumerate(seeds, 1):
        stories = 0

        def add_first(story: object) -> None:
            nonlocal stories
            stories += 1
            if stories == 1:  # the others are shrunk from it
                tally.add(story)  # type: ignore[arg-type]

        failure = search(seed, days=kind, seen=add_first)
        if failure:
            failed += 1
            report(failure, kind)
        if count % EVERY == 0:
            print(f"{count:,} days, {failed} failed", flush=True)
    seconds = time.process_time() - began
    print(f"\n{tally}\n{seconds:.0f} s of CPU, {1000 * seconds / tally.days:.0f} ms a day")
    print(f"days on which something did not hold: {failed}")
    unreached = tally.unreached() if kind == "all faults" else []
    for mark in unreached:
        print(f"never reached: {mark}")
    return not failed and not unreached


def main() -> None:
    """Play the days that the command line asks for; exit with 1 when one fails."""
    os.environ["TQDM_DISABLE"] = "1"
    gc.freeze()  # what was imported is no garbage, and looking for some took an eighth of the time
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of nodes that are torn down
    asked = arguments()
    last = asked.first + asked.seeds
    seeds = range(asked.first, last) if asked.seed is None else [asked.seed]
    sys.exit(0 if play(seeds, asked.kind) else 1)


if __name__ == "__main__":
    main()
