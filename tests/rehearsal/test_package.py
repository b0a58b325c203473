"""A service of several files, which import one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kst_scheduler.rehearsal import rehearse

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FILES = {
    "__init__.py": "from .app import scheduler\n",
    "settings.py": "from . import jobs\nHOUR = 3\n",
    "slow.py": "import time\n\n\ndef fetch():\n    time.sleep(3)  # blocks\n",
    "other.py": "import time\n\n\ndef store():\n    time.sleep(3)\n",
    "jobs.py": """
import asyncio, functools
from . import slow
from .other import store


def retried(function):
    @functools.wraps(function)
    async def run(*args):
        for number in range(3):
            try:
                return await function(*args)
            except Exception:
                if number == 2:
                    raise
    return run


@retried
async def crawl():
    slow.fetch()


@retried
async def report():
    await asyncio.to_thread(store)


class Base:
    async def run(self):
        await self.work()

    async def work(self):
        raise NotImplementedError


class Copy(Base):
    async def work(self):
        try:
            await asyncio.sleep(1)
        except Exception:  # hides
            pass
""",
    "app.py": """
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from .settings import HOUR
from .jobs import Copy, crawl, report

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})
scheduler.add_job(crawl, "cron", hour=HOUR, id="crawl")
scheduler.add_job(report, "cron", hour=HOUR, id="report")
scheduler.add_job(Copy().work, "cron", hour=HOUR, id="copy")
scheduler.add_job("shop.jobs:crawl", "cron", hour=HOUR + 1, id="by-name")
""",
}


def test_each_finding_is_in_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the decorators, the imports and the class of the job."""
    package = tmp_path / "shop"
    package.mkdir()
    for name, text in FILES.items():
        (package / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = rehearse("shop:scheduler", nights=1, nodes=1)

    def place(name: str, mark: str) -> tuple[str, int]:
        lines = FILES[name].splitlines()
        return str(package / name), next(n for n, line in enumerate(lines, 1) if mark in line)

    blocks, hides = place("slow.py", "# blocks"), place("jobs.py", "# hides")
    assert [
        (each.code, each.job, (each.place.file, each.place.line)) for each in found.findings
    ] == [
        ("KST010", "by-name", blocks),
        ("KST010", "crawl", blocks),
        ("KST019", "copy", hides),
    ]
