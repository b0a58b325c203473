"""What a node is able to do at a moment of a day that was played."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.simulation import ClockJump, Crash
from random_days.plan import DRAIN, END

if TYPE_CHECKING:
    from datetime import datetime

    from random_days.play import Story

CLOCKS_DIFFER: Final = timedelta(seconds=5)
"""By so much at most, on days with pauses."""


def process_of(story: Story, node: str, moment: datetime) -> str:
    """Return the name of the process that a node has at a moment, or had last."""
    return f"{node}{1 + sum((each.end or END) <= moment for each in crashes(story, node))}"


def crashes(story: Story, node: str) -> list[Crash]:
    """Return the crashes of a node."""
    found = (each for each in story.day.incidents if isinstance(each, Crash))
    return [each for each in found if each.node == node]


def skew(story: Story, node: str, moment: datetime) -> float:
    """Return by how many seconds the clock of a node is ahead at a moment."""
    (offset,) = [each.clock_offset for each in story.day.nodes() if each.name == node]
    return offset + sum(
        each.seconds
        for each in story.day.incidents
        if isinstance(each, ClockJump) and each.node == node and each.at <= moment
    )


def is_stopped(story: Story, node: str, moment: datetime) -> bool:
    """Tell whether a node is down or frozen at a moment, or about to end."""
    drain = DRAIN if story.day.is_drained else timedelta(0)
    return any(
        each.at - CLOCKS_DIFFER - drain <= moment <= (each.end or END) + CLOCKS_DIFFER
        for each in story.day.incidents
        if each.node == node and not isinstance(each, ClockJump)
    )


def is_paused(story: Story, process: str, name: str, moment: datetime) -> bool:
    """Tell whether a process lives at a moment, and the job is paused in it."""
    return any(
        each.start - CLOCKS_DIFFER <= moment <= each.end + CLOCKS_DIFFER
        for each in story.watch.pauses
        if (each.process, each.job) == (process, name)
        and not any(each.start <= crash.at < moment for crash in crashes(story, process[0]))
    )


def is_held_up(story: Story, process: str, moment: datetime) -> bool:
    """Tell whether a run has hung a process before a moment, or blocks its event loop then."""
    jobs = story.day.named_jobs()
    for work in story.witness.works:
        job = jobs[work.occurrence.job_id]
        if work.instance == process and (work.hangs or job.blocks):
            end = END if work.hangs else work.begin + timedelta(seconds=job.seconds)
            if work.begin - CLOCKS_DIFFER <= moment <= end + CLOCKS_DIFFER:
                return True
    return False


def could_run(story: Story, node: str, name: str, moment: datetime) -> bool:
    """Tell whether a process of a node was there at a moment, and was not kept from running it."""
    process = process_of(story, node, moment)
    return not (
        is_stopped(story, node, moment)
        or is_paused(story, process, name, moment)
        or is_held_up(story, process, moment)
    )
