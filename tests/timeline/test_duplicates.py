from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import STATUSES, RunLog, duplicates
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timeline.duplicates import _where
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)


def test_an_occurrence_that_ran_twice_is_joined_and_counted(bad_night: Any, see: Any) -> None:
    """A arc joins its two runs, words name the nodes, and the title counts as duplicates() does."""
    once = bad_night.runs["job_id"] == "daily-nps-crawl"
    ax = plot_timeline(bad_night.runs[once], start=bad_night.start, end=bad_night.end)
    arc = see.line(ax, "the same occurrence")
    x, y = np.asarray(arc.get_xdata()), np.asarray(arc.get_ydata())
    noon = see.days(kst(2026, 5, 10, 12)) * 2
    assert [x[0], x[-2]] == pytest.approx(noon)
    assert [y[0], y[-2]] == [
        see.lanes(ax)["A  daily-nps-crawl"],
        see.lanes(ax)["B  daily-nps-crawl"],
    ]
    assert np.nanmax(np.abs(x - noon[0])) > 2 / 86_400  # it is bent
    assert len(x) > 10
    assert "ran on A and on B" in see.texts(ax)
    assert see.title(ax) == "1 occurrence ran twice; 2 ok"
    assert f"{len(duplicates(bad_night.runs))} occurrences ran twice" in see.title(
        plot_timeline(bad_night)
    )


def test_three_runs_of_one_occurrence_are_said_so(table: Any, see: Any) -> None:
    """Two pairs join three runs; it is still one occurrence."""
    runs = table()
    for node in "ABC":
        runs.run(node, "job", DAY)
    runs.run("A", "job", DAY + timedelta(hours=1))
    assert see.title(plot_timeline(runs.table())) == "1 occurrence ran 3 times; 4 ok"


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ("AB", "ran on A and on B"),
        ("ABC", "ran on A, B and C"),
        ("ABCD", "ran on A, B, C and D"),
        ("AA", "ran on A 2 times"),
        ("ABB", "ran on A and on B 3 times"),
        (["", ""], "ran 2 times"),
    ],
)
def test_the_words_name_every_node_once(
    table: Any, see: Any, nodes: str | list[str], words: str
) -> None:
    """One note an occurrence, whatever the number of its runs."""
    runs = table()
    for number, node in enumerate(nodes):
        runs.run(node, "job", DAY, late=timedelta(minutes=number))
    ax = plot_timeline(runs.table(), start=DAY, end=DAY + timedelta(hours=3))
    assert [text for text in see.texts(ax) if text.startswith("ran")] == [words]


def test_runs_under_one_mark_are_counted_once(table: Any, see: Any) -> None:
    """On one node, or in a lane without one: "2 runs" above the mark is enough, and no arc."""
    for node in ("", "A"):
        runs = table()
        runs.run(node, "job", DAY)
        runs.run(node, "job", DAY)
        ax = plot_timeline(runs.table(), start=DAY, end=DAY + timedelta(hours=3))
        assert [text for text in see.texts(ax) if "run" in text or "ran" in text] == ["2 runs"]
        assert "the same occurrence" not in see.legend(ax)


@pytest.mark.parametrize("minute", [0, 179])
def test_how_many_runs_there_are_stays_within_the_frame(table: Any, minute: int) -> None:
    """At either end of the picture the words move inwards."""
    runs = table()
    for _ in range(2):
        runs.run("A", "job", DAY + timedelta(minutes=minute), lasts=None)
    ax = plot_timeline(runs.table(), start=DAY, end=DAY + timedelta(hours=3))
    ax.figure.canvas.draw()
    (words,) = [text for text in ax.texts if text.get_text() == "2 runs"]
    frame, box = ax.get_window_extent(), words.get_window_extent()
    assert frame.x0 <= box.x0 < box.x1 <= frame.x1


def test_many_nodes_are_counted() -> None:
    """Their names would not fit; and lanes without a node have none."""
    assert _where(list("ABCDEFG")) == "on 7 nodes"
    assert _where([*"ABCDEFG", "A"]) == "on 7 nodes 8 times"
    assert _where(["", "", ""]) == "3 times"


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_joined_is_what_duplicates_lists(status: str, see: Any) -> None:
    """Beside a run that went well, a second one of any status counts here as it does there."""
    log = RunLog()
    for node, outcome in (("A", "ok"), ("B", status)):
        log.add(node, "job", microseconds(DAY), outcome, microseconds(DAY), microseconds(DAY) + 1)
    joined = "the same occurrence" in see.legend(plot_timeline(log.table()))
    assert joined == (not duplicates(log.table()).empty) == (status != "locked_out")
