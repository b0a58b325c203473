"""Other schedulers by their documented rules, and APScheduler by runs, on the same nights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kst_workbook.scenes.other_schedulers import (
    BY_DOCUMENTATION,
    BY_RUN,
    DOWN,
    HOURLY,
    LONG,
    NIGHT,
    RULES,
    SIMULATED,
    Night,
    Rules,
    compare_schedulers,
)

if TYPE_CHECKING:
    import pandas as pd

DEFAULTS = Rules(failure="a mail", change="edit")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Return the table once for all tests: half a second of simulations."""
    return compare_schedulers()


def starts(rules: Rules, night: Night) -> list[str]:
    """Return the times of the day at which runs start."""
    return [f"{start:%H:%M}" for start, _ in rules.runs(night)]


def test_a_run_that_was_due_while_it_was_down_is_lost_or_starts_when_it_is_back() -> None:
    """Once, however many times were due."""
    assert starts(DEFAULTS, Night(HOURLY, down=DOWN)) == ["04:00", "05:00"]
    catching_up = replace(DEFAULTS, catches_up=True)
    assert starts(catching_up, Night(HOURLY, down=DOWN)) == ["03:20", "04:00", "05:00"]
    long = Night(HOURLY, down=(NIGHT[0], NIGHT[1]))
    assert starts(catching_up, long) == ["08:00"]
    assert starts(catching_up, Night(down=(DOWN[0], DOWN[0]))) == ["03:00"]


def test_each_host_runs_its_entry_unless_the_hosts_share_one() -> None:
    """As many runs as hosts, or one."""
    assert starts(DEFAULTS, Night(hosts=3)) == ["03:00"] * 3
    assert starts(replace(DEFAULTS, each_host=False), Night(hosts=3)) == ["03:00"]


def test_a_run_starts_beside_the_one_before_unless_it_is_left_out() -> None:
    """The 04:00 run is left out while that of 03:00 works until 04:30."""
    assert starts(DEFAULTS, Night(HOURLY, LONG)) == ["03:00", "04:00", "05:00"]
    assert starts(replace(DEFAULTS, overlaps=False), Night(HOURLY, LONG)) == ["03:00", "05:00"]


def test_a_failed_run_is_started_again_as_often_as_the_rules_say() -> None:
    """The first attempt, and its retries."""
    assert DEFAULTS.attempts() == 1
    assert replace(DEFAULTS, retries=6).attempts() == 7


def test_the_table_has_a_row_for_each_scheduler_and_says_where_it_comes_from(
    table: pd.DataFrame,
) -> None:
    """Four from documentation, two from runs."""
    assert list(table.index) == [*RULES, *SIMULATED]
    assert list(table["as said by"]) == [BY_DOCUMENTATION] * 4 + [BY_RUN] * 2


def test_the_table_answers_for_cron_and_for_a_cronjob(table: pd.DataFrame) -> None:
    """From the rules."""
    words = ["lost", "2 runs", "2 concurrent", "1 attempt, a mail", "edit the crontab"]
    assert list(table.loc["cron"])[:5] == words
    cronjob = list(table.loc["Kubernetes CronJob"])
    assert cronjob[:4] == ["runs at 03:20", "1 run", "2 concurrent", "7 attempts, a failed Job"]


def test_a_timer_leaves_a_running_unit_alone_and_two_beats_send_twice(table: pd.DataFrame) -> None:
    """What is special about each."""
    assert table.loc["systemd timer", "90 min, hourly"] == "1 concurrent"
    assert table.loc["Celery beat", "on two hosts"] == "2 runs"


def test_apscheduler_is_run_with_the_lessons_options_and_with_a_ledger(table: pd.DataFrame) -> None:
    """The ledger catches up, and lets one of two hosts run."""
    plain, repaired = (list(table.loc[name])[:3] for name in SIMULATED)
    assert plain == ["lost", "2 runs", "1 concurrent"]
    assert repaired == ["runs at 03:20", "1 run", "1 concurrent"]
