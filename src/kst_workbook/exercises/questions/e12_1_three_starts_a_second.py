"""Exercise 12.1: Three starts a second."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import socket
import uuid
from collections import Counter
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.fire_times import fire_times
from kst_scheduler.simulation.reach import Reach, names_in
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.spread import spread
from kst_scheduler.triggers.trigger_parts import nominal_fires, walk
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    moment,
    png,
    require_function,
    require_trigger,
)
from kst_workbook.exercises.replacements import replace_functions
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.axes import Axes

    from kst_workbook.exercises.exercise import Picture

REGIONS: Final = [f"crawl-{number:03}" for number in range(500)]


BEGIN, END = kst(2026, 5, 10, 2), kst(2026, 5, 10, 2, 30)
NIGHTS: Final = (kst(2026, 5, 10), kst(2026, 5, 12))
MAX_STARTS: Final = 3
"""How many requests a second the API takes."""
FAR: Final = 1 + 5040 * 10**9
"""From one process id to the other: they differ in length, and by one in what is left of 1,800."""


@exercise(
    "12.1",
    title="Three starts a second",
    variable="trigger_of",
    hints=(
        "12.1 has what gives a job a second of its own. Within how many minutes, here?",
        "Count them: `Counter(tuple(spread(job_id, minutes=10).values()) for job_id in REGIONS)`.",
        "Half past two leaves three times as long as ten minutes.",
    ),
    solution="""
        def trigger_of(job_id):
            return cron(hour=2, **spread(job_id, minutes=30))
    """,
    link="https://docs.python.org/3/library/hashlib.html#blake2",
)
def three_starts_a_second(answer: Any) -> Right:
    """Spread 500 jobs so that no more than three of them start in a second."""
    trigger_of = require_function(answer, "trigger_of", "crawl-042")
    if any("hash" in names_in(function.__code__) for function in Reach(answer).functions):
        raise NotYetError(
            f"`trigger_of` asks Python's `hash`. Here `hash('crawl-042')` is "
            f"{hash('crawl-042')}, and on the next replica it is another number."
        )
    with each_replica_for_itself(answer):
        first = _fires(trigger_of, REGIONS)
        with _another_replica(answer):
            second = _fires(trigger_of, _other_strings(REGIONS))
    drawn = _both(first)
    for job_id in REGIONS:
        if first[job_id] != second[job_id]:
            raise NotYetError(
                f"`{job_id}` is due at {moment(first[job_id])} on replica A, and at "
                f"{moment(second[job_id])} on replica B. So both run it.",
                drawn,
            )
    _refuse_outside(first, drawn)
    (busiest, most), *_ = Counter(first.values()).most_common(1)
    if most > MAX_STARTS:
        raise NotYetError(f"{most} of your jobs start at {moment(busiest)}.", drawn)
    return Right(
        f"At most {most} start in a second, the last at {moment(max(first.values()))}, and every "
        "replica says so.",
        drawn[:1],
    )


def _fires(trigger_of: Callable[[str], Any], job_ids: list[str]) -> dict[str, pd.Timestamp]:
    return {job_id: _fire(trigger_of(job_id), job_id) for job_id in job_ids}


@contextlib.contextmanager
def _another_replica(answer: Any) -> Iterator[None]:
    """Let the answer find another host and process in the block, by whatever it asks."""
    name = f"b{socket.gethostname()}-b"
    process, parent = os.getpid() + FAR, os.getppid() + FAR
    host = platform.uname()._replace(node=name)
    stand_ins: dict[Any, Callable[..., Any]] = {
        os.getpid: lambda: process,
        os.getppid: lambda: parent,
        socket.gethostname: lambda: name,
        socket.getfqdn: lambda _name="": name,
        platform.node: lambda: name,
        platform.uname: lambda: host,
        uuid.getnode: lambda: process,
    }
    if hasattr(os, "uname"):  # Windows has none
        real = os.uname()
        stand_ins[os.uname] = lambda: os.uname_result((real[0], name, *real[2:]))
    before = os.environ.get("HOSTNAME")
    os.environ["HOSTNAME"] = name
    try:
        with replace_functions(answer, stand_ins, (os, socket, platform, uuid)):
            yield
    finally:
        os.environ.pop("HOSTNAME")
        if before is not None:
            os.environ["HOSTNAME"] = before


def _other_strings(job_ids: list[str]) -> list[str]:
    """Return other strings that are equal, in another order: there each has an id of its own."""
    return ["".join(job_id) for job_id in reversed(job_ids)]


def _fire(trigger: Any, job_id: str) -> pd.Timestamp:
    """Return the only fire of a night, in whole seconds."""
    trigger = require_trigger(trigger, f"trigger_of('{job_id}')")
    if any(getattr(part, "jitter", None) for part in walk(trigger)):
        raise NotYetError(
            f"`trigger_of('{job_id}')` has jitter, so three replicas draw three times. Each of "
            "them runs its own."
        )
    begin, end = NIGHTS
    # 500 triggers have 1,500 fires; more are counted only where there are too many.
    first = list(itertools.islice(nominal_fires(trigger, begin), 3))
    fires = [fire.astimezone(KST).replace(microsecond=0) for fire in first if fire < end]
    if len(fires) != 2:  # noqa: PLR2004 - once a night
        count = len(fire_times(trigger, *NIGHTS))
        raise NotYetError(f"`trigger_of('{job_id}')` fires {count:,} times in two nights.")
    if fires[1] - fires[0] != timedelta(days=1):
        raise NotYetError(
            f"`trigger_of('{job_id}')` fires at {moment(fires[0])} and at {moment(fires[1])}."
        )
    return pd.Timestamp(fires[0])


def _refuse_outside(fires: dict[str, pd.Timestamp], drawn: tuple[Picture, ...]) -> None:
    outside = {job_id: fire for job_id, fire in fires.items() if not BEGIN <= fire < END}
    for job_id, fire in outside.items():
        raise NotYetError(
            f"{len(outside)} of your jobs start before 02:00 or after half past two. One is "
            f"`{job_id}`, at {moment(fire)} KST.",
            drawn,
        )


def _both(fires: dict[str, pd.Timestamp]) -> tuple[Picture, ...]:
    """Draw the reader's starts, and the expected ones."""
    yours, asked_for = (
        partial(_starts, "yours", fires),
        lambda: _starts("as asked for", _asked_for()),
    )
    return partial(png, yours), partial(png, asked_for)


@cache
def _asked_for() -> dict[str, pd.Timestamp]:
    return {job_id: _fire(cron(hour=2, **spread(job_id, minutes=30)), job_id) for job_id in REGIONS}


def _starts(name: str, fires: dict[str, pd.Timestamp]) -> Axes:
    from matplotlib.figure import Figure  # noqa: PLC0415 - only when it is shown

    starts = Counter(fires.values())
    ax = Figure(figsize=(10, 2.2), layout="constrained").subplots()
    minutes = [(fire - BEGIN).total_seconds() / 60 for fire in starts]
    ax.vlines(minutes, 0, list(starts.values()), color="#0072B2", linewidth=1)
    ax.axhline(MAX_STARTS, color="black", linewidth=1)
    ax.axvspan(0, 30, color="#009E73", alpha=0.12)
    ax.set(title=f"{name}: starts a second", xlabel="minutes after 02:00 KST", ylabel="starts")
    ax.set(ylim=(0, max(MAX_STARTS, *starts.values()) * 1.15))
    ax.set_xlim(min(-1, *minutes) - 1, max(31, *minutes) + 1)
    return ax
