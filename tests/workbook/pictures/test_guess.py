from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import kst, plot_timeline, simulate
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timeline.style import FAINT
from kst_workbook.pictures import draw_guess

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from seen_pictures import Eyes


async def crawl() -> None:
    """Do nothing."""


def register(scheduler: Any) -> None:
    """Add two jobs: one at three, one every hour."""
    scheduler.add_job(crawl, "cron", hour=3, id="daily-nps-crawl")
    scheduler.add_job(crawl, "cron", minute=0, id="hourly")


@pytest.fixture
def ax() -> Axes:
    """Return the picture of a night and the next one, on two nodes."""
    night = simulate(register, kst(2026, 5, 10), kst(2026, 5, 11, 6), nodes=2)
    return plot_timeline(night.runs)


def drawn(ax: Axes) -> list[tuple[float, float, str]]:
    """Return each mark of a guess: its day, its lane, its shape."""
    marks: list[Any] = [line for line in ax.get_lines() if line.get_gid() == "guess"]
    points = [(mark.get_xydata()[0], mark.get_marker()) for mark in marks]
    return [(float(day), float(lane), str(shape)) for (day, lane), shape in points]


def test_a_job_stands_for_its_lane_on_each_node(ax: Axes, see: Eyes) -> None:
    """A time without a date is one a day."""
    assert draw_guess(ax, {"daily-nps-crawl": ["03:00"]}) is ax
    first, second = see.days(kst(2026, 5, 10, 3), kst(2026, 5, 11, 3))
    a, b = see.lanes(ax)["A  daily-nps-crawl"], see.lanes(ax)["B  daily-nps-crawl"]
    assert sorted(drawn(ax)) == [
        (first, a, "o"),
        (first, b, "o"),
        (second, a, "o"),
        (second, b, "o"),
    ]
    assert see.texts(ax).count("your guess") == 1


def test_a_moment_a_lane_and_a_status(ax: Axes, see: Eyes) -> None:
    """The mark has the shape of its status, and no colour."""
    draw_guess(ax, {"B  hourly": {"2026-05-11 01:00": "missed", "2026-05-11 02:00:00": "skipped"}})
    at, lane = see.days(kst(2026, 5, 11, 1), kst(2026, 5, 11, 2)), see.lanes(ax)["B  hourly"]
    assert drawn(ax) == [(at[0], lane, "X"), (at[1], lane, "v")]
    assert {line.get_markerfacecolor() for line in ax.get_lines() if line.get_gid() == "guess"} == {
        FAINT
    }


@pytest.mark.parametrize("at", [kst(2026, 5, 10), kst(2026, 5, 10, 5, 59)])
def test_the_words_stay_within_the_frame(ax: Axes, see: Eyes, at: Any) -> None:
    """They stand to the left of the first mark, and where that is too narrow to its right."""
    draw_guess(ax, {"A  hourly": [f"{at:%F %R}"]})
    (words,) = [text for text in see.words(ax) if text.get_text() == "your guess"]
    box, frame = words.get_window_extent(), ax.get_window_extent()
    assert frame.x0 <= box.x0 < box.x1 <= frame.x1


def test_a_moment_may_be_a_datetime(ax: Axes, see: Eyes) -> None:
    """As exercises ask for."""
    draw_guess(ax, {"A  hourly": [kst(2026, 5, 10, 3), " 04:00:00 "]})
    days = see.days(kst(2026, 5, 10, 3), kst(2026, 5, 10, 4), kst(2026, 5, 11, 4))
    assert [day for day, *_ in drawn(ax)] == days


@pytest.mark.parametrize("guess", [None, "03:00", ["03:00"], ...])
def test_a_guess_is_a_dict(ax: Axes, guess: Any) -> None:
    """Anything else is told what to write."""
    with pytest.raises(InvalidArgumentError, match=r"a guess is a dict, such as \{'crawl'"):
        draw_guess(ax, guess)


def test_an_empty_guess_draws_nothing(ax: Axes, see: Eyes) -> None:
    """Nothing is the guess that nothing runs."""
    draw_guess(ax, {"hourly": []})
    assert not drawn(ax)
    assert "your guess" not in see.texts(ax)


@pytest.mark.parametrize(
    ("guess", "message"),
    [
        ({"weekly": ["03:00"]}, "no lane 'weekly'; it has 'A  daily-nps-crawl'"),
        ({"hourly": ["three"]}, "'three' is no time"),
        ({"hourly": ["2027-05-10 03:00"]}, "has no 2027-05-10 03:00: it is"),
        ({"hourly": {"03:00": "lost"}}, "'lost' is no status; use ok, error"),
        ({"hourly": "03:00"}, r"write a list: \['03:00'\]"),
        ({"hourly": None}, r"is None; write a list: \['03:00'\]"),
        ({"hourly": 3}, r"is 3; write a list"),
        ({"hourly": [...]}, "Ellipsis is no time"),
        ({"hourly": [("03:00", "ok")]}, "is no time"),
        ({"hourly": {"03:00": ["ok"]}}, r"\['ok'\] is no status"),
    ],
)
def test_what_is_not_of_the_picture_is_said(ax: Axes, guess: dict[str, Any], message: str) -> None:
    """Nothing is drawn before all of the guess is understood."""
    with pytest.raises(InvalidArgumentError, match=message):
        draw_guess(ax, {"daily-nps-crawl": ["03:00"], **guess})
    assert not drawn(ax)
