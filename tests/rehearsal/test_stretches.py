"""Jobs that are due very often: which they are, and for which stretches they are rehearsed."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler import cron, every, kst
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.fire_times.iteration import successive_fires
from kst_scheduler.rehearsal import rehearse
from kst_scheduler.rehearsal.nights import FIRST_NIGHT
from kst_scheduler.rehearsal.stretches import Stretched, is_due_often, stretches_of

if TYPE_CHECKING:
    from pathlib import Path

START = kst(2026, 5, 4, 13, 30)
STRETCHES = [
    (microseconds(kst(2026, 5, 4, 14)), microseconds(kst(2026, 5, 4, 14, 2))),
    (microseconds(kst(2026, 5, 5, 14)), microseconds(kst(2026, 5, 5, 14, 2))),
]
TRIGGERS = {
    "cron": cron(minute="*", second=30),
    "interval": IntervalTrigger(minutes=1, start_date=kst(2026, 5, 1, 0, 0, 30)),
    "or": OrTrigger([cron(minute="*/2", second=30), cron(minute="1-59/2", second=30)]),
}
SERVICE = """
from kst_scheduler import KSTScheduler, cron
scheduler = KSTScheduler()

async def work(): ...

scheduler.add_job(work, cron(minute="*"), id="each minute")
scheduler.add_job(work, cron(minute="*", second="*/30"), id="each half")
scheduler.add_job(work, cron(hour=3), id="nightly")
"""


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=[*TRIGGERS])
def test_it_fires_in_its_stretches_only(trigger: object) -> None:
    """At the times of its trigger, to the last stretch; a job store keeps it as it is."""
    stretched = pickle.loads(pickle.dumps(Stretched(trigger, STRETCHES)))  # noqa: S301
    assert list(successive_fires(stretched, START)) == [
        kst(2026, 5, day, 14, minute, 30) for day in (4, 5) for minute in (0, 1)
    ]


def test_what_is_due_often() -> None:
    """More than a hundred times, on any of the nights; what is dated is left as it is."""
    assert is_due_often(every(minutes=14), START, 1)
    assert not is_due_often(every(minutes=15), START, 1)
    assert not is_due_often(cron(day_of_week="sun", hour="*", minute="*"), START, 5)
    assert is_due_often(cron(day_of_week="sun", hour="*", minute="*"), START, 7)
    dated = OrTrigger([every(minutes=1), DateTrigger(kst(2026, 5, 5))])
    assert not is_due_often(dated, START, 1)


def test_a_stretch_lies_around_what_goes_wrong() -> None:
    """With the length of the run, at whose end things go wrong, too."""
    fire = microseconds(kst(2026, 5, 4, 15))
    assert stretches_of([fire, None], 1800, []) == [
        (microseconds(kst(2026, 5, 4, 14, 48)), microseconds(kst(2026, 5, 4, 15, 45)))
    ]


def test_the_report_says_in_one_line_what_was_shortened(tmp_path: Path) -> None:
    """What is due each night is rehearsed as ever, also where things go wrong at a given time."""
    (tmp_path / "app.py").write_text(SERVICE, encoding="utf-8")
    found = rehearse(
        f"{tmp_path / 'app.py'}:scheduler", nights=2, nodes=1, incidents=["freeze A 20:00 30s"]
    )
    assert found.shortened == ("each minute", "each half")
    counts = found.runs["job_id"].value_counts().to_dict()
    assert counts["nightly"] == 2
    a_minute = 1  # lasts a run, and in part the freeze
    assert counts["each minute"] == (2 + 2) * (12 + a_minute + 15)
    minutes = found.runs[found.runs["job_id"] == "each minute"]["scheduled_at"]
    assert minutes.min() == FIRST_NIGHT + timedelta(minutes=40 - 12)
    (line,) = [line for line in repr(found).splitlines() if line.startswith("due more")]
    assert line == (
        "due more than 100 times a night, so rehearsed from 12 minutes before the first fire of "
        "each night to 15 minutes after it: each minute and 1 more"
    )
