"""How often replicas run one occurrence, and how many work at once, under each kind of lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kst_workbook.explorers.explorer import Explorer, Subject, labelled
from kst_workbook.explorers.freezing import freeze_control
from kst_workbook.explorers.replica_code import write_code
from kst_workbook.explorers.replica_night import FREEZE_AT, LOCKS, Night, replay
from kst_workbook.explorers.replica_picture import draw

if TYPE_CHECKING:
    from kst_workbook.explorers.replica_night import PlayedNight

CAPTION: Final = (
    "Replica explorer: replicas run the same job at 03:00 and 03:15; choose their lock, their "
    "clocks and a freeze to see which occurrences run twice, and how many work at once."
)


def replica_explorer() -> Explorer:
    """Return an explorer of replicas: how many, their clocks, lock, lease, job length, a freeze.

    Raises:
        WorkbookError: ipywidgets is not installed.

    """
    first = Night()
    return Explorer(
        Subject(Night, replay, draw, say, write_code, CAPTION),
        {
            "replicas": labelled("IntSlider", "replicas", value=first.replicas, min=1, max=4),
            "skew": labelled(
                "IntSlider", "each clock later by (s)", value=first.skew, min=0, max=240, step=5
            ),
            "lock": labelled("Dropdown", "lock", options=LOCKS, value=first.lock),
            "lease": labelled(
                "IntSlider", "lease, time to live (s)", value=first.lease, min=60, max=900, step=30
            ),
            "job": labelled(
                "IntSlider", "a run takes (s)", value=first.job, min=15, max=480, step=15
            ),
            "freeze": freeze_control("A", FREEZE_AT, first.freeze, 20),
        },
    )


def say(_night: Night, played: PlayedNight) -> str:
    """Return both counts: occurrences that ran more than once, and how many worked at once."""
    most = max(played.runs_of_each, default=0)
    repeated = sum(number > 1 for number in played.runs_of_each)
    times = f", up to {most} times" if repeated else ""
    return (
        f"Ran more than once: <b>{repeated} of {len(played.runs_of_each)} occurrences</b>{times}. "
        f"Replicas at work at once: <b>{played.at_once}</b> at most."
    )
