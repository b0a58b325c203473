"""What must hold after every day, whatever went wrong on it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.fire_times import fire_times
from kst_scheduler.simulation import ClockJump, Crash
from random_days.conditions import (
    could_run,
    is_held_up,
    is_paused,
    is_stopped,
    process_of,
    skew,
)
from random_days.plan import DRAIN, END, LEASE, LOOK_EVERY, MIDNIGHT
from random_days.progress import DOUBTED, without_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.ledger import LedgerRow
    from random_days.plan import JobPlan
    from random_days.play import Story
    from random_days.watch import Move, Work

SETTLED: Final = timedelta(seconds=2 * LOOK_EVERY)
"""After so long the next look has been."""

SPARE_SECONDS: Final = timedelta(seconds=30)
"""What a server that was away costs beyond its absence."""

MAX_EARLY: Final = timedelta(minutes=5, seconds=5)
"""Nothing is run so long before its time by the ledger's clock."""

SPARE: Final = timedelta(days=1)
"""Clocks that are wrong see times before the day, and after it."""


def faults(story: Story) -> list[str]:
    """Return what does not hold, the first that was seen first."""
    rows = story.rows()
    found = [*story.witness.faults, *story.watch.faults]
    for name, job in story.day.named_jobs().items():
        if job.guard != "lock":
            own = [row for row in rows if row.source == name]
            found += _of_rows(name, job, own, _most_behind(story))
            found += _of_job(story, name, job, own) if story.day.is_calm else []
    found += [*_of_work(story, rows), *_of_stops(story), *_of_reports(story, rows)]
    found += _of_missed(story)
    if story.day.is_calm:
        found += [*_of_drains(story, rows), *_of_looks(story), *_held_at_the_end(story, rows)]
        found += [*_of_alerts(story, rows), *without_progress(story)]
    return found


def _most_behind(story: Story) -> timedelta:
    """Return how far behind a clock may have been, and have shown a time before the day."""
    day = story.day
    back = [
        sum(
            min(0, each.seconds)
            for each in day.incidents
            if isinstance(each, ClockJump) and each.node == node.name
        )
        for node in day.nodes()
    ]
    offset = [node.clock_offset + each for node, each in zip(day.nodes(), back, strict=True)]
    return timedelta(seconds=max(0, -min(offset)) + 1)


def _of_rows(name: str, job: JobPlan, rows: list[LedgerRow], behind: timedelta) -> Iterator[str]:
    """Yield what no fault excuses."""
    times = Counter(row.scheduled_at for row in rows)
    yield from (f"{name} has two rows for {each}" for each, often in times.items() if often > 1)
    yield from (f"{name}: {each} is no fire time of its trigger" for each in {*times} - _fires(job))
    for row in rows:
        if row.scheduled_at < MIDNIGHT - behind:
            yield f"{row.occurrence} has a row: {row.status}, and is from before the job"
    for row in rows:
        if row.lost > job.max_attempts:
            yield f"{row.occurrence} lost its lease {row.lost} times, and ran again"
        # A run that is cut has no more to say than that.
        if row.status not in {"ok", "running", "cancelled"} and not row.error:
            yield f"{row.occurrence} is {row.status}, and does not say why"


def _fires(job: JobPlan) -> set[datetime]:
    return {*fire_times(job.trigger(), MIDNIGHT - SPARE, END + SPARE).to_pydatetime()}


def _of_job(story: Story, name: str, job: JobPlan, rows: list[LedgerRow]) -> Iterator[str]:
    """Yield what a day that ends calmly leaves undone."""
    fires, times = _fires(job), {row.scheduled_at for row in rows}
    watermark = asyncio.run(story.ledger.watermark(name)) or MIDNIGHT
    since = story.watch.first_looks.get(name, END)
    for each in sorted(each for each in fires - times if since <= each < watermark):
        if story.day.clock_was_wrong(each, SETTLED) or _was_paused(story, name, each):
            continue
        yield f"{name}@{each} has no row, and was looked at"
    if not _is_blocked(story):
        reach = END - SETTLED + _behind(story)
        yield from _without_an_end(rows, reach)
        if not _is_busy(story, name, rows) and any(watermark <= each < reach for each in fires):
            yield f"{name} was looked at until {watermark} only"


def _was_paused(story: Story, name: str, moment: datetime) -> bool:
    """Tell whether what is due at a moment leaves no row, as the job was paused.

    So it is where no process could run it, and the one that moved the mark over it was paused
    then, and so was the one that had moved the mark on before it: it may be the same one, which
    cannot know of others that are down.
    """
    moves = [each for each in story.watch.moves[name] if moment < each.after]
    last = max((each for each in moves if each.before and each.before <= moment), key=_after)
    earlier = [each for each in story.watch.moves[name] if each.after == last.before]
    before = {each.process for each in earlier} or {last.process}
    processes = [last.process, *before]
    return all(is_paused(story, each, name, moment) for each in processes) and not any(
        could_run(story, node.name, name, moment) for node in story.day.nodes()
    )


def _after(move: Move) -> datetime:
    return move.after


def _without_an_end(rows: list[LedgerRow], reach: datetime) -> Iterator[str]:
    """Yield what should have been handled by the end of a day that was calm for hours."""
    for row in rows:
        is_over = row.lease_until and row.lease_until < END - SETTLED
        if row.status == "running" and is_over and row.scheduled_at < reach:
            yield f"{row.occurrence} lost its lease, and is left without an end"


def _is_busy(story: Story, name: str, rows: list[LedgerRow]) -> bool:
    """Tell whether a run was in progress to the end; the next occurrence waits for that."""
    works = [work for work in story.witness.works if work.occurrence.job_id == name]
    ended_late = any(work.end and work.end > END - SETTLED for work in works)
    return ended_late or any(row.status == "running" for row in rows)


def _is_blocked(story: Story) -> bool:
    """Tell whether no event loop turned at the end of the day, and so no reconciler looked."""
    return not any(_turns_at_the_end(story, node.name) for node in story.day.nodes())


def _turns_at_the_end(story: Story, node: str) -> bool:
    return not any(
        is_stopped(story, node, at) or is_held_up(story, process_of(story, node, at), at)
        for at in (END - SETTLED, END)
    )


def _behind(story: Story) -> timedelta:
    """Return how far the clocks are behind, at least: nothing is due before one of them says so."""
    return min(timedelta(0), max(_skews(story)))


def _skews(story: Story) -> list[timedelta]:
    """Return how far the clocks are ahead at the end of the day, where a loop turns."""
    nodes = [each.name for each in story.day.nodes() if _turns_at_the_end(story, each.name)]
    return [timedelta(seconds=skew(story, each, END)) for each in nodes]


def _of_work(story: Story, rows: list[LedgerRow]) -> Iterator[str]:
    by_key = {row.occurrence.key: row for row in rows}
    for work in story.witness.works:
        row = by_key.get(work.occurrence.key)
        early = work.occurrence.scheduled_at - work.begin
        is_misled = work.begin < story.watch.misled.get(work.instance, MIDNIGHT)
        is_wrong = is_misled or story.day.clock_was_wrong(work.begin, DOUBTED)
        if work.claim and early > MAX_EARLY and not is_wrong:
            yield f"{work.occurrence} ran {early} before its time"
        if work.claim and (row is None or row.attempt < work.claim.attempt):
            yield f"{work.occurrence} ran, and its row does not know"
    jobs, done = story.day.named_jobs(), story.witness.done()
    begun = Counter(work.occurrence.key for work in story.witness.works if work.claim)
    for row in rows:
        key = row.occurrence.key
        ran = [work for work in done.get(key, []) if work.claim]
        attempts = {work.claim.attempt for work in ran if work.claim}
        if row.status == "ok" and row.attempt not in attempts:
            yield f"{key} is ok, and its attempt {row.attempt} did not do its work"
        if begun[key] > row.attempt or len(ran) > len(attempts):
            yield f"{key} ran more often than it was claimed"
        if len(ran) > 1 and not _is_explained(story, ran):
            yield f"{key} did its work {len(ran)} times, and the log does not say why"
        if begun[key] > 1 and not jobs[row.source].repeatable:
            yield f"{key} ran {begun[key]} times, and is not to be repeated"


def _of_missed(story: Story) -> Iterator[str]:
    """Yield what a look wrote as missed that was not due by the clock of its own host.

    This holds even if the ledger's clock is wrong.
    """
    for occurrence, at, process in story.watch.missed:
        looks = story.watch.looks
        start = max(each.start for each in looks if each.process == process and each.start <= at)
        shown = at + timedelta(seconds=_most_ahead(story, process[0], start, at))
        if occurrence.scheduled_at > shown:
            yield f"{occurrence} was written as missed at {shown} by the clock of {process[0]}"


def _most_ahead(story: Story, node: str, start: datetime, end: datetime) -> float:
    """Return by how many seconds the clock of a node can have been ahead in a span.

    A clock may be set twice at one moment, as a look takes no time: before it, or in it.
    """
    sets = [
        each.seconds
        for each in story.day.incidents
        if isinstance(each, ClockJump) and each.node == node and start <= each.at <= end
    ]
    before = skew(story, node, start - timedelta(microseconds=1))
    return before + sum(each for each in sets if each > 0)


def _of_stops(story: Story) -> Iterator[str]:
    """Yield the runs that were stopped after their lease was over, though their process lived."""
    for work in story.witness.works:
        until = story.witness.cut_late(work)
        if until and not _stood_still(story, work.instance, until):
            yield f"{work.occurrence} on {work.instance} was stopped at {work.cut}, not by {until}"


def _stood_still(story: Story, process: str, at: datetime) -> bool:
    return is_stopped(story, process[0], at) or is_held_up(story, process, at)


def _of_reports(story: Story, rows: list[LedgerRow]) -> Iterator[str]:
    """Yield the runs of which the scheduler was told what their rows do not say, nor the log."""
    by_key = {row.occurrence.key: row for row in rows}
    for work in story.witness.works:
        row = by_key.get(work.occurrence.key)
        if row is None or work.claim is None or not work.reported:
            continue
        is_ok = row.status == "ok" and row.attempt == work.claim.attempt
        if is_ok and work.reported != "ok":
            yield f"{work.occurrence} is ok, and the scheduler was told: {work.reported}"
        if work.reported == "ok" and not is_ok and not _is_in_log(story, work.occurrence.key):
            yield f"{work.occurrence} is {row.status}, and the scheduler was told that it is ok"


def _is_in_log(story: Story, key: str) -> bool:
    """Tell whether the log has the row of a run that could not be written."""
    log = story.result.log
    errors = log["message"][log["level"] == "ERROR"]
    return bool((errors.str.contains(key, regex=False) & errors.str.contains("the row is")).any())


def _was_started(story: Story, work: Work, moment: datetime) -> bool:
    """Tell whether the scheduler had started a run by then, and its claim was still on its way."""
    runs = story.result.runs
    same = (runs["node"] == work.instance[0]) & (runs["job_id"] == work.occurrence.job_id)
    same &= runs["scheduled_at"] == work.occurrence.scheduled_at
    return bool((same & (runs["started_at"] <= moment) & (runs["finished_at"] >= work.begin)).any())


def _of_drains(story: Story, rows: list[LedgerRow]) -> Iterator[str]:
    """Yield what a drain left without an end, and what began after it."""
    by_key = {row.occurrence.key: row for row in rows}
    for work in story.witness.works:
        begin = story.watch.drained.get(work.instance)
        if begin is None:
            continue
        if work.begin > begin and not _was_started(story, work, begin):
            yield f"{work.occurrence} began at {work.begin}, in a process that drained"
        if work.claim is None or not work.begin < begin <= (work.end or work.cut or END):
            continue
        if story.watch.held_until(work.claim) < begin:  # lost by then, and cut for that
            continue
        row, end = by_key[work.occurrence.key], begin + DRAIN
        edges = (begin, end)
        if _is_stopped_within(story, work.instance[0], begin, end):
            continue
        if any(is_held_up(story, work.instance, each) for each in edges) or any(
            each.start - SPARE_SECONDS <= end and begin <= each.end + LEASE
            for each in story.day.outages
        ):
            continue
        if work.cut and work.cut - begin < DRAIN / 2 - SPARE_SECONDS / 30:
            yield f"{work.occurrence} was cut {work.cut - begin} after the drain began"
        if row.attempt != work.claim.attempt or row.status == "running":
            yield f"{work.occurrence} was drained, and lost: {row.status}, {row.error}"


def _is_stopped_within(story: Story, node: str, begin: datetime, end: datetime) -> bool:
    """Tell whether a drain did not have its time: its process was frozen, or killed before."""
    return any(
        each.at < end - timedelta(seconds=1) and begin < (each.end or END)
        for each in story.day.incidents
        if each.node == node and not isinstance(each, ClockJump)
    )


def _of_looks(story: Story) -> Iterator[str]:
    """Yield what a look started too early, or beside another run of its job that held its row."""
    started = [(look, at, each) for look in story.watch.looks for at, each in look.started]
    for look, at, each in started:
        if at < each.scheduled_at and not story.day.clock_was_wrong(at, DOUBTED):
            yield f"{each} was caught up at {at}, before its time"
        for work in story.witness.works:
            if (
                work.claim
                and work.occurrence.job_id == each.job_id
                and work.begin < look.start <= at < _stop_of(work)
                and at < story.watch.held_until(work.claim)
                and not story.day.clock_was_wrong(at, DOUBTED)
                and not _stood_still(story, work.instance, at)
            ):
                yield f"{each} was caught up at {at}, beside {work.occurrence}"


def _stop_of(work: Work) -> datetime:
    return work.end or work.cut or END


def _held_at_the_end(story: Story, rows: list[LedgerRow]) -> Iterator[str]:
    """Yield the locks and the leases that nobody needs at the end of a day."""
    at_work = {
        work.occurrence.job_id
        for work in story.witness.works
        if work.hangs or not (work.end or work.cut)
    }
    # A process whose event loop is blocked to the end may be between its claim and its work.
    blocked = {
        process
        for node in story.day.nodes()
        if is_held_up(story, process := process_of(story, node.name, END), END)
    }
    for lock in sorted(story.locks - {f"lock:{name}" for name in at_work}):
        if not blocked:
            yield f"{lock} is held at the end of the day, and nobody works"
    for row in rows:
        is_held = row.status == "running" and row.lease_until and row.lease_until > END
        if is_held and row.source not in at_work and row.instance not in blocked:
            yield f"{row.occurrence} is running at the end of the day, and nobody runs it"


def _is_explained(story: Story, ran: list[Work]) -> bool:
    """Tell whether all but the last run that did the whole work could not write that.

    The row is in the log in its place, or the log says that it was lost, or that its lock was; or
    the process died first, or was blocked to the end of the day.
    """
    if any(is_held_up(story, work.instance, END) for work in ran[:-1]) or any(
        story.day.clock_was_wrong(moment, LEASE)
        for work in ran
        for moment in (work.begin, work.end)
        if moment
    ):
        return True
    occurrence, log = ran[0].occurrence, story.result.log
    words = f"{occurrence.key}|lock 'lock:{occurrence.job_id}' was no longer held"
    said = log[log["level"].isin(["WARNING", "ERROR"]) & log["message"].str.contains(words)]
    crashed = sum(
        isinstance(each, Crash) and each.node == work.instance[0] and each.at >= work.end
        for work in ran[:-1]
        for each in story.day.incidents
        if work.end
    )
    return len(said) + crashed >= len(ran) - 1


def _of_alerts(story: Story, rows: list[LedgerRow]) -> Iterator[str]:
    alerted = [row for row in story.alerted if row.id not in story.watch.untimely]
    often = Counter(row.occurrence.key for row in alerted)
    yield from (f"{key} was alerted {times} times" for key, times in often.items() if times > 1)
    told = {row.id for row in story.alerted}
    for row in rows:
        is_lost = row.status == "error" and (row.error or "").startswith("abandoned: ")
        if (is_lost or row.status == "missed") and row.id not in told and not _excused(story, row):
            yield f"{row.occurrence} is {row.status}, and nobody was told: {row.error}"
    final = {row.id: row.status for row in rows}
    for row in alerted:
        if row.status != "missed" and not (row.error or "").startswith("abandoned: "):
            yield f"{row.occurrence} was alerted, and owed none: {row.status}, {row.error}"
        if final[row.id] != row.status:
            yield f"{row.occurrence} was alerted as {row.status}, and is {final[row.id]}"


def _excused(story: Story, row: LedgerRow) -> bool:
    """Tell whether whoever wrote a row off could not tell of it.

    The process died or stood still, the answer of the ledger was lost, or the day was over.
    """
    at, process = story.watch.written_off[row.id]
    soon = at + timedelta(seconds=LOOK_EVERY) * 2
    outages = any(
        each.server == "ledger" and each.start - SETTLED < soon and at < each.end + SETTLED
        for each in story.day.outages
    )
    incidents = any(
        not isinstance(each, ClockJump) and at <= (each.end or END) and each.at <= soon
        for each in story.day.incidents
        if each.node == process[0]
    )
    held_up = any(is_held_up(story, process, each) for each in (at, soon))
    return outages or incidents or held_up or soon > END
