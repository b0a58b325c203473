"""Typical wrong answers to the exercises of notebook 10, and a part of what each is told."""

from __future__ import annotations

import inspect

from kst_workbook.exercises.questions.e10_3_a_service_without_faults import repaired
from kst_workbook.scenes.broken_service import register

_BROKEN = inspect.getsource(register).replace("def register", "def repaired")
_REPAIRED = inspect.getsource(repaired)


def _with(old: str, new: str) -> str:
    """Return the solution with one of its repairs undone, or another one in its place."""
    assert old in _REPAIRED
    return _REPAIRED.replace(old, new)


WENT_ON = r"""
import re
from zoneinfo import ZoneInfo

ZONES = {"UTC": ZoneInfo("UTC"), "KST": ZoneInfo("Asia/Seoul")}


def went_on(line):
    following, zone = re.search(r"next run at: (\S+ \S+) (\w+)", line).groups()
    parts = re.search(r"missed by (\d+):(\d+):([\d.]+)", line).groups()
    hours, minutes, seconds = map(float, parts)
    due = datetime.fromisoformat(following).replace(tzinfo=ZONES[zone]) - timedelta(days=1)
    return due + timedelta(hours=hours, minutes=minutes, seconds=seconds)
"""

WRONG = {
    "10.1": [
        (WENT_ON.replace(" - timedelta(days=1)", ""), "the run after the lost one"),
        (WENT_ON.replace("days=1", "days=2"), "was not yet due"),
        (WENT_ON.replace(".replace(tzinfo=ZONES[zone])", ""), "without a zone"),
        (WENT_ON.replace("ZONES[zone]", 'ZONES["KST"]'), "09:36:40 in UTC. At that moment"),
        (WENT_ON.replace("seconds=seconds", "seconds=0"), "0:06:00 late; the line says 0:06:40"),
        (WENT_ON.replace("seconds=seconds", "seconds=int(seconds)"), "0:05:00 late; the line says"),
        ("def went_on(line):\n    return line[-8:]", "Expected a moment"),
        ("went_on = kst(2026, 5, 11, 3, 36, 40)", "Expected a function"),
        ("def went_on():\n    return kst(2026, 5, 11)", "is called as `went_on(line)`"),
    ],
    "10.2": [
        (
            "ttl = 40 * 60",
            "lives 2400 seconds the crawls end: A at 03:40:00 (ok), B at 04:20:00 (ok)",
        ),
        ("ttl = 725", "With 725 seconds the crawls end as in the table"),
        ("ttl = 52 * 60", "lives 3120 seconds"),
        (
            "ttl = 12",
            "lives 12 seconds the crawls end: A at 03:40:00 (error), B at 03:40:20 (error)",
        ),
        ("ttl = timedelta(minutes=10)", "lives 600 seconds"),
        ("ttl = True", "`True`, a bool"),
        ("ttl = -720", "between a second and a day"),
        ('ttl = float("nan")', "between a second and a day"),
        ('ttl = "720"', "`'720'`, a str"),
    ],
    "10.3": [
        (_BROKEN, "8 findings are left.\n\n`daily-nps-crawl` is wanted at 03:00 in Korea"),
        (_with("300", "60"), "and yet runs were lost: 1 of `backup`, 1 of `daily-nps-crawl`"),
        (_with("cron(hour=3, minute=0)", "cron(hour=12, minute=0)"), "as on Mon 4 May 12:00"),
        (
            _with("    def backup", "    async def backup"),
            "One finding is left.\n\n21 times the event",
        ),
        (_with("def repaired(scheduler", "repaired = lambda: 1\ndef other(scheduler"), "takes 0"),
        ("repaired = 8", "`8`, an int"),
    ],
}
