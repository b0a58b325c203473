"""Which marks the story of a day tells of, when the day is over."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Final

from kst_scheduler.fire_times import fire_times
from kst_scheduler.simulation import ClockJump, Crash, Freeze
from random_days.conditions import is_paused, process_of
from random_days.marks import Mark
from random_days.plan import END, LEASE, MIDNIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from random_days.play import Story
    from random_days.watch import Work

IN_THE_LOG: Final = {
    Mark.CLAIM_TOO_EARLY: "its time has not come by the ledger's clock",
    Mark.CLAIM_WAITS_FOR_OUTCOME: "an earlier outcome of the job is not written yet",
    Mark.LEASE_OVER_AT_START: "was over before the work began",
    Mark.WRITE_KEPT: "it is kept, and written when",
    Mark.LOCK_AWAY: "was skipped: its lock could not be had",
    Mark.LOCK_GONE_AT_END: "was no longer held when the work ended",
    Mark.LOCK_LEFT: "could not be released, and expires",
}
"""What the product logs itself."""

IN_ROWS: Final = {
    Mark.TOO_LATE: r"\(missed\) .* late, catch-up window ",
    Mark.FOLDED: r"\(missed\) folded into the run of ",
    Mark.CLOSED_NOT_REPEATED: r"\(error\) abandoned: .*; the job is not to be repeated",
    Mark.CLOSED_TOO_LATE: r"\(error\) abandoned: .* late, catch-up window ",
    Mark.CLOSED_FOLDED: r"\(error\) abandoned: .*; folded into the run of ",
}
"""Status and error of a row."""


def sightings(story: Story) -> set[Mark]:
    """Return all marks that a day has reached."""
    found = set(story.watch.marks.seen)
    text = "\n".join(story.result.log["message"])
    found |= {mark for mark, words in IN_THE_LOG.items() if words in text}
    rows = "\n".join(f"({row.status}) {row.error}" for row in story.rows())
    found |= {mark for mark, pattern in IN_ROWS.items() if re.search(pattern, rows)}
    for seen_in in (_takeovers, _stops, _work, _looks, _fires, _clocks):
        found.update(seen_in(story))
    return found


def _stopped(story: Story, node: str, moment: datetime) -> type[Freeze | Crash] | None:
    for each in story.day.incidents:
        is_on = each.at <= moment < (each.end or END)
        if each.node == node and not isinstance(each, ClockJump) and is_on:
            return type(each)
    return None


def _takeovers(story: Story) -> Iterator[Mark]:
    jobs = story.day.named_jobs()
    for took in story.took:
        if took.seen.status != "running":
            continue
        holder = took.seen.instance
        kind = _stopped(story, holder[0], took.at)
        if holder != process_of(story, holder[0], took.at) or kind is Crash:
            yield Mark.TAKEN_FROM_DEAD
        elif kind is Freeze:
            yield Mark.TAKEN_FROM_FROZEN
        elif any(work.hangs for work in story.witness.works if work.instance == holder):
            yield Mark.TAKEN_FROM_HUNG
        if not jobs[took.seen.source].every_hours:
            yield Mark.TAKEN_OF_JOB_THAT_IS_OVER


def _stops(story: Story) -> Iterator[Mark]:
    """Yield what a crash or a freeze came in the middle of."""
    watch, marks = story.watch, story.watch.marks
    for each in story.day.incidents:
        if isinstance(each, ClockJump):
            continue
        is_crash = isinstance(each, Crash)
        spans = [span for span in marks.renewals if span.node == each.node]
        if any(span.covers(each.at) for span in spans):
            yield Mark.RENEWAL_AT_CRASH if is_crash else Mark.RENEWAL_AT_FREEZE
        looks = [look for look in watch.looks if look.node == each.node]
        if any(look.covers(each.at) for look in looks):
            yield Mark.LOOK_CUT if is_crash else Mark.LOOK_FROZEN
        if not is_crash and any(
            node == each.node and 0 <= (at - each.end).total_seconds() < 1
            for node, at in marks.stops
            if each.end
        ):
            yield Mark.LEASE_OVER_AT_THAW
        if is_crash:
            claims = [span for span, _ in watch.claims if span.node == each.node]
            if any(span.covers(each.at) for span in claims):
                yield Mark.KILLED_IN_A_CLAIM
            kept = [span for span in marks.keeping.values() if span.node == each.node]
            if any(span.covers(each.at) for span in kept):
                yield Mark.KILLED_WITH_KEPT


def _crashes_soon(story: Story, node: str, since: datetime, within: timedelta) -> bool:
    return any(
        isinstance(each, Crash) and each.node == node and since <= each.at < since + within
        for each in story.day.incidents
    )


def _work(story: Story) -> Iterator[Mark]:
    works = {
        (work.claim.row_id, work.claim.attempt): work for work in story.witness.works if work.claim
    }
    for span, claim in story.watch.claims:
        key = claim and (claim.row_id, claim.attempt)
        is_lost = claim and key not in works and key not in story.watch.written
        if is_lost and _crashes_soon(story, span.node, span.end, LEASE):
            yield Mark.KILLED_AFTER_CLAIM
    for key, work in works.items():
        is_written = key in story.watch.written
        if work.end and not is_written and _crashes_soon(story, work.instance[0], work.end, LEASE):
            yield Mark.KILLED_AFTER_WORK
        if work.begin < work.occurrence.scheduled_at:
            yield Mark.EARLY
    yield from _locked_work(story)
    jobs = story.day.named_jobs()
    if any(row.status == "error" and jobs[row.source].hostile for row in story.rows()):
        yield Mark.ERROR_RAISES


def _locked_work(story: Story) -> Iterator[Mark]:
    jobs = story.day.named_jobs()
    emptied = [
        each.end for each in story.day.outages if (each.server, each.kind) == ("Redis", "emptied")
    ]
    for work in story.witness.works:
        has_lock = jobs[work.occurrence.job_id].guard != "once"
        if has_lock and any(_was_at_work(story, work, each) for each in emptied):
            yield Mark.LOCK_EMPTIED


def _was_at_work(story: Story, work: Work, moment: datetime) -> bool:
    is_up = work.instance == process_of(story, work.instance[0], moment)
    return is_up and work.begin < moment < (work.end or END)


def _looks(story: Story) -> Iterator[Mark]:
    looks = story.watch.looks
    if any(look.is_put_off for look in looks):
        yield Mark.LOOK_PUT_OFF
    lasting = [look for look in looks if look.end > look.start]
    if any(a.node != b.node and a.covers(b.start) for a, b in combinations(lasting, 2)):
        yield Mark.LOOKS_AT_ONCE
    alerted = {row.id for row in story.alerted}
    for row_id, (at, process) in story.watch.written_off.items():
        cut = [look for look in looks if look.process == process and look.covers(at)]
        if row_id not in alerted and any(look.end == END for look in cut):
            yield Mark.MISSED_AND_KILLED
    for look in looks:
        for at, occurrence in look.started:
            yield Mark.CAUGHT_UP
            due, job = occurrence.scheduled_at, story.day.named_jobs()[occurrence.job_id]
            if (at - due).total_seconds() > 60 * (job.window - 10):
                yield Mark.CAUGHT_UP_LATE
            nodes = [node.name for node in story.day.nodes()]
            if all(_stopped(story, node, due) for node in nodes):
                yield Mark.CAUGHT_UP_AFTER_ALL
            frozen = [node for node in nodes if _stopped(story, node, at) is Freeze]
            if any(_stopped(story, node, due) is Freeze for node in frozen):
                yield Mark.CAUGHT_UP_WHILE_FROZEN


def _fires(story: Story) -> Iterator[Mark]:
    nodes = [node.name for node in story.day.nodes()]
    for name, job in story.day.named_jobs().items():
        if job.guard == "lock":
            continue
        for fire in fire_times(job.trigger(), MIDNIGHT, END).to_pydatetime():
            up = [node for node in nodes if not _stopped(story, node, fire)]
            if not up:
                yield Mark.ALL_STOPPED
            elif story.watch.pauses and all(
                is_paused(story, process_of(story, node, fire), name, fire) for node in up
            ):
                yield Mark.PAUSED_EVERYWHERE


def _clocks(story: Story) -> Iterator[Mark]:
    for each in story.day.incidents:
        if isinstance(each, ClockJump) and not _stopped(story, each.node, each.at):
            before, after = sorted([_shown(story, each, 0), _shown(story, each, each.seconds)])
            for job in story.day.named_jobs().values():
                if len(fire_times(job.trigger(), before, after)):
                    is_back = each.seconds < 0
                    yield Mark.SET_BACK_OVER_FIRE if is_back else Mark.SET_FORWARD_OVER_FIRE


def _shown(story: Story, jump: ClockJump, seconds: float) -> datetime:
    """Return what the clock of a node shows just before it is set, and so many seconds on."""
    (offset,) = [node.clock_offset for node in story.day.nodes() if node.name == jump.node]
    earlier = [
        each.seconds
        for each in story.day.incidents
        if isinstance(each, ClockJump) and each.node == jump.node and each.at < jump.at
    ]
    return jump.at + timedelta(seconds=offset + sum(earlier) + seconds)
