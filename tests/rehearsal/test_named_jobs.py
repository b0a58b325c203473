"""Which job is which: ids of two schedulers, jobs of each replica, jobs that jobs add."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kst_scheduler import TargetError
from kst_scheduler.rehearsal import explain
from kst_scheduler.rehearsal.asking import ask
from kst_scheduler.rehearsal.rehearse import Rehearsal, question_of, rehearsal_of

if TYPE_CHECKING:
    from pathlib import Path

TWO = """
from kst_scheduler import KSTScheduler, cron

async def crawl(): ...
async def report(): ...

def two():
    first, second = KSTScheduler(), KSTScheduler()
    first.add_job(crawl, cron(hour=3), id="crawl")
    second.add_job(crawl, cron(hour=3), id="report")
    second.add_job(report, cron(hour=3), id="crawl")
    first.start()
    second.start()
"""
CACHE = """
from kst_scheduler import KSTScheduler, cron
scheduler = KSTScheduler()

async def refresh(): ...

scheduler.add_job(refresh, cron(hour=3), id="cache")
"""
ADDING = """
from kst_scheduler import KSTScheduler, cron
scheduler = KSTScheduler()

async def added(): ...
async def adds():
    scheduler.add_job(added, cron(hour=4), id="added", replace_existing=True)

scheduler.add_job(adds, cron(hour=3), id="adds")
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rehearsal]:
    """Rehearse them all in one process."""
    folder: Path = tmp_path_factory.mktemp("named")
    for name, text in {"two": TWO, "cache": CACHE, "adding": ADDING}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    questions = {
        "two": question_of(f"{folder}/two.py:two", nights=1, nodes=1),
        "two on two": question_of(f"{folder}/two.py:two", nights=1),
        "cache": question_of(f"{folder}/cache.py:scheduler", nights=1),
        "each": question_of(f"{folder}/cache.py:scheduler", nights=1, each_node=["cache"]),
        "stand-ins": question_of(f"{folder}/adding.py:scheduler", nights=1, nodes=1),
        "jobs": question_of(f"{folder}/adding.py:scheduler", nights=1, run_jobs=True),
        "nobody": question_of(f"{folder}/cache.py:scheduler", nights=1, each_node=["cach"]),
    }
    answers = dict(zip(questions, ask([*questions.values()]), strict=True))
    with pytest.raises(TargetError, match="has no job 'cach'; its jobs are cache"):
        rehearsal_of(questions.pop("nobody"), answers["nobody"])
    return {name: rehearsal_of(each, answers[name]) for name, each in questions.items()}


def codes(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """Return the code and the job of each finding."""
    return [(each.code, each.job) for each in rehearsal.findings]


def test_one_id_in_two_schedulers_is_two_jobs(found: dict[str, Rehearsal]) -> None:
    """Neither runs twice on one replica; each has its own name, line, and findings."""
    assert sorted(found["two"].runs["job_id"]) == ["crawl", "crawl (scheduler 2)", "report"]
    assert ("KST012", "crawl") not in codes(found["two"])
    twice = [each for each in found["two on two"].findings if each.code == "KST012"]
    lines = {each.job: each.place.line for each in twice}
    assert lines == {"crawl": 9, "report": 10, "crawl (scheduler 2)": 11}


def test_a_job_of_each_replica_is_no_finding(found: dict[str, Rehearsal]) -> None:
    """Where that was said; the advice of KST012 names how."""
    assert codes(found["cache"]) == [("KST012", "cache")]
    assert codes(found["each"]) == []
    assert len(found["each"].runs) == 2
    assert "--each-node JOB" in explain("KST012")


def test_what_jobs_add_is_rehearsed_where_the_jobs_are_run(found: dict[str, Rehearsal]) -> None:
    """A stand-in adds nothing."""
    assert found["stand-ins"].runs["job_id"].tolist() == ["adds"]
    assert set(found["jobs"].runs["job_id"]) == {"adds", "added"}
    assert ("KST012", "added") in codes(found["jobs"])
