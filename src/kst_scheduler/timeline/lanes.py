"""The order and the labels of the lanes: one for each node and job."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from kst_scheduler.timeline.style import FAINT, LINE, TEXT, THIN
from kst_scheduler.timeline.words import short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from kst_scheduler.timeline.scene import Rows, Scene

STRIP: Final = TEXT * LINE + 4
"""Height in points of a strip that names a node's incidents, above its lanes."""
MARGIN: Final = 0.2
"""Free room between the outermost lanes and the frame, in lanes."""


@dataclass(frozen=True)
class Lanes:
    """One lane for each (node, job), from the top; ``y`` grows downwards, in lanes."""

    names: list[tuple[str, str]]
    strips: Mapping[str, int] = field(default_factory=dict)
    """How many strips each node needs above its lanes."""
    strip: float = 0.5
    """The height of one strip, in lanes."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def y(self) -> NDArray[np.float64]:
        """The middle of each lane."""
        heights, seen = [], 0
        for number, (node, _) in enumerate(self.names):
            if number == 0 or node != self.names[number - 1][0]:
                seen += self.strips.get(node, 0)
            heights.append(number + seen * self.strip)
        return np.array(heights)

    @property
    def units(self) -> float:
        """The height of all lanes and strips, in lanes."""
        return len(self) + 2 * MARGIN + sum(self.strips.values()) * self.strip

    def blocks(self) -> dict[str, tuple[float, float]]:
        """Return the top and bottom of each node's strips and lanes together."""
        middle, found = self.y, {}
        for node, lanes in groupby(range(len(self)), key=lambda lane: self.names[lane][0]):
            numbers = list(lanes)
            top = middle[numbers[0]] - 0.5 - self.strips.get(node, 0) * self.strip
            found[node] = (float(top), float(middle[numbers[-1]] + 0.5))
        return found

    def of_job(self, job_id: str) -> list[int]:
        """Return the numbers of the lanes in which a job is drawn."""
        return [number for number, (_, job) in enumerate(self.names) if job == job_id]


def lane_names(scene: Scene, expected_jobs: Iterable[str]) -> list[tuple[str, str]]:
    """Return every (node, job) that has something to show, by node, then job.

    Both stand in the order of the reader's code; what is not known from there comes after, by name.

    A node with incidents but no runs gets a lane, and so does a job that was expected but never
    ran: what did not happen needs a place as well.
    """
    pairs = np.unique(scene.rows.node * max(1, len(scene.jobs)) + scene.rows.job)
    found = [divmod(int(pair), max(1, len(scene.jobs))) for pair in pairs]
    names = {(scene.nodes[node], scene.jobs[job]) for node, job in found}
    nodes = {node for node, _ in names}
    idle = set(map(str, scene.incidents["node"])) - nodes
    jobs = set(expected_jobs) - {job for _, job in names}
    names |= {(node, job) for job in jobs for node in nodes | idle or {""}}
    names |= {(node, "") for node in idle - {node for node, _ in names}}
    places = [
        {name: place for place, name in enumerate(order)}
        for order in (scene.node_order, scene.job_order)
    ]
    return sorted(
        names or {("", "")},
        key=lambda pair: [
            (known.get(name, len(known)), _natural(name))
            for name, known in zip(pair, places, strict=True)
        ],
    )


def lane_of(rows: Rows, scene: Scene, lanes: Lanes) -> NDArray[np.intp]:
    """Return the number of the lane of each row."""
    number = {name: lane for lane, name in enumerate(lanes.names)}
    table = np.array(
        [[number.get((node, job), -1) for job in scene.jobs] for node in scene.nodes], np.intp
    ).reshape(len(scene.nodes), len(scene.jobs))
    return table[rows.node, rows.job]


def label(name: tuple[str, str]) -> str:
    """Return a lane's label: the node, then the job."""
    node, job_id = name
    return "  ".join(part for part in (short(node, 18), short(job_id)) if part)


def draw_lanes(ax: Axes, lanes: Lanes, lane_points: float) -> None:
    """Draw the lanes' labels and base lines, thinned where they would touch, and part the nodes."""
    middle = lanes.y
    ax.set_ylim(lanes.units - 0.5 - MARGIN, -0.5 - MARGIN)
    step = label_step(lane_points)
    ax.set_yticks(middle[::step], labels=[label(name) for name in lanes.names[::step]])
    ax.tick_params(axis="y", length=0, pad=8)
    named = middle[[bool("".join(name)) for name in lanes.names]]
    ax.hlines(named, 0, 1, transform=ax.get_yaxis_transform(), color=FAINT, lw=0.8, zorder=0.5)
    tops = [top for top, _ in lanes.blocks().values()][1:]
    ax.hlines(tops, 0, 1, transform=ax.get_yaxis_transform(), color=THIN, lw=0.8, zorder=0.6)


def label_step(lane_points: float) -> int:
    """Return which lanes are labelled: every one, or every second, third, ... where crowded."""
    return max(1, int(np.ceil(TEXT * LINE / lane_points)))


def _natural(name: str) -> list[tuple[int, str]]:
    """Order numbers in names as numbers: worker-2 before worker-10."""
    parts = re.split(r"(\d+)", str(name))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
