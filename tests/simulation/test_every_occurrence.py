from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lessons import NIGHT

from kst_scheduler.fire_times import fire_times
from kst_scheduler.simulation import Crash, Freeze, Incident, simulate
from kst_scheduler.triggers.factories import cron

HOURS = 12
END = NIGHT + timedelta(hours=HOURS)

job = st.fixed_dictionaries(
    {
        "minute": st.sampled_from(["*/7", "0", "*/20", "3,4,5", "59"]),
        "coalesce": st.booleans(),
        "misfire_grace_time": st.sampled_from([1, 60, 900, 7200, None]),
        "max_instances": st.integers(1, 2),
        "seconds": st.sampled_from([0, 1, 400, 1200, 5000]),
        "kind": st.sampled_from(["coroutine", "thread", "blocking"]),
    }
)
minutes = st.integers(0, HOURS * 60 - 1)


@st.composite
def troubles(draw: st.DrawFn) -> list[Incident]:
    """Draw incidents that do not overlap, on nodes A and B."""
    incidents: list[Incident] = []
    for node in "AB":
        edges = sorted(draw(st.lists(minutes, max_size=6, unique=True)))
        for begin, end in zip(edges[::2], edges[1::2], strict=False):
            at = NIGHT + timedelta(minutes=begin, seconds=draw(st.integers(0, 1)))
            length = timedelta(minutes=end - begin, seconds=-1)
            if draw(st.booleans()):
                incidents.append(Freeze(node, at, length))
            else:
                incidents.append(Crash(node, at, length))
        if draw(st.booleans()):
            at = NIGHT + timedelta(minutes=(edges[-1] + 1 if edges else 5))
            if at < END:
                incidents.append(Crash(node, at))
    return incidents


def work(kind: str, seconds: float) -> Any:
    """Return a job that takes so long: in the loop, in a thread, or blocking the loop."""

    async def coroutine() -> None:
        await asyncio.sleep(seconds)

    async def blocking() -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - the fault to be survived

    return {"coroutine": coroutine, "blocking": blocking, "thread": lambda: time.sleep(seconds)}[
        kind
    ]


@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=pytest.mark.long)])
def test_each_fire_time_has_one_row_on_each_node(examples: int) -> None:
    """Whatever the jobs and the incidents, the rows of a job on a node are its fire times."""
    given_days = given(jobs=st.lists(job, min_size=1, max_size=3), incidents=troubles())
    settings(max_examples=examples)(given_days(check))()


def check(jobs: list[dict[str, Any]], incidents: list[Incident]) -> None:
    """Compare the rows of one simulation with the fire times."""
    triggers = {f"job-{number}": cron(minute=each["minute"]) for number, each in enumerate(jobs)}

    def register(scheduler: Any) -> None:
        for (job_id, trigger), each in zip(triggers.items(), jobs, strict=True):
            options = {
                name: each[name] for name in ("coalesce", "misfire_grace_time", "max_instances")
            }
            scheduler.add_job(work(each["kind"], each["seconds"]), trigger, id=job_id, **options)

    runs = simulate(register, NIGHT, END, nodes=2, incidents=incidents).runs
    assert set(runs["node"]) <= {"A", "B"}
    for node in "AB":
        for job_id, trigger in triggers.items():
            rows = runs[(runs["node"] == node) & (runs["job_id"] == job_id)]
            expected = fire_times(trigger, NIGHT, END)
            pd.testing.assert_index_equal(
                pd.DatetimeIndex(rows["scheduled_at"]), expected, check_names=False
            )
