"""Rehearse a service: run it in a process of its own, and say what happened to its jobs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

import kst_scheduler.rehearsal.codes  # noqa: F401 - each check makes itself known
from kst_scheduler.choices import LEVELS
from kst_scheduler.errors import InvalidArgumentError, TargetError
from kst_scheduler.fire_times.instants import microseconds, moment_at
from kst_scheduler.rehearsal.asking import ask
from kst_scheduler.rehearsal.findings import Facts, Finding, findings
from kst_scheduler.rehearsal.nights import FIRST_NIGHT, NIGHTS, Trouble, check_incident, check_only
from kst_scheduler.rehearsal.notes import Notes
from kst_scheduler.rehearsal.question import Question
from kst_scheduler.rehearsal.reading import read
from kst_scheduler.rehearsal.target import Target
from kst_scheduler.runs.table import COLUMNS, TIME_COLUMNS, check_runs, moments, status_dtype
from kst_scheduler.simulation.incidents import check_nodes
from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

YEARS: Final = range(1970, 9001)
"""In which a rehearsal can begin: time counts from 1970, and fire times are looked for later."""


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found. It is true where nothing is at the level of ``error``."""

    target: str
    findings: list[Finding]
    runs: pd.DataFrame = field(repr=False)
    """The table of runs, over all nights and nodes."""
    troubles: list[Trouble] = field(repr=False)
    """What went wrong, and when."""
    refused: dict[str, int]
    """What the service wanted to do to the world outside, and how often."""
    nights: int
    bad_nights: int
    """In how many of them something goes wrong."""
    nodes: tuple[str, ...]
    host_timezone: str
    start: datetime
    """When the first night begins."""
    current: str = ""
    """The folder from which files are named."""
    shortened: tuple[str, ...] = ()
    """The jobs that are due very often, and were rehearsed for a stretch of each night."""

    def at_level(self, level: str = "error") -> list[Finding]:
        """Return the findings of a level, and of higher ones."""
        least = LEVELS.index(level)
        return [each for each in self.findings if LEVELS.index(each.level) >= least]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the night with the most runs that are not well."""
        from kst_scheduler.rehearsal.picture import plot_night  # noqa: PLC0415 - an extra

        return plot_night(self, ax)

    def __bool__(self) -> bool:
        """Return whether nothing was found at the level of ``error``.

        In a test, the findings are printed if it is false: pytest shows that in full, but cuts
        the value in an ``assert`` at 240 characters.
        """
        is_well = not self.at_level()
        if not is_well and "PYTEST_CURRENT_TEST" in os.environ:
            print(self)  # noqa: T201 - pytest shows it below the failed assert
        return is_well

    def __repr__(self) -> str:
        """Show the findings, as a failing ``assert`` does."""
        from kst_scheduler.rehearsal.report import as_text  # noqa: PLC0415 - it imports this module

        return as_text(self)

    def _repr_html_(self) -> str:
        """Show the findings as a table, to what displays HTML."""
        from kst_scheduler.rehearsal.report import (  # noqa: PLC0415 - it imports this module
            as_table,
            head,
        )

        return f"<p>{escape(head(self))}</p>{as_table(self)}"


def rehearse(
    target: str,
    *,
    nights: int = NIGHTS,
    nodes: int = 2,
    start: datetime = FIRST_NIGHT,
    host_timezone: str = "UTC",
    duration: timedelta = timedelta(minutes=1),
    durations: Mapping[str, timedelta] | None = None,
    run_jobs: bool = False,
    variables: Mapping[str, str] | None = None,
    stubs: Sequence[str] = (),
    only: Sequence[str] = (),
    incidents: Sequence[str] = (),
    each_node: Sequence[str] = (),
    seed: int | None = None,
) -> Rehearsal:
    """Run a service through a fixed programme of nights, and return what was found.

    The service runs in a process of its own, in virtual time, with stand-ins for its jobs. It may
    not connect to other hosts, start processes, or write files, except in a temporary folder, as
    far as Python's audit events show it.

    Args:
        target: "module:name" or "path/to/file.py:name" of a scheduler, of a function
            ``register(scheduler)``, of an ASGI application, or of a function that returns one.
        nights: how many; the programme has 14.
        nodes: how many replicas.
        start: when the first night begins.
        host_timezone: the zone of the hosts.
        duration: how long each stand-in lasts.
        durations: how long those of some jobs last, by id.
        run_jobs: run the jobs themselves.
        variables: what the environment has beside its own variables.
        stubs: functions, as "module:name", that do nothing and return None.
        only: names of nights of the programme; in the others nothing goes wrong.
        incidents: what goes wrong in each night instead, such as "freeze B 02:50 20m".
        each_node: the jobs that each replica should run for itself, by id, such as one that
            refreshes a cache.
        seed: varies what code must not rely on, as in ``simulate``.

    Raises:
        TargetError: the target cannot be rehearsed.
        InvalidArgumentError: an argument makes no sense.

    """
    question = question_of(
        target,
        nights=nights,
        nodes=nodes,
        start=start,
        host_timezone=host_timezone,
        duration=duration,
        durations=durations or {},
        run_jobs=run_jobs,
        variables=variables or {},
        stubs=stubs,
        only=only,
        incidents=incidents,
        each_node=each_node,
        seed=seed,
    )
    return rehearsal_of(question, ask([question])[0])


def question_of(
    target: str,
    *,
    nights: int = NIGHTS,
    nodes: int = 2,
    start: datetime = FIRST_NIGHT,
    host_timezone: str = "UTC",
    duration: timedelta = timedelta(minutes=1),
    durations: Mapping[str, timedelta] = MappingProxyType({}),
    run_jobs: bool = False,
    variables: Mapping[str, str] = MappingProxyType({}),
    stubs: Sequence[str] = (),
    only: Sequence[str] = (),
    incidents: Sequence[str] = (),
    each_node: Sequence[str] = (),
    seed: int | None = None,
) -> Question:
    """Return what to ask of a process, for the arguments of ``rehearse``.

    Raises:
        InvalidArgumentError: one of them makes no sense.

    """
    if nights < 1:
        raise InvalidArgumentError(f"nights={nights} leaves nothing to rehearse; write 14, say")
    require_aware(start, "start")
    if start.year not in YEARS:
        raise InvalidArgumentError(f"start={start} is not from {YEARS[0]} to {YEARS[-1]}")
    for stub in stubs:
        if not all(stub.partition(":")):
            raise InvalidArgumentError(
                f"stub {stub!r} names no function; write MODULE:FUNCTION, such as "
                "my_service.db:connect"
            )
    check_only(only, nights)
    names = [node.name for node in check_nodes(nodes)]
    for incident in incidents:
        check_incident(incident, names)
    found = Target.named(target)
    return Question(
        target=target,
        folder=found.folder,
        module=found.module,
        name=found.name,
        file=found.file,
        current=str(Path.cwd()),
        start=microseconds(start),
        nights=nights,
        nodes=nodes,
        zone=host_timezone,
        seed=seed,
        duration=duration.total_seconds(),
        durations={job: each.total_seconds() for job, each in durations.items()},
        run_jobs=run_jobs,
        variables=dict(variables),
        stubs=list(stubs),
        only=list(only),
        incidents=list(incidents),
        each_node=list(each_node),
    )


def rehearsal_of(question: Question, answer: Mapping[str, Any]) -> Rehearsal:
    """Return what an answer shows.

    Raises:
        TargetError: the target could not be rehearsed.

    """
    if "error" in answer:
        raise TargetError(answer["error"])
    troubles = [
        Trouble(**(each | {"at": moment_at(each["at"]).astimezone(KST)}))
        for each in answer["troubles"]
    ]
    runs = _table(answer["runs"])
    notes = Notes.from_json(answer["notes"])
    facts = Facts(
        notes=notes,
        runs=runs[~runs["job_id"].isin(notes.ours)],
        zones={question.zone: {}} | answer["zones"],
        host=question.zone,
        troubles=troubles,
        start=question.start,
        nodes=question.nodes,
        reading=read(answer["files"]),
        each_node=frozenset(question.each_node),
    )
    return Rehearsal(
        target=question.target,
        findings=findings(facts),
        runs=runs,
        troubles=troubles,
        refused=answer["refused"],
        nights=question.nights,
        bad_nights=answer["bad_nights"],
        nodes=tuple(node.name for node in check_nodes(question.nodes)),
        host_timezone=question.zone,
        start=moment_at(question.start).astimezone(KST),
        current=question.current,
        shortened=tuple(answer["shortened"]),
    )


def _table(columns: dict[str, list[Any]]) -> pd.DataFrame:
    """Return a table of runs of the columns of an answer."""
    made: dict[str, Any] = {}
    columns = {name: columns.get(name, []) for name in COLUMNS}
    for name in COLUMNS:
        if name in TIME_COLUMNS:
            made[name] = moments(np.array(columns[name], dtype=np.int64))
        elif name == "status":
            made[name] = pd.Categorical(columns[name], dtype=status_dtype())
        else:
            made[name] = pd.array(columns[name], dtype="str")
    return check_runs(pd.DataFrame(made))
