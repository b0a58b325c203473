"""The findings that runs show: what happened to what was due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.rehearsal.findings import Evidence, Facts, code
from kst_scheduler.rehearsal.nights import KINDS
from kst_scheduler.rehearsal.place import NOWHERE
from kst_scheduler.runs.table import NODE_DOWN, duplicates

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


SHORT: Final = timedelta(minutes=5)


@code(
    8,
    "error",
    write="write misfire_grace_time=300, the default of KSTScheduler; more for a nightly job",
    section="4.1",
)
def is_lost_by_a_short_pause(facts: Facts) -> Iterator[Evidence]:
    """A short pause loses a run.

    A run that starts later than ``misfire_grace_time`` is dropped. The default is one second,
    and now and then a process is frozen for longer than that.
    """
    missed = facts.runs[facts.during("freeze", "block") & (facts.runs["status"] == "missed")]
    for job, rows in missed[missed["job_id"].isin(_impatient(facts))].groupby("job_id"):
        row, grace = rows.iloc[0], facts.notes.jobs[str(job)].grace
        what = (
            f"the run of {row.scheduled_at:%m-%d %H:%M} on {row.node} was missed after a pause: "
            f"misfire_grace_time is {grace:g} s"
        )
        yield Evidence(str(job), what, rows.head(3))


@code(
    9,
    "error",
    write="give every job a grace time, or the scheduler ThreadPoolExecutor(20)",
    section="4.2",
)
def waits_for_a_thread(facts: Facts) -> Iterator[Evidence]:
    """The pool has too few threads.

    APScheduler's pool has ten threads. Where more jobs are due at once, the others wait, and
    those that wait for longer than their grace time are dropped.
    """
    quiet = facts.runs[~facts.during(*KINDS, before=7200, after=7200)]
    missed = quiet[(quiet["status"] == "missed") & quiet["detail"].str.contains("late")]
    for moment, rows in missed.groupby("scheduled_at"):
        due = facts.runs[
            (facts.runs["scheduled_at"] == moment) & (facts.runs["node"] == rows["node"].iloc[0])
        ]
        if len(due) > len(rows) and not any(
            (note := facts.note(job)) is None or note.is_async for job in rows["job_id"]
        ):
            jobs = ", ".join(rows["job_id"].unique())
            what = (
                f"of {len(due)} jobs that were due at {moment:%H:%M} these found no thread: {jobs}"
            )
            yield Evidence(str(rows["job_id"].iloc[0]), what, rows.head(3))
            return


@code(
    12,
    "error",
    write="write @once(ledger) over the job; if every replica should run it, say --each-node JOB",
    section="7.8",
)
def runs_on_every_replica(facts: Facts) -> Iterator[Evidence]:
    """Every replica runs it.

    Each process has a scheduler of its own, so each replica runs each job.
    """
    whole = facts.runs[facts.runs["status"] != "cancelled"]  # one that was cut may be repeated
    twice = duplicates(whole)
    for job, found in twice.groupby("job_id"):
        is_meant = job in facts.each_node
        rows = found[[_names_one_twice(each) for each in found["nodes"]]] if is_meant else found
        if rows.empty:
            continue
        all_runs = facts.runs_of(str(job))
        all_due = all_runs["scheduled_at"].nunique()
        nodes = ", ".join(sorted({name for each in rows["nodes"] for name in each.split(", ")}))
        first = rows["scheduled_at"].iloc[0]
        proof = all_runs[all_runs["scheduled_at"] == first]
        what = f"ran more than once for {len(rows)} of {all_due} times, on {nodes}"
        yield Evidence(str(job), what, proof)
    for job, note in facts.notes.jobs.items():
        if note.store and facts.nodes > 1 and not note.is_once and job not in set(twice["job_id"]):
            what = (
                f"its {note.store} is shared by {facts.nodes} replicas, and no job store keeps two "
                "schedulers that look at the same moment from running it twice"
            )
            yield Evidence(job, what)


def _names_one_twice(nodes: str) -> bool:
    names = nodes.split(", ")
    return len({*names}) < len(names)


@code(
    13,
    "warning",
    write="give one id both fire times: OrTrigger([...]), or cron(hour=3, minute='0,30')",
    section="4.7",
)
def runs_beside_itself(facts: Facts) -> Iterator[Evidence]:
    """Two ids run one function side by side.

    ``max_instances`` counts by id, so the same function with the same arguments runs twice at once
    in one process.
    """
    twins: dict[str, list[str]] = {}
    for job, note in facts.notes.jobs.items():
        twins.setdefault(note.identity, []).append(job)
    for jobs in twins.values():
        rows = facts.started[facts.started["job_id"].isin(jobs)]
        for _, each in rows.sort_values("started_at", kind="stable").groupby("node"):
            before = each.shift()
            beside = (each["started_at"] < before["finished_at"]) & (
                each["job_id"] != before["job_id"]
            )
            if beside.any():
                second, first = each[beside].iloc[0], before[beside].iloc[0]
                what = (
                    f"runs the same as {first.job_id} and beside it: on {second.node} from "
                    f"{second.started_at:%m-%d %H:%M} on, until {first.finished_at:%H:%M}"
                )
                yield Evidence(str(second.job_id), what, each[beside].head(3))
                break


@code(
    14,
    "error",
    write="write async with asyncio.timeout(30 * 60) in the job",
    section="4.6",
    is_logged=True,
)
def runs_once_and_never_again(_facts: Facts) -> Iterator[Evidence]:
    """It runs once and never again.

    A run that never ends keeps the place of its job: each later one is skipped, until the process
    is restarted. A run that takes longer than its interval loses those between.
    """
    yield from ()


@code(
    15,
    "error",
    write="write await scheduler.drain(30) of a KSTScheduler in place of shutdown(), or make the "
    "job once(ledger)",
    section="5.1",
)
def is_cut_by_a_deployment(facts: Facts) -> Iterator[Evidence]:
    """A deployment cuts the run off.

    On an AsyncIOScheduler ``shutdown(wait=True)`` returns at once, and cancels what runs.
    """
    done = _done(facts)
    cut = facts.runs[
        (facts.runs["status"] == "cancelled")
        & facts.during("deploy", before=86400)
        & ~facts.runs["detail"].str.contains("crashed")
    ]
    for job, rows in cut.groupby("job_id"):
        lost = rows[[key not in done for key in _keys(rows)]]
        if len(lost):
            row = lost.iloc[0]
            note = facts.note(str(job))
            waits = facts.notes.shutdowns if note is None or note.is_on_loop else []
            place = waits[0] if waits else NOWHERE
            what = (
                f"the run of {row.scheduled_at:%m-%d %H:%M} was cut by a deployment at "
                f"{row.finished_at:%H:%M:%S}, and nobody repeated it"
            )
            level = "" if waits else "warning"
            yield Evidence(str(job), what, lost.head(3), place, level=level)


@code(
    23,
    "warning",
    write="write @once(ledger) over the job, and let a Reconciler catch it up",
    section="8.8",
)
def is_lost_while_down(facts: Facts) -> Iterator[Evidence]:
    """A run is lost while the service is down, or is frozen.

    A scheduler forgets what was due while no process ran: its memory is gone, and it begins anew.
    It drops what it finds later than the grace time.
    """
    begun = {*_keys(facts.started)}
    short = facts.during("freeze", "block") & facts.runs["job_id"].isin(_impatient(facts))
    due = facts.runs[facts.during(*KINDS) & ~short & (facts.runs["status"] == "missed")]
    for job, rows in due.groupby("job_id"):
        lost = rows[[key not in begun for key in _keys(rows)]]
        if len(lost):
            yield Evidence(str(job), _how_lost(lost), lost.head(3))


def _how_lost(rows: pd.DataFrame) -> str:
    """Say of lost runs how many were lost in which way, and when the first was due."""
    reasons = rows["detail"].map(_reason)
    parts = []
    for reason in dict.fromkeys(reasons):
        times = rows["scheduled_at"][reasons == reason].drop_duplicates()
        runs = "1 run" if len(times) == 1 else f"{len(times)} runs"
        parts.append(f"{runs} {reason} ({times.iloc[0]:%m-%d %H:%M} first)")
    return f"lost, and nobody caught up: {', '.join(parts)}"


def _reason(detail: str) -> str:
    if "before it started" in detail:
        return "that waited for a thread when the process ended"
    if detail == NODE_DOWN:
        return "due while the service was down"
    return "that could begin only after its grace time"


def _impatient(facts: Facts) -> list[str]:
    """Return the jobs whose grace time is so short that a short pause loses a run."""
    return [
        job
        for job, note in facts.notes.jobs.items()
        if note.grace is not None and timedelta(seconds=note.grace) < SHORT
    ]


def _keys(rows: pd.DataFrame) -> Iterator[tuple[str, pd.Timestamp]]:
    return zip(rows["job_id"], rows["scheduled_at"], strict=True)


def _done(facts: Facts) -> set[tuple[str, pd.Timestamp]]:
    return {*_keys(facts.runs[facts.runs["status"] == "ok"])}
