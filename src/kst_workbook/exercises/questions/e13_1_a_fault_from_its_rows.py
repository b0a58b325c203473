"""Exercise 13.1: A fault, from its rows alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.rehearsal import explain
from kst_scheduler.timeline import plot_timeline
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import mapping_of, png, shown
from kst_workbook.scenes.own_service import hidden_rehearsal

if TYPE_CHECKING:
    import pandas as pd


@exercise(
    "13.1",
    title="A fault from its rows alone",
    variable="fault",
    hints=(
        "Look at one job at a time: `runs[runs.job_id == 'report']`.",
        "Two jobs keep their time of the day through two deployments. The third one does not.",
        "What does an interval count from? Look for it in the table of REHEARSAL.md.",
    ),
    solution="""
        fault = {"stock-sync": "KST006"}
    """,
    link="https://apscheduler.readthedocs.io/en/3.x/modules/triggers/interval.html",
)
def a_fault_from_its_rows(answer: Any) -> Right:
    """Name the job that has a fault, and the fault's code."""
    named = mapping_of(answer)
    if named is None or len(named) != 1:
        raise NotYetError(
            f"`fault` is {shown(answer)}. Expected a dict of one job and one code, such as "
            '`{"report": "KST001"}`.'
        )
    ((job, code),) = named.items()
    found = hidden_rehearsal()
    runs = found.runs
    jobs = list(dict.fromkeys(runs["job_id"]))
    if job not in jobs:
        raise NotYetError(f"There is no job {shown(job)}. The rows have {', '.join(jobs)}.")
    title = _title(code)
    errors = {each.job: each.code for each in found.at_level("error")}
    if job not in errors:
        raise NotYetError(
            f"You say {title} of `{job}`. {_rows_of(runs, job)} Which job's rows are less regular?"
        )
    if errors[job] != str(code).upper():
        raise NotYetError(
            f"The job is right. But {title} is not what its rows show. Compare the times at which "
            "it was due before the first deployment and after each."
        )
    drawn = partial(png, lambda: plot_timeline(runs[runs["job_id"] == job]))
    return Right(
        "After each deployment the six hours count from the start of the process. So the job is "
        "due at other times, once after 13 hours. No run failed, and no log line reports it.",
        (drawn,),
    )


def _title(code: Any) -> str:
    """Return a code with what it means.

    Raises:
        NotYetError: a rehearsal has no such code.

    """
    try:
        return explain(str(code)).partition("\n")[0]
    except InvalidArgumentError:
        raise NotYetError(
            f"{shown(code)} is no code of a finding. REHEARSAL.md lists them; the first is KST001."
        ) from None


def _rows_of(runs: pd.DataFrame, job: str) -> str:
    due = runs[runs["job_id"] == job]["scheduled_at"]
    clocks = sorted(set(due.dt.strftime("%H:%M:%S")))
    return f"It was due {due.nunique()} times, always at {' or '.join(clocks)}."
