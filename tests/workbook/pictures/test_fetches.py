from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_workbook.pictures import plot_fetches
from kst_workbook.scenes.busy_queue import Step

if TYPE_CHECKING:
    from seen_pictures import Eyes

STEPS = [
    Step(100, 0, 0.05, report_is_open=False),
    Step(200, 200, 0.2, report_is_open=True),
    Step(300, 400, 0.4, report_is_open=True),
    Step(400, 0, 0.05, report_is_open=False),
]


def spans(ax: Any) -> list[tuple[float, float]]:
    """Return where a panel is shaded, from and to."""
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]


def test_each_step_is_drawn_in_both_panels(see: Eyes) -> None:
    """Over the jobs that had passed; both begin at zero."""
    dead, time = plot_fetches(STEPS)
    for ax, values in ((dead, [0, 200, 400, 0]), (time, [0.05, 0.2, 0.4, 0.05])):
        (line,) = see.lines(ax)
        assert list(line.get_xdata()) == [100, 200, 300, 400]
        assert list(line.get_ydata()) == values
        assert ax.get_xlim()[0] == ax.get_ylim()[0] == 0
    assert see.title(time) == "Time to fetch a task, ms"


def test_the_report_is_shaded_from_its_first_job_to_its_last(see: Eyes) -> None:
    """In both panels, and named once."""
    dead, time = plot_fetches(STEPS)
    assert spans(dead) == spans(time) == [(100, 300)]
    assert see.texts(dead) == ["the report is open"]
    assert see.texts(time) == []


def test_a_queue_without_a_report_is_not_shaded(see: Eyes) -> None:
    """Nor one without dead tuples left without a height."""
    dead, _ = plot_fetches(STEPS[:1])
    assert spans(dead) == []
    assert see.texts(dead) == []


def test_a_report_that_is_open_from_the_beginning_is_shaded_from_there() -> None:
    """The first step began with no job."""
    dead, _ = plot_fetches(STEPS[1:3])
    assert spans(dead) == [(0, 300)]
