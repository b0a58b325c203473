from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from capstone_services import lesson, lesson_scheduler, repaired
from in_loop import in_loop
from kst_scheduler.errors import NotRunningError
from kst_scheduler.runs.fates import broken_promises
from kst_scheduler.timezone import kst
from kst_workbook.scenes import real_replicas
from kst_workbook.scenes.capstone import (
    CRAWL,
    CRAWL_CALLS,
    QUOTA,
    REPORT,
    TOKEN,
    Replay,
    bad_month,
    crawl_nps,
    replay,
    what_was_meant,
)

WEEK = bad_month(1, days=7)
NIGHTS = 7
PROMISES = ["ran more than once", "has no row", "is not ok, and no reason"]


@pytest.fixture(scope="module")
def mended() -> Replay:
    """Replay a bad week with the repaired service."""
    return replay(repaired, WEEK)


@pytest.fixture(scope="module")
def as_written() -> Replay:
    """Replay a bad week with the service as the lesson writes it, on UTC hosts."""
    return replay(lesson, WEEK, lesson_scheduler)


def counts(replayed: Replay, job: str = CRAWL) -> dict[str, int]:
    """Return how many occurrences of a job met each fate."""
    judged = replayed.fates[replayed.fates["job_id"] == job]["fate"].value_counts()
    return {str(fate): int(count) for fate, count in judged.items() if count}


def test_the_processes_of_the_notebook_run_the_same_crawl() -> None:
    """By its id; they do not import the simulated month for it."""
    assert real_replicas.CRAWL == CRAWL


def test_what_was_meant_does_not_depend_on_triggers() -> None:
    """31 nights, 744 hours, and the 18 business days of May 2026, three holidays left out."""
    meant = what_was_meant(kst(2026, 5, 1), kst(2026, 6, 1))
    assert {job: len(times) for job, times in meant.items()} == {CRAWL: 31, TOKEN: 744, REPORT: 18}
    assert not {1, 5, 25} & set(meant[REPORT].day)


def test_the_lesson_runs_everything_at_noon_and_too_often(as_written: Replay) -> None:
    """No night is on time; one ran only once, as others had spent the quota."""
    found = counts(as_written)
    assert found["lost"] == 3
    assert found["late"] == 1
    assert found["duplicated"] == NIGHTS - 4
    noon = as_written.fates[as_written.fates["fate"] == "duplicated"]
    assert set(noon[noon["job_id"] == CRAWL]["started_at"].dt.hour) <= {11, 12}
    assert counts(as_written, REPORT)["unwanted"] == 2  # Labour Day and Children's Day


def test_the_repaired_week_keeps_every_promise(mended: Replay) -> None:
    """Nothing twice, a row for each occurrence, a reason wherever it is not ok."""
    assert broken_promises(mended.fates, mended.history) == dict.fromkeys(PROMISES, 0)
    assert "unwanted" not in set(mended.fates["fate"])


def test_what_the_repaired_week_lost_it_says(mended: Replay) -> None:
    """No power beyond the catch-up window, no quota, and no Redis for the lock."""
    lost = mended.fates[(mended.fates["job_id"] == CRAWL) & (mended.fates["fate"] == "lost")]
    reasons = " | ".join(lost["reason"])
    assert len(lost) == 3
    for part in ("catch-up window 6:00:00", "QuotaExceededError", "its lock could not be had"):
        assert part in reasons


@pytest.mark.parametrize(
    ("change", "lost"),
    [({"locked": False}, 2), ({"catch_up": 12}, 1)],
)
def test_what_can_be_saved(change: dict[str, Any], lost: int) -> None:
    """Without the lock, the night of the outage; with a longer window, that of the power too."""
    saved = replay(partial(repaired, **change), WEEK)
    assert counts(saved)["lost"] == lost
    assert not any(broken_promises(saved.fates, saved.history).values())


@pytest.mark.parametrize("seed", [2, 2026])
def test_other_weeks_keep_the_promises_too(seed: int) -> None:
    """Whatever happens in which order."""
    other = replay(repaired, bad_month(seed, days=7))
    assert broken_promises(other.fates, other.history) == dict.fromkeys(PROMISES, 0)


def test_the_quota_counts_what_each_crawl_asks_for(as_written: Replay, mended: Replay) -> None:
    """2,500 a crawl, and those of others; a crawl that is refused spends nothing, but asks."""
    half, whole = sorted(WEEK.spent, key=lambda day: WEEK.spent[day])
    assert mended.calls[half] == 6_000 + CRAWL_CALLS < QUOTA < mended.calls[whole]
    assert as_written.calls[WEEK.start.date()] == 3 * CRAWL_CALLS


def test_every_job_has_a_fate_for_each_time_it_was_meant(mended: Replay) -> None:
    """Also where a clock that is ahead begins the next week early."""
    meant = what_was_meant(WEEK.start, WEEK.end)
    assert len(mended.fates) == sum(map(len, meant.values()))


def test_a_crawl_outside_a_replay_is_refused() -> None:
    """It needs the sandbox that counts."""

    async def crawl() -> None:
        with pytest.raises(NotRunningError, match=r"in replay\(\.\.\.\) only"):
            await crawl_nps()

    in_loop(crawl)


def digest(replayed: Replay) -> str:
    """Return what stands for all tables of a replay."""
    tables = [replayed.fates, replayed.history, replayed.result.runs, replayed.calls]
    text = "\n".join(table.to_csv() for table in tables)
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_replay_is_the_same_on_every_machine(mended: Replay) -> None:
    """In another time zone, and under another hash seed."""
    here = Path(__file__)
    code = (
        "from test_capstone_replay import *; print(digest(replay(repaired, bad_month(1, days=7))))"
    )
    path = os.pathsep.join(map(str, (here.parent, here.parents[2])))  # as pytest has it
    done = subprocess.run(  # noqa: S603 - the tests' own code
        [sys.executable, "-c", code],
        env=os.environ | {"TZ": "America/New_York", "PYTHONHASHSEED": "1", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == digest(mended)
