from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
[mypy]
strict = True

# Only to save time: what they look like is not the question.
[mypy-aiosqlite.*,asyncpg.*,fastapi.*,greenlet.*,holidays.*,httpx.*,matplotlib.*,numpy.*,pandas.*]
follow_imports = skip
[mypy-procrastinate.*,psycopg.*,pydantic.*,pydantic_settings.*,redis.*,sqlalchemy.*,starlette.*]
follow_imports = skip
[mypy-time_machine.*,tqdm.*,uvicorn.*]
follow_imports = skip
"""

RIGHT = """
import asyncio
import functools
from datetime import timedelta

from kst_scheduler import KSTScheduler, MemoryLedger, Reconciler, RunRecorder, at, cron, every, kst
from kst_scheduler import current_occurrence, once
from kst_scheduler.distributed import hand_off
from kst_scheduler.service.components import Service

ledger = MemoryLedger()
scheduler = KSTScheduler(job_defaults={"coalesce": False})


@scheduler.scheduled_job(cron(hour=3, minute=0), id="nightly-crawl")
async def crawl() -> None: ...


@scheduler.scheduled_job(cron(hour=3), id="nps", max_instances=1, misfire_grace_time=None)
@once(ledger, catch_up=timedelta(hours=6))
async def crawl_once(source: str = "nps") -> int:
    return len(current_occurrence().key + source)


@scheduler.scheduled_job("cron", hour=4, minute="*/30", id="report")
def report(pages: int = 1) -> str:
    return "x" * pages


async def later(source: str) -> None: ...


class Crawler:
    @once(ledger)
    async def crawl(self, page: int, *, source: str = "nps") -> int:
        return page

    @staticmethod
    @once(ledger)
    async def count(page: int) -> int:
        return page


def register(service: Service) -> None:
    @once(service.ledger, catch_up=timedelta(hours=6))
    async def handed() -> None: ...

    job = hand_off(handed, service.tasks, retry=3)
    service.scheduler.add_job(job, cron(hour=3), id="handed-off")


async def main() -> None:
    rows: int = await crawl_once("nps")
    rows = await Crawler().crawl(1, source="moa")
    rows = await Crawler.crawl(Crawler(), 1)
    rows = await Crawler.count(1)
    scheduler.add_job(Crawler().crawl, cron(hour=3), args=[1], id=str(Crawler().crawl.once.lease))
    pages: str = report(2)
    scheduler.add_job(later, every(hours=6), args=["nps"], id="later", replace_existing=True)
    scheduler.add_job(functools.partial(later, "nps"), at(kst(2026, 5, 10)), id="bound")
    scheduler.add_job("my_jobs:later", "interval", hours=1, start_date="2026-01-01", jitter=3)
    scheduler.add_job(later, "date", run_date=kst(2026, 5, 10), args=("nps",), next_run_time=None)
    scheduler.add_job(later, cron(hour=3), allow_timezone="UTC", kwargs={"source": "nps"})
    scheduler.reschedule_job("later", trigger="cron", hour=5)
    scheduler.modify_job("later", args=["moa"], trigger=cron(hour=4), max_instances=2)
    scheduler.add_listener(print)
    scheduler.start()
    RunRecorder(scheduler)
    Reconciler(scheduler, ledger).start()
    print(rows, pages, crawl_once.once.lease, scheduler.run_now("later").key)
    print((await scheduler.drain(timeout=30)).cancelled)


asyncio.run(main())
"""

WRONG = """
import functools
from collections.abc import Callable
from typing import ParamSpec

from kst_scheduler import KSTScheduler, MemoryLedger, cron, once

scheduler = KSTScheduler()
P = ParamSpec("P")


# Why add_job(report, cron(hour=3), args=["two"]) is not flagged: args and kwargs are values, and no
# type stands for a list that fits the parameters of a function. functools.partial is checked.
def add(func: Callable[P, object], args: P.args, kwargs: P.kwargs) -> None: ...  # not allowed here


@scheduler.scheduled_job("cron", hour=4, id="report")
def report(pages: int = 1, *, name: str = "") -> str:
    return name * pages


@scheduler.scheduled_job(cron(hour=3), id="nps")
@once(MemoryLedger())
async def crawl(source: str) -> int:
    return len(source)


class Crawler:
    @once(MemoryLedger())
    async def crawl(self, page: int) -> int:
        return page


async def main() -> None:
    await Crawler().crawl("one")  # Argument 1 to "__call__" of "OnceFunction" has
    await Crawler().crawl()  # Missing positional argument "page"
    word: str = await Crawler().crawl(1)  # Incompatible types in assignment
    scheduler.add_job(crawl, cron(hour=3), idd="nps")  # did you mean "id"
    scheduler.add_job(crawl, "cron", hours=3, minutes=0, our=3)  # "our"
    scheduler.add_job(crawl, cron(hour=3), id=7)  # "id" to "add_job" of
    scheduler.add_job(crawl, cron(hour=3), replace_existing="yes")  # "replace_existing" to
    scheduler.add_job(7, cron(hour=3))  # Argument 1 to "add_job" of
    scheduler.scheduled_job(cron(hour=3), idd="nps")(crawl)  # did you mean "id"
    scheduler.modify_job("nps", nam="x")  # "nam"
    scheduler.modify_job("nps", max_instances="three")  # "max_instances" to "modify_job" of
    scheduler.reschedule_job("nps", trigger="cron", ours=3)  # "ours"
    scheduler.add_job(report, cron(hour=3), args=["two"])
    scheduler.add_job(functools.partial(report, "two"), cron(hour=3))  # Argument 1 to "report" has
    report("two")  # Argument 1 to "report" has
    report(nam="x")  # Unexpected keyword argument "nam" for "report"
    number: int = report(1, name="x")  # Incompatible types in assignment
    await crawl(7)  # Argument 1 to "__call__" of "OnceFunction" has
    text: str = await crawl("nps")  # Incompatible types in assignment
    crawl("nps").cancel()  # has no attribute "cancel"
    crawl.twice  # has no attribute "twice"
"""


@pytest.mark.long
def test_a_readers_strict_project_is_checked(tmp_path: Path) -> None:
    """What the README writes passes, and what is misspelt is flagged, on each of its lines."""
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    options = [f"--cache-dir={os.devnull}", "--no-error-summary", "--hide-error-context"]
    done = subprocess.run(  # noqa: S603 - the files above
        [sys.executable, "-m", "mypy", *options, "right.py", "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert not done.stderr
    flagged: dict[int, str] = {}
    for file, line, kind, message in re.findall(r"(?m)^(.+?):(\d+): (\w+): (.*)$", done.stdout):
        assert file == "wrong.py", done.stdout
        if kind == "error":
            flagged[int(line)] = flagged.get(int(line), "") + message
    expected = {
        number: line.partition("  # ")[2]
        for number, line in enumerate(WRONG.splitlines(), 1)
        if "  # " in line
    }
    assert flagged.keys() == expected.keys(), done.stdout
    for number, part in expected.items():
        assert part in flagged[number], done.stdout
