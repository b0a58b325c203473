"""What two services leave behind holds enough to answer the questions about them."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise

import pytest

from kst_scheduler.timezone import kst
from kst_workbook.scenes.hidden_services import DUE, LATE, LOCK_TTL, locked_night, night_log


def test_the_line_names_the_next_run_and_how_late_the_lost_one_was() -> None:
    """The one that was lost was due a day before the next, in the zone that the line names."""
    line = night_log()
    following = DUE + timedelta(days=1)
    assert f"next run at: {following:%Y-%m-%d %H:%M:%S} UTC" in line
    assert line.endswith(f"was missed by {LATE}")
    assert re.search(r"cron\[hour='18', minute='30'\]", line)


def test_each_crawl_ends_a_time_to_live_after_the_one_before() -> None:
    """And ten seconds at most, for the next looks as often; each learns of it at its end."""
    runs = locked_night().runs
    ends = list(runs["finished_at"])
    assert ends[0] == kst(2026, 5, 10, 3, 40)
    for earlier, later in pairwise(ends):
        assert LOCK_TTL <= (later - earlier).total_seconds() <= LOCK_TTL + 10
    assert set(runs["status"]) == {"error"}
    assert runs["detail"].str.contains("LockNotOwnedError").all()


@pytest.mark.parametrize(("ttl", "same"), [(660, False), (719, False), (720, True), (780, False)])
def test_no_other_whole_minute_gives_the_same_night(ttl: int, same: bool) -> None:
    """So the table has one answer."""
    assert locked_night(ttl).runs.equals(locked_night().runs) is same
