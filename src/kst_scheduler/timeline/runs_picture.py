"""The timeline: which runs ran when and on which node, which did not run, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kst_scheduler.timeline import shading
from kst_scheduler.timeline.days import days
from kst_scheduler.timeline.duplicates import (
    DUPLICATE_WORDS,
    Duplicates,
    draw_duplicates,
    duplicate_words,
    find_duplicates,
)
from kst_scheduler.timeline.grace import GRACE_WORDS, draw_grace
from kst_scheduler.timeline.hover import areas_of_runs, tell
from kst_scheduler.timeline.kst_axis import draw_time_axis
from kst_scheduler.timeline.lane_words import write_words
from kst_scheduler.timeline.lanes import (
    MARGIN,
    STRIP,
    Lanes,
    draw_lanes,
    label,
    lane_names,
    lane_of,
)
from kst_scheduler.timeline.marks import Field, draw_bars, draw_counts, draw_marks, draw_waiting
from kst_scheduler.timeline.not_run import (
    NOT_RUN_WORDS,
    NotRun,
    draw_not_run,
    expected_times,
    find_not_run,
    not_run_areas,
    not_run_words,
)
from kst_scheduler.timeline.overlaps import OVERLAP_WORDS, Overlaps, draw_overlaps, find_overlaps
from kst_scheduler.timeline.page import (
    MAX_HEIGHT,
    RIGHT,
    WIDTH,
    Page,
    draw_empty,
    draw_legend,
    finished,
    left_margin,
    margins,
    own_page,
    page_on,
    say_empty,
)
from kst_scheduler.timeline.scene import gather_scene
from kst_scheduler.timeline.style import OUTCOME_MARKS, OUTCOMES, house_style
from kst_scheduler.timeline.words import verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    import pandas as pd
    from matplotlib.axes import Axes

    from kst_scheduler.timeline.scene import Scene

LANE: Final = 32.4
"""Height of a lane in points, 0.45 inches, where the figure has room for it."""


def plot_timeline(
    result_or_runs: Any,
    *,
    expected: datetime
    | list[datetime]
    | pd.DatetimeIndex
    | Mapping[str, datetime | list[datetime] | pd.DatetimeIndex]
    | None = None,
    incidents: pd.DataFrame | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    grace: Mapping[str, timedelta | None] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the outcome of every run, with a lane for each node and job, in KST with UTC above.

    Each status has its own mark, at the time at which the run started or was due. A bar shows how
    long the run took; it is darker where two runs of a job overlap on a node. A thin line before it
    shows how late it started. An arc joins the runs of an occurrence that ran more than once.
    Incidents are shaded and named. The title says what went wrong.

    Where Python runs in a page, the figure is shown as an SVG: rest the pointer on a mark to read
    when that run was scheduled, started and ended, and why. With ``KST_PICTURES=png`` in
    the environment it is a PNG, for pages that are shown where no SVG is. ``savefig`` is as ever.

    Args:
        result_or_runs: the result of ``simulate(...)``, or a bare table of runs
            (``kst_scheduler.runs.table``).
        expected: times at which each job should run, or a dict of times by job id. A hollow ring
            is drawn where no row of the job is due or started within a minute of such a time, or
            within half of the shortest gap between them.
        incidents: a table of node, kind (freeze, crash or clock_jump), start, end (NaT: it did not
            end) and, optional, detail (the seconds of a clock jump). None: those of the result.
        start: the first moment to show; None: that of the result, or the first time in the table.
        end: the last moment to show; None: likewise.
        grace: the misfire_grace_time of each job, drawn under its missed runs; None: no limit.
        title: replaces the automatic one.
        ax: axes to clear and draw on; they shrink to make room for the labels. None: a new figure,
            whose size fits the lanes.

    Raises:
        InvalidArgumentError: a column is missing, a status or a kind of incident is unknown, or
            the end is not after the start.
        NaiveDatetimeError: a time has no zone.

    """
    wanted = expected_times(expected)
    moments = [
        edge for times in wanted.values() if len(times) for edge in (times.min(), times.max())
    ]
    scene = gather_scene(
        result_or_runs, incidents=incidents, start=start, end=end, grace=grace, moments=moments
    )
    with house_style():
        return _draw(scene, wanted, title, ax)


def timeline_title(runs: pd.DataFrame, start: datetime, end: datetime) -> str:
    """Return the title that ``plot_timeline`` gives these runs, without drawing them."""
    scene = gather_scene(runs, incidents=None, start=start, end=end, grace=None, moments=[])
    lanes = Lanes(lane_names(scene, []))
    rows = scene.rows
    return _title(scene, lanes, [], find_duplicates(rows), find_overlaps(rows))


def _draw(
    scene: Scene,
    wanted: Mapping[str | None, pd.DatetimeIndex],
    title: str | None,
    ax: Axes | None,
) -> Axes:
    missing = find_not_run(wanted, scene)
    duplicates = find_duplicates(scene.rows)
    overlaps = find_overlaps(scene.rows)
    lanes = Lanes(lane_names(scene, [job for job in wanted if job is not None]))
    if title is None:
        title = _title(scene, lanes, missing, duplicates, overlaps)
    legend = _legend_words(scene, missing, duplicates, overlaps)
    page, lanes, notes = _page(scene, lanes, title, legend, ax)
    draw_lanes(page.ax, lanes, page.height / lanes.units)
    if scene.start is None or scene.end is None:
        return draw_empty(page)
    expected = [days(moments) for moments in wanted.values()]
    draw_time_axis(page, scene.start, scene.end, events=[*expected, *scene.due()])
    shading.draw_incidents(page, scene, lanes, notes)
    shading.draw_cut(page, scene)
    _draw_runs(page, scene, lanes, missing, duplicates, overlaps)
    _tell(page, scene, lanes, missing)
    if not len(scene.rows.status) and not missing:
        say_empty(page)
    return finished(page)


def _title(
    scene: Scene,
    lanes: Lanes,
    missing: list[NotRun],
    duplicates: Duplicates,
    overlaps: Overlaps,
) -> str:
    cut = f"interrupted at {scene.clock(scene.cut_at)}: " if scene.cut_at is not None else ""
    return cut + verdict(
        scene.counts(),
        duplicates.sizes.tolist(),
        missing,
        len({job for _, job in lanes.names}),
        scene.latest(),
        overlapping=len(np.unique(overlaps.row)),
        clock=scene.clock,
    )


def _draw_runs(
    page: Page,
    scene: Scene,
    lanes: Lanes,
    missing: list[NotRun],
    duplicates: Duplicates,
    overlaps: Overlaps,
) -> None:
    """Draw what ran and what did not, then the words, then the legend of what was drawn."""
    rows, points = scene.rows, page.height / lanes.units
    field = Field(page, lane_of(rows, scene, lanes), lanes.y, points)
    draw_bars(rows, field)
    draw_waiting(rows, field)
    marks = draw_marks(rows, field)
    draw_counts(rows, field)
    extra = [
        draw_not_run(missing, lanes, field),
        draw_grace(rows, scene.jobs, scene.grace, field),
        draw_overlaps(overlaps, field),
        draw_duplicates(rows, duplicates, field),
    ]
    words = not_run_words(missing, lanes, clock=scene.clock)
    words += duplicate_words(rows, duplicates, field, scene.nodes)
    write_words(words, rows, field)
    draw_legend(page, [*marks, *(line for line in extra if line)], field.largest)


def _tell(page: Page, scene: Scene, lanes: Lanes, missing: list[NotRun]) -> None:
    """Keep what the picture tells under the pointer: incidents, then what lies above them."""
    rows, names = scene.rows, (scene.nodes, scene.jobs)
    field = Field(page, lane_of(rows, scene, lanes), lanes.y, page.height / lanes.units)
    y, half = field.y[field.lane], 0.6 * field.largest
    ends = np.fmax(rows.ended(page.ax.get_xlim()[1]), rows.place)
    tell(
        page.ax,
        lambda: [
            *shading.incident_areas(scene, lanes),
            *areas_of_runs(rows, names, rows.place, ends, y, half),
            *not_run_areas(missing, lanes, half),
        ],
    )


def _page(
    scene: Scene, lanes: Lanes, title: str, legend: list[str], ax: Axes | None
) -> tuple[Page, Lanes, dict[str, list[shading.Note]]]:
    """Find the size at which lanes, labels, title and legend have their room."""
    left = left_margin([label(name) for name in lanes.names])
    if ax is not None:
        page = page_on(ax, title, left, legend)
        notes = _with_room(shading.notes(scene, page.width), page.height)
        strips = shading.strips(notes)
        lane = (page.height - STRIP * sum(strips.values())) / (len(lanes) + 2 * MARGIN)
        return page, replace(lanes, strips=strips, strip=STRIP / lane), notes
    room = MAX_HEIGHT - sum(margins(title, legend))
    notes = _with_room(shading.notes(scene, WIDTH - left - RIGHT), room)
    strips = shading.strips(notes)
    room -= STRIP * sum(strips.values())
    lane = min(LANE, room / (len(lanes) + 2 * MARGIN))
    lanes = replace(lanes, strips=strips, strip=STRIP / lane)
    return own_page(title, left, lane * lanes.units, legend), lanes, notes


def _with_room(
    notes: dict[str, list[shading.Note]], height: float
) -> dict[str, list[shading.Note]]:
    """Return the notes, or none where their strips would leave the lanes less than a third."""
    taken = STRIP * sum(shading.strips(notes).values())
    return notes if taken <= height * 2 / 3 else {node: [] for node in notes}


def _legend_words(
    scene: Scene,
    missing: list[NotRun],
    duplicates: Duplicates,
    overlaps: Overlaps,
) -> list[str]:
    """Return what the legend will say, as far as it is known before anything is drawn."""
    words = [OUTCOME_MARKS[OUTCOMES.index(outcome)].words for outcome in scene.counts()]
    words += [NOT_RUN_WORDS] * bool(missing) + [DUPLICATE_WORDS] * bool(len(duplicates.sizes))
    words += [OVERLAP_WORDS] * bool(len(overlaps.row))
    return words + [GRACE_WORDS] * bool(scene.grace and "missed" in scene.counts())
