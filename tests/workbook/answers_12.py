"""Typical wrong answers to the exercises of notebook 12, and a part of what each is told."""

from __future__ import annotations


def _trigger(expression: str) -> str:
    """Return a function that makes this trigger."""
    return f"def trigger_of(job_id):\n    return {expression}\n"


_RANDOM = """
import random

def trigger_of(job_id):
    return cron(hour=2, minute=random.randrange(30), second=random.randrange(60))
"""

_HASH = """
def trigger_of(job_id):
    minute, second = divmod(hash(job_id) % 1800, 60)
    return cron(hour=2, minute=minute, second=second)
"""

_PROCESS = """
import os

def trigger_of(job_id):
    second = (3 * int(job_id[-3:]) + os.getpid()) % 1800
    return cron(hour=2, minute=second // 60, second=second % 60)
"""

_ONE_RUN = """
def test_one_run(runs):
    ok = runs[(runs["job_id"] == "crawl-042") & (runs["status"] == "ok")]
    assert len(ok) == 1
    assert ok["scheduled_at"].between(kst(2026, 5, 10, 3), kst(2026, 5, 10, 3, 10)).all()
"""
_NO_DUPLICATES = """
def test_one_run(runs):
    assert "crawl-042" in set(runs["job_id"]) and duplicates(runs).empty
"""

WRONG = {
    "12.1": [
        (_trigger("cron(hour=2)"), "500 of your jobs start at Sun 10 May 02:00"),
        (_trigger("cron(hour=2, **spread(job_id, minutes=10))"), "4 of your jobs start at"),
        (_trigger("cron(hour=2, **spread(job_id, minutes=60))"), "after half past two"),
        (_trigger("cron(hour=3, **spread(job_id, minutes=30))"), "500 of your jobs start before"),
        (_trigger("cron(hour=2, jitter=1800)"), "so three replicas draw three times"),
        (_trigger("cron(**spread(job_id, minutes=30))"), "fires 48 times in two nights"),
        (_trigger("spread(job_id, minutes=30)"), "Expected a trigger"),
        (_RANDOM, "on replica B. So both run it"),
        (_HASH, "asks Python's `hash`"),
        (_PROCESS, "on replica B. So both run it"),
        ("trigger_of = cron(hour=2)", "Expected a function"),
        ("def trigger_of():\n    return cron(hour=2)", "is called as `trigger_of(crawl-042)`"),
    ],
    "12.2": [
        (_NO_DUPLICATES, "passes on the night with `jitter=600`"),
        (
            _ONE_RUN.replace(' & (runs["status"] == "ok")', ""),
            "run by one of three, which is right",
        ),
        (_ONE_RUN.replace("len(ok) == 1", "len(ok) < 2"), "in which the run raises"),
        (_ONE_RUN.replace("10, 3)", "10, 2)"), "due at 02:59"),
        (_ONE_RUN.replace("3, 10)", "3, 30)"), "due at 03:11"),
        (_ONE_RUN.replace("3, 10)", "3, 9, 59)"), "fails on a night at 03:10, which is right"),
        (_ONE_RUN.replace("assert len(ok) == 1", "return len(ok) == 1"), "looks at no result"),
        (_ONE_RUN.replace("def ", "async def "), "is an `async def`"),
        ("def test_one_run():\n    assert False", "is called as `test_one_run(runs)`"),
        ("test_one_run = 1", "Expected a function"),
    ],
}
