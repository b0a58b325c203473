"""Incidents, shaded over the lanes of their node and named above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from kst_scheduler.timeline.days import day
from kst_scheduler.timeline.hover import MAX_AREAS, Area, when
from kst_scheduler.timeline.style import BLACK, QUIET, SKY_BLUE, THIN, drawn_width
from kst_scheduler.timeline.words import incident, incidents_in_short

if TYPE_CHECKING:
    from kst_scheduler.timeline.lanes import Lanes
    from kst_scheduler.timeline.page import Page
    from kst_scheduler.timeline.scene import Scene

MAX_STRIPS: Final = 2
_SHADES: Final = {"freeze": (SKY_BLUE, 0.22), "crash": (BLACK, 0.14)}
NOT_SIMULATED: Final = "not simulated"
_APART: Final = 8.0
_THINNEST: Final = 2.0
"""A short incident in a long span is still seen, this many points wide."""

Note = tuple[str, float, int]
"""The words, where their middle stands in points from the left, and the strip they stand in."""


def notes(scene: Scene, width: float) -> dict[str, list[Note]]:
    """Return what is written above each node's lanes, so that no two notes touch.

    They are put into one strip, or two. Where even that does not do, one note counts them all; and
    there is none where that has no room.
    """
    struck = scene.incidents.sort_values("start", kind="stable")
    found = {}
    for node, incidents in struck.groupby("node", sort=False):
        placed = [_placed(scene, width, *row) for row in _records(incidents)]
        found[str(node)] = _packed(placed, width) or _summary(str(node), incidents, width)
    return found


def strips(found: dict[str, list[Note]]) -> dict[str, int]:
    """Return how many strips each node needs."""
    return {
        node: 1 + max((strip for _, _, strip in written), default=-1)
        for node, written in found.items()
    }


def draw_incidents(page: Page, scene: Scene, lanes: Lanes, found: dict[str, list[Note]]) -> None:
    """Shade each incident from its start to its end, and write the notes."""
    blocks = lanes.blocks()
    for node, kind, start, end, _ in _records(scene.incidents):
        top, bottom = blocks[str(node)]
        if kind == "clock_jump":
            top += lanes.strips[str(node)] * lanes.strip
            page.ax.vlines(day(start), top, bottom, color=BLACK, ls=(0, (5, 3)), lw=1, zorder=1)
            continue
        first, last = _seen(scene, start, end)
        thin = max(0.0, _THINNEST * page.day - (last - first)) / 2
        first, last = first - thin, last + thin
        colour, alpha = _SHADES[kind]
        page.ax.fill_between(
            [first, last], top, bottom, color=colour, alpha=alpha, linewidth=0, zorder=0.8
        )
    for node, written in found.items():
        for words, middle, strip in written:
            height = blocks[node][0] + (strip + 0.5) * lanes.strip
            page.ax.text(
                page.right(middle),
                height,
                words,
                transform=page.ax.get_yaxis_transform(),
                ha="center",
                va="center_baseline",
                zorder=4,
            )


def incident_areas(scene: Scene, lanes: Lanes) -> list[Area]:
    """Return what each incident tells, also where there was no room for its note."""
    blocks = lanes.blocks()
    found = []
    for node, kind, start, end, detail in _records(scene.incidents)[:MAX_AREAS]:
        is_jump = kind == "clock_jump"
        until = "" if is_jump or pd.isna(end) else f" until {when(end)}"
        words = incident(node, kind, start, end, detail, last=scene.end, clock=scene.clock)
        first, last = _seen(scene, start, start if is_jump else end)
        area = Area(first, last, *blocks[str(node)], 2.0, f"{words}\n{when(start)}{until}")
        found.append(area)
    return found


def draw_cut(page: Page, scene: Scene) -> None:
    """Hatch what an interrupted simulation did not come to, and say so where it has room."""
    if scene.cut_at is None or scene.end is None:
        return
    first, (_, last) = max(day(scene.cut_at), page.ax.get_xlim()[0]), page.ax.get_xlim()
    page.ax.axvspan(first, last, facecolor="white", edgecolor=THIN, hatch="//", lw=0, zorder=0.7)
    if (last - first) / page.day > drawn_width(NOT_SIMULATED) + _APART:
        page.ax.text(
            (first + last) / 2,
            0.5,
            NOT_SIMULATED,
            transform=page.ax.get_xaxis_transform(),
            ha="center",
            va="center",
            color=QUIET,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
            zorder=4,
        )


def _records(incidents: pd.DataFrame) -> list[tuple[str, str, pd.Timestamp, pd.Timestamp, str]]:
    columns = ["node", "kind", "start", "end", "detail"]
    return list(incidents[columns].itertuples(index=False, name=None))


def _seen(scene: Scene, start: pd.Timestamp, end: pd.Timestamp) -> tuple[float, float]:
    """Return the part of an incident that the picture shows; one without end reaches its end."""
    assert scene.start is not None  # noqa: S101 - with an incident there is a span
    assert scene.end is not None  # noqa: S101
    last = scene.end if pd.isna(end) else min(end, scene.end)
    return day(max(start, scene.start)), day(last)


def _placed(
    scene: Scene,
    width: float,
    node: str,
    kind: str,
    start: pd.Timestamp,
    end: pd.Timestamp,
    detail: str,
) -> tuple[str, float]:
    """Return the words of an incident, and their middle: as near as the frame allows."""
    words = incident(node, kind, start, end, detail, last=scene.end, clock=scene.clock)
    first, last = _seen(scene, start, start if kind == "clock_jump" else end)
    left, right = _seen(scene, scene.start, scene.end)  # type: ignore[arg-type]
    middle = ((first + last) / 2 - left) / (right - left) * width
    half = drawn_width(words) / 2 + 2
    return words, min(max(middle, half), max(half, width - half))


def _packed(placed: list[tuple[str, float]], width: float) -> list[Note]:
    """Put each note into the first strip where it is free; nothing when one finds no place."""
    ends, packed = [0.0] * MAX_STRIPS, []
    for words, middle in placed:
        half = drawn_width(words) / 2
        free = [strip for strip, end in enumerate(ends) if middle - half >= end]
        if not free or middle + half > width:
            return []
        ends[free[0]] = middle + half + _APART
        packed.append((words, middle, free[0]))
    return packed


def _summary(node: str, incidents: pd.DataFrame, width: float) -> list[Note]:
    words = incidents_in_short(node, incidents["kind"])
    half = drawn_width(words) / 2
    return [(words, half + 4, 0)] if 2 * half + 4 <= width else []
