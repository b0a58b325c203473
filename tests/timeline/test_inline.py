"""Pictures within a page: what can be pointed at, what is read aloud, and that nothing is heavy."""

from __future__ import annotations

import base64
import gc
import io
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kst_scheduler.runs.fates import fates
from kst_scheduler.timeline import (
    hover,
    plot_fire_times,
    plot_lateness,
    plot_month,
    plot_timeline,
    plot_year,
)
from kst_scheduler.timeline.inline import SETTING, Picture, bundle, inline_svg, sharp_png
from kst_scheduler.timeline.page import WIDTH
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Callable

SVG = "{http://www.w3.org/2000/svg}"
DAY = kst(2026, 5, 10)


def told(ax: Any) -> dict[str, ET.Element]:
    """Return the words of every area of a picture, with its rectangle."""
    tree = ET.fromstring(svg_of(ax))  # noqa: S314 - our own text
    found = {}
    for box in tree.iter(f"{SVG}rect"):
        title = box.find(f"{SVG}title")
        if title is not None:
            assert title.text is not None
            found[title.text] = box
    return found


def svg_of(ax: Any) -> str:
    """Return the picture on these axes."""
    return inline_svg(ax.figure)


def middle(box: ET.Element, half: float) -> tuple[float, float]:
    """Return where the mark of an area is, in points from the upper left corner."""
    return float(box.attrib["x"]) + half, float(box.attrib["y"]) + half


def marks(ax: Any, see: Any, words: str) -> list[tuple[float, float]]:
    """Return where matplotlib draws the marks with that label, in the same points."""
    line = see.line(ax, words)
    spots = ax.transData.transform(line.get_xydata()) * 72 / ax.figure.dpi
    return [(x, ax.figure.get_figheight() * 72 - y) for x, y in spots]


def test_each_mark_tells_its_run(table: Any) -> None:
    """Job, node, outcome and why; scheduled, started, ended."""
    runs = table()
    runs.run("B", "crawl", kst(2026, 5, 10, 3), late=timedelta(minutes=2, seconds=5))
    runs.run("A", "crawl", kst(2026, 5, 10, 4), "missed")
    runs.run("A", "crawl", kst(2026, 5, 10, 5), "running")
    frame = runs.table()
    frame.loc[frame["status"] == "missed", "detail"] = "0:20:00 late, grace time 300 s"
    assert list(told(plot_timeline(frame))) == [
        (
            "crawl on B\nok\nscheduled 10 May 03:00\nstarted 10 May 03:02:05, 2 min 5 s late\n"
            "ended 10 May 03:02:07, after 2 s"
        ),
        "crawl on A\nmissed: 0:20:00 late, grace time 300 s\nscheduled 10 May 04:00\nnever started",
        "crawl on A\nrunning\nscheduled 10 May 05:00\nstarted 10 May 05:00\nno end is known",
    ]


@pytest.mark.parametrize("case", ["bad_night", "every_status"])
def test_every_run_has_its_area_at_its_mark(case: str, request: Any, see: Any) -> None:
    """As many as rows, and each mark of a status is under an area that tells it."""
    result = request.getfixturevalue(case)
    ax = plot_timeline(result)
    areas = {words: box for words, box in told(ax).items() if "scheduled" in words}
    assert len(areas) == len(result.runs)
    for status in result.runs["status"].unique():
        label = {"locked_out": "locked out"}.get(status, status)
        half = float(next(iter(areas.values())).attrib["height"]) / 2
        places = [
            middle(box, half)
            for words, box in areas.items()
            if words.split("\n")[1].startswith(label)
        ]
        expected = marks(ax, see, label)
        assert sorted(places) == [pytest.approx(spot, abs=0.11) for spot in sorted(expected)]


def test_a_bar_is_part_of_the_area(table: Any) -> None:
    """One rests anywhere on a long run."""
    runs = table()
    runs.run("A", "crawl", DAY, lasts=timedelta(hours=12))
    ax = plot_timeline(runs.table(), start=DAY, end=DAY + timedelta(hours=24))
    (box,) = told(ax).values()
    frame = ax.get_position().width * WIDTH
    assert float(box.attrib["width"]) == pytest.approx(frame / 2, rel=0.05)


def test_runs_under_one_mark_are_told_together(table: Any) -> None:
    """The first four, and how many more."""
    runs = table()
    for number in range(7):
        runs.run("A", "crawl", DAY + timedelta(seconds=number), lasts=None)
    (words,) = told(plot_timeline(runs.table(), start=DAY, end=DAY + timedelta(days=1)))
    assert words.count("crawl on A") == 4
    assert words.endswith("and 3 more here")


def test_what_went_wrong_is_told_first_where_there_is_too_much(
    month: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month of three nodes: all that was missed, and a picture that stays light."""
    monkeypatch.setattr(hover, "_MAX_TOLD", 10**6)
    svg = svg_of(plot_timeline(month))
    missed = int((month.runs["status"] == "missed").sum())
    assert svg.count("\nmissed") == missed
    assert len(svg) < 150_000


def test_an_ordinary_night_is_light_and_the_same_every_time(bad_night: Any) -> None:
    """Sixty kilobytes; nothing in it depends on the moment or on what was drawn before."""
    first = svg_of(plot_timeline(bad_night))
    assert len(first) < 60_000
    assert svg_of(plot_timeline(bad_night)) == first


def test_it_names_itself_and_changes_nothing_around_it(bad_night: Any) -> None:
    """The title is its label; no style of its own, and no id but those that it refers to."""
    svg = svg_of(plot_timeline(bad_night, title='A "bad" night & more'))
    tree = ET.fromstring(svg)  # noqa: S314 - our own text
    assert tree.attrib["role"] == "img"
    assert tree.attrib["aria-label"] == 'A "bad" night & more'
    assert "background: white" in tree.attrib["style"]
    assert not list(tree.iter(f"{SVG}style"))
    ids = [each.attrib["id"] for each in tree.iter() if "id" in each.attrib]
    assert ids
    assert all(f"#{each}" in svg for each in ids)


def test_two_pictures_share_no_id(bad_night: Any, every_status: Any) -> None:
    """One of them may be hidden, and what the other refers to with it."""
    trees = [
        ET.fromstring(svg_of(plot_timeline(each)))  # noqa: S314 - our own text
        for each in (bad_night, every_status)
    ]
    one, other = ({e.attrib["id"] for e in tree.iter() if "id" in e.attrib} for tree in trees)
    assert not one & other


def test_odd_names_are_text(table: Any) -> None:
    """Markup and control characters of a job id or a reason break nothing."""
    runs = table()
    runs.run("<b>", "a\x00 & \x1b[1m</title>", DAY, "error")
    frame = runs.table().assign(detail="<script>alert(1)</script>\x07")
    (words,) = told(plot_timeline(frame))
    assert words.startswith("a\ufffd & \ufffd[1m</title> on <b>\nerror: <script>alert")


def test_drawing_again_forgets_what_was_there(bad_night: Any) -> None:
    """Axes tell of the last picture on them only."""
    ax = Figure(figsize=(10, 4)).subplots()
    plot_timeline(bad_night, ax=ax)
    assert len(told(ax)) == len(bad_night.runs) + len(bad_night.incidents)
    plot_timeline(bad_night.runs[:0], ax=ax)
    assert not told(ax)


def test_nothing_keeps_a_closed_picture(bad_night: Any) -> None:
    """What it tells goes with it."""
    pictures: list[Callable[[], Any]] = [
        lambda: plot_timeline(bad_night),
        lambda: plot_lateness(bad_night),
        lambda: plot_fire_times({"nightly": cron(hour=3)}, DAY, DAY + timedelta(days=1)),
        lambda: plot_fire_times({"nightly": cron(hour=3)}, DAY, DAY + timedelta(days=7)),
        lambda: plot_year(cron(hour=3), 2026),
    ]
    for draw in pictures:
        kept = weakref.ref(draw())
        plt.close("all")
        gc.collect()
        assert kept() is None


def test_fires_and_lateness_tell_as_well(bad_night: Any) -> None:
    """A fire tells both times, in a row of its trigger or of its day."""
    for days in (1, 7):
        ax = plot_fire_times({"nightly": cron(hour=3)}, DAY, DAY + timedelta(days=days))
        words = list(told(ax))
        assert len(words) == days
        assert words[0] == "nightly\n10 May 03:00 KST\n9 May 18:00 UTC"
    drawn = bad_night.runs["status"].isin(["ok", "missed"]).sum()
    late = "\n\n".join(told(plot_lateness(bad_night)))
    assert late.count("scheduled") == drawn


def test_incidents_and_what_did_not_run_are_told_too(bad_night: Any) -> None:
    """From when until when; an incident lies beneath the runs in it."""
    words = list(told(plot_timeline(bad_night, expected={"daily-nps-crawl": kst(2026, 5, 10, 3)})))
    assert words[0] == "B frozen 2 h 20 min\n10 May 04:58 until 10 May 07:18"
    assert words[-1] == "daily-nps-crawl\nexpected 10 May 03:00: nothing ran"


def test_each_day_of_a_year_on_which_something_fires_is_told() -> None:
    """The others are many, and have nothing to tell."""
    words = list(told(plot_year(cron(day=13, hour="3,9"), 2026)))
    assert len(words) == 12
    assert words[4] == "Wed 13 May 2026: 2 fires"


def test_each_day_of_a_month_tells_its_occurrences(month: Any) -> None:
    """The outcome with its reason, on the whole square of the day."""
    runs = month.runs[month.runs["job_id"] == "hourly-B"]
    due = pd.date_range(kst(2026, 5, 1), periods=31 * 24, freq="h")
    areas = told(plot_month(fates(runs, {"hourly-B": due})))
    assert len(areas) == 31
    words = list(areas)
    assert words[0].startswith("Fri 1 May 2026\ndue 00:00: ok\ndue 01:00: ok")
    assert words[8].startswith("Sat 9 May 2026\ndue 00:00: lost, missed on B")
    one, other = (areas[word] for word in words[:2])
    assert float(other.attrib["x"]) - float(one.attrib["x"]) == pytest.approx(
        float(one.attrib["width"]), abs=0.2
    )


def test_a_page_gets_the_svg_and_a_file_the_png(
    bad_night: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KST_PICTURES=png: twice as many pixels, shown as large, with its title."""
    figure: Any = plot_timeline(bad_night).figure
    title = "16 occurrences ran twice, 1 missed, 2 coalesced; 35 ok"
    monkeypatch.delenv(SETTING, raising=False)
    data, metadata = bundle(figure)
    assert data == {"text/html": inline_svg(figure), "text/plain": title}
    assert metadata == {}
    monkeypatch.setenv(SETTING, "png")
    data, metadata = bundle(figure)
    assert data.keys() == {"image/png", "text/plain"}
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    shown = metadata["image/png"]
    assert image.size == pytest.approx((2 * shown["width"], 2 * shown["height"]), abs=1)
    assert shown["alt"] == data["text/plain"] == title


def test_few_colours_are_enough(bad_night: Any) -> None:
    """Those of the marks and of the paper are as they were, to what no eye sees."""
    figure: Any = plot_timeline(bad_night).figure
    full = io.BytesIO()
    figure.savefig(full, dpi=192)
    small = sharp_png(figure)
    assert len(small) < 0.5 * len(full.getvalue())
    before, after = (colours(picture) for picture in (full, io.BytesIO(small)))
    for colour in before[:6]:
        assert min(np.abs(after - colour).max(axis=1)) <= 3


def colours(picture: io.BytesIO) -> np.ndarray[Any, Any]:
    """Return the colours of a picture, those of most pixels first."""
    pixels = np.asarray(Image.open(picture).convert("RGB"), int).reshape(-1, 3)
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    return found[np.argsort(-counts)]


def test_every_picture_of_its_own_is_one(bad_night: Any, month: Any) -> None:
    """All plot functions open the figure that shows itself; its title is its text."""
    nights = pd.date_range(kst(2026, 5, 1, 3), periods=31, freq="D")
    judged = fates(month.runs[month.runs["job_id"] == "nightly"], {"nightly": nights})
    for ax in (
        plot_timeline(bad_night),
        plot_lateness(bad_night),
        plot_month(judged),
        plot_year(cron(hour=3), 2026),
        plot_fire_times({"nightly": cron(hour=3)}, DAY, DAY + timedelta(days=1)),
    ):
        assert isinstance(ax.figure, Picture)
        data, _ = bundle(ax.figure)
        assert data["text/plain"] == " ".join(ax.get_title(loc="left").split())


def test_an_empty_figure_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with any other figure; no shell is asked."""
    monkeypatch.delattr("builtins.display", raising=False)
    plt.figure(FigureClass=Picture)._ipython_display_()  # type: ignore[attr-defined]
