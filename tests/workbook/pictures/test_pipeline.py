from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.base import run_job
from matplotlib.figure import Figure

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.timezone import kst
from kst_workbook.pictures import plot_pipeline
from kst_workbook.pictures.pipeline import decide

if TYPE_CHECKING:
    from collections.abc import Sequence

DUE = [kst(2026, 5, 10, hour) for hour in range(5)]
NOW = kst(2026, 5, 10, 4, 0, 20)


def seconds(number: float) -> timedelta:
    """Return a grace time."""
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("coalesce", "grace", "fates"),
    [
        (True, seconds(1), "coalesced coalesced coalesced coalesced missed"),
        (True, seconds(60), "coalesced coalesced coalesced coalesced ok"),
        (False, seconds(60), "missed missed missed missed ok"),
        (False, seconds(7200), "missed missed missed ok ok"),
        (False, None, "ok ok ok ok ok"),
    ],
)
def test_an_hourly_job_after_four_hours_of_sleep(
    coalesce: bool, grace: timedelta | None, fates: str
) -> None:
    """Coalesce keeps the last run time, then the grace time is asked of what is left."""
    decisions = decide(DUE, NOW, coalesce=coalesce, grace=grace)
    assert [one.status for one in decisions] == fates.split()
    assert [one.due for one in decisions] == DUE


@pytest.mark.parametrize("late", [0, 19.999999, 20, 20.000001, 3600])
def test_the_grace_time_is_asked_as_apscheduler_asks(late: float) -> None:
    """The library's own run_job decides the same, to the microsecond; checked on 3.11.3."""
    job = SimpleNamespace(id="job", misfire_grace_time=20, func=int, args=(), kwargs={})
    due = NOW - seconds(late)
    with time_machine.travel(NOW, tick=False):
        (event,) = run_job(job, "default", [due], "test")
    (decision,) = decide([due], NOW, grace=seconds(20))
    assert (decision.status == "ok") == (event.code == EVENT_JOB_EXECUTED)


@pytest.mark.parametrize(
    ("coalesce", "fates"), [(True, ["coalesced"] * 4 + ["skipped"]), (False, ["skipped"] * 5)]
)
def test_without_a_free_instance_nothing_runs(coalesce: bool, fates: list[str]) -> None:
    """A batch takes one instance; when none is free the whole batch is dropped."""
    decisions = decide(DUE, NOW, coalesce=coalesce, max_instances_free=0, grace=None)
    assert [one.status for one in decisions] == fates


def test_each_way_ends_at_the_stage_that_decided_it(see: Any) -> None:
    """The mark of the status stands where the run time left, and the reason beside it."""
    ax = plot_pipeline(DUE, NOW, coalesce=False, grace=seconds(7200))
    missed = [line for line in see.lines(ax) if line.get_label() == "missed"]
    ran = [line for line in see.lines(ax) if line.get_label() == "ok"]
    assert [line.get_ydata()[0] for line in missed] == [0, 1, 2]
    assert [line.get_ydata()[0] for line in ran] == [3, 4]
    assert missed[0].get_xdata()[0] < ran[0].get_xdata()[0]
    assert list(see.lanes(ax)) == [f"due 0{hour}:00" for hour in range(5)]
    assert {"missed: 2 h 20 s late", "runs, 20 s late", "False: all stay"} <= set(see.texts(ax))
    assert see.title(ax) == "5 due at 04:00:20 KST: 2 run, 3 missed"


@pytest.mark.parametrize("due", [[], DUE[:1], DUE * 4])
def test_all_words_are_in_the_figure(due: Sequence[datetime], see: Any) -> None:
    """Also with nothing due, and with twenty."""
    ax = plot_pipeline(due, NOW, grace=None, max_instances_free=0)
    page = ax.figure.bbox
    for text in see.words(ax):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text
    assert due or see.title(ax) == "nothing due at 04:00:20"


def test_run_times_of_several_days_have_dates(see: Any) -> None:
    """Four times 00:00 are told apart, on the labels, in the reasons and in the title."""
    due = [kst(2026, 5, 10) + number * timedelta(hours=6) for number in range(12)]
    ax = plot_pipeline(due, kst(2026, 5, 13), grace=None)
    assert list(see.lanes(ax))[:5] == [
        "due 10 May 00:00",
        "due 10 May 06:00",
        "due 10 May 12:00",
        "due 10 May 18:00",
        "due 11 May 00:00",
    ]
    assert len(set(see.lanes(ax))) == 12
    assert {"coalesced into 12 May 18:00", "at 13 May 00:00"} <= set(see.texts(ax))
    assert see.title(ax) == "12 due at 13 May 00:00 KST: 1 run, 11 coalesced"


def test_run_times_of_several_years_have_years(see: Any) -> None:
    """No day of one name stands for two; within a year the year goes without saying."""
    due = [kst(2026, 5, 10) + number * timedelta(days=30) for number in range(24)]
    ax = plot_pipeline(due, kst(2028, 4, 1), grace=None)
    assert list(see.lanes(ax))[:2] == ["due 10 May 2026 00:00", "due 9 Jun 2026 00:00"]
    assert {"coalesced into 30 Mar 2028 00:00", "at 1 Apr 2028 00:00"} <= set(see.texts(ax))
    assert see.title(ax) == "24 due at 1 Apr 2028 00:00 KST: 1 run, 23 coalesced"
    (label,) = see.lanes(plot_pipeline(due[:1], kst(2027, 5, 10), grace=None))
    assert label == "due 10 May 2026 00:00"
    (label,) = see.lanes(plot_pipeline(due[:1], kst(2027, 5, 9, 23), grace=None))
    assert label == "due 10 May 00:00"


def test_run_times_within_a_second_have_fractions(see: Any) -> None:
    """As many digits as tell them apart."""
    due = [DUE[0] + number * seconds(0.25) for number in range(3)]
    ax = plot_pipeline(due, due[-1] + seconds(0.25), grace=None)
    assert list(see.lanes(ax)) == ["due 00:00:00.000", "due 00:00:00.250", "due 00:00:00.500"]
    assert {"coalesced into 00:00:00.500", "at 00:00:00.750"} <= set(see.texts(ax))
    assert see.title(ax).startswith("3 due at 00:00:00.750 KST")
    (label,) = see.lanes(plot_pipeline(DUE[:1], DUE[0] + timedelta(microseconds=7)))
    assert label == "due 00:00:00.000000"


def test_what_is_missed_by_half_a_second_is_told_from_what_runs(see: Any) -> None:
    """1.5 s and 1.75 s are not both 2 s."""
    due = [DUE[0], DUE[0] + seconds(0.25)]
    texts = see.texts(
        plot_pipeline(due, due[-1] + seconds(1.5), coalesce=False, grace=seconds(1.5))
    )
    assert {"missed: 1.8 s late", "1.5 s, checked at the start", "runs, 1.5 s late"} <= set(texts)


def test_reasons_stand_clear_of_the_next_stage(see: Any) -> None:
    """In a narrow picture words are wider than a stage; they cover its grey."""
    figure = Figure(figsize=(12, 8), dpi=100)
    axes = figure.subplots(2, 2)
    plot_pipeline(DUE, NOW, ax=axes[0, 0])
    (text, *_) = [each for each in see.words(axes[0, 0]) if each.get_text().startswith("coal")][1:]
    patch = text.get_bbox_patch()
    assert patch.get_facecolor() == (1, 1, 1, 1)
    assert text.get_zorder() > axes[0, 0].patches[1].get_zorder()


@pytest.mark.parametrize(
    "number",
    [
        36,
        pytest.param(60, marks=pytest.mark.long),
        69,
        1_000,
        pytest.param(100_000, marks=pytest.mark.long),
    ],
)
def test_many_run_times_fit_one_figure(number: int, see: Any) -> None:
    """No figure is taller than twelve inches, and no label touches the next."""
    due = [kst(2026, 5, 10) + each * timedelta(seconds=30) for each in range(number)]
    now = due[-1] + seconds(20)
    ax = plot_pipeline(due, now, coalesce=False, grace=timedelta(hours=1))
    figure: Any = ax.figure
    assert figure.get_size_inches()[1] <= 12
    see.words(ax)
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(low.y1 <= high.y0 + 0.5 for high, low in pairwise(boxes))
    assert len(see.lanes(ax)) <= 70
    late = sum(now - moment > timedelta(hours=1) for moment in due)
    said = f"{number - late:,} run" + (f", {late:,} missed" if late else "")
    assert see.title(ax).endswith(said)


def test_what_has_no_room_is_counted_in_the_middle(see: Any) -> None:
    """A hundred run times on axes for nine: the first and the last ones, and one row between."""
    due = [kst(2026, 5, 10) + each * timedelta(minutes=1) for each in range(100)]
    ax = Figure(figsize=(8, 2.4), dpi=100).subplots()
    plot_pipeline(due, due[-1], coalesce=False, grace=timedelta(minutes=30), ax=ax)
    labels = list(see.lanes(ax))
    shown = len(labels) - 1
    (middle,) = [label for label in labels if label.endswith("more")]
    assert middle == f"{100 - shown} more"
    assert labels.index(middle) in {shown // 2, shown - shown // 2}
    assert (labels[0], labels[-1]) == ("due 00:00", "due 01:39")
    reason = next(text for text in see.texts(ax) if text.endswith(" missed"))
    ran = 31 - (len(labels) - labels.index(middle) - 1)
    assert reason == f"{ran} run, {100 - shown - ran} missed"


def test_bad_input_is_named() -> None:
    """A run time that has not come is not due; seconds are no timedelta."""
    with pytest.raises(InvalidArgumentError, match=r"due=2026-05-10 05:00:00 KST is after now="):
        decide([kst(2026, 5, 10, 5)], NOW)
    with pytest.raises(InvalidArgumentError, match=r"grace=300 is not a timedelta; write timed"):
        plot_pipeline(DUE, NOW, grace=300)  # type: ignore[arg-type]
    for free in (-1, 1.5):
        with pytest.raises(InvalidArgumentError, match=f"max_instances_free={free} is not a num"):
            plot_pipeline(DUE, NOW, max_instances_free=free)  # type: ignore[arg-type]
    with pytest.raises(NaiveDatetimeError, match="now="):
        decide(DUE, datetime(2026, 5, 10, 5))  # noqa: DTZ001 - what is refused
