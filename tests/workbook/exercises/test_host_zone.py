"""An answer is judged on a host in another zone, whatever the reader's own is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import tzlocal
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler import KST, kst
from kst_scheduler.simulation import simulate
from kst_workbook.exercises import check
from kst_workbook.exercises.host_zone import (
    THIS_HOST,
    another_host,
    as_on_host,
    takes_zone_of_host,
)

TESTS = Path(__file__).parents[2]


WITHOUT_A_ZONE = {
    "2.2": """
        THREE = CronTrigger(hour=3)


        def register(scheduler):
            scheduler.add_job(crawl_nps, THREE, id="daily-nps-crawl")
    """,
    "3.1": 'trigger = CronTrigger(day_of_week="mon-fri", hour=8, minute=30)',
    "3.2": 'moved = CronTrigger(day_of_week="sun,mon,tue,wed,thu", hour=18, minute=30)',
    "3.3": """
        from apscheduler.triggers.combining import OrTrigger

        TWICE = OrTrigger([CronTrigger(hour="*/3"), CronTrigger(hour="1-22/3", minute=30)])


        def register_renewal(scheduler):
            scheduler.add_job(crawl_nps, TWICE, id="renew-token")
    """,
    "3.4": """
        mondays = CronTrigger(day="1-7", day_of_week="mon", hour=9)
        meeting = on_business_days(mondays, otherwise="next")
    """,
    "12.1": """
        from apscheduler.triggers.cron import CronTrigger


        def trigger_of(job_id):
            return CronTrigger(hour=2, **spread(job_id, minutes=30))
    """,
}
"""Right answers but for their zone: on a host in Seoul they fire when they should."""

_JUDGE_ALL = """
import sys
from exercise_answers import judge
from exercises.test_host_zone import WITHOUT_A_ZONE

for number, code in WITHOUT_A_ZONE.items():
    verdict = judge(number, code)
    print(number, verdict.outcome, "no zone" in verdict.message or "New_York" in verdict.message)
"""


def test_a_trigger_without_a_zone_is_not_right_on_a_host_in_seoul() -> None:
    """A process of its own has that zone from its start, as the kernel of a reader in Korea."""
    path = os.pathsep.join([str(TESTS), str(TESTS / "workbook"), *sys.path])
    done = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", _JUDGE_ALL],
        env={**os.environ, "TZ": "Asia/Seoul", "PYTHONPATH": path, "KST_WORKBOOK_PROGRESS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = [line.partition(" ")[::2] for line in done.stdout.splitlines()]
    assert [number for number, _ in outcomes] == list(WITHOUT_A_ZONE)
    assert {verdict.rpartition(" ")[0] for _, verdict in outcomes} == {"not yet"}, done.stdout


def test_the_zone_of_the_host_is_an_object_of_its_own() -> None:
    """Fails when tzlocal no longer remembers its zone where ``_of_its_own`` writes it."""
    assert tzlocal.get_localzone() is THIS_HOST
    assert THIS_HOST is not ZoneInfo(THIS_HOST.key)
    simulate(lambda _scheduler: None, kst(2026, 5, 10), kst(2026, 5, 11))
    assert tzlocal.get_localzone() is THIS_HOST


def test_a_trigger_is_made_anew_as_on_another_host() -> None:
    """Also within another one, with its naive dates; what names a zone stays as it is."""
    bare = OrTrigger(
        [CronTrigger(hour=3, start_date="2026-05-10"), CronTrigger(hour=3, timezone=KST)]
    )
    assert takes_zone_of_host(bare)
    moved = as_on_host(bare)
    first, second = (part.get_next_fire_time(None, kst(2026, 5, 10)) for part in moved.triggers)
    assert (first, second) == (kst(2026, 5, 10, 16), kst(2026, 5, 10, 3))
    named = IntervalTrigger(hours=1, start_date=kst(2026, 5, 10))
    assert as_on_host(named) is named
    same_name = CronTrigger(hour=3, timezone=THIS_HOST.key)
    assert as_on_host(same_name) is same_name


def test_a_judge_is_on_another_host_and_this_one_is_back_after_it() -> None:
    """In all that ask for the zone: the C library, the environment, and tzlocal."""
    before = os.environ.get("TZ"), time.tzname, tzlocal.get_localzone()
    with another_host():
        assert datetime.fromtimestamp(0).hour == 19  # noqa: DTZ006 - the point
        assert str(tzlocal.get_localzone()) == "America/New_York"
    assert (os.environ.get("TZ"), time.tzname, tzlocal.get_localzone()) == before


def test_a_trigger_that_fires_alike_on_every_host_is_judged_by_its_fires() -> None:
    """Each full hour is one in every zone of whole hours."""
    assert "fires 168 times" in check("3.1", CronTrigger(minute=30)).message
    assert "names no zone" in check("3.1", CronTrigger(hour=8, minute=30)).message
