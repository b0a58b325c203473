"""What gets done: nothing that went wrong elsewhere may cost a run, and no run may wait in vain.

A cluster that does nothing satisfies all that ``invariants`` asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.fire_times import fire_times
from kst_scheduler.simulation import ClockJump
from random_days.conditions import could_run, is_held_up, is_paused, is_stopped, process_of, skew
from random_days.faults import LATE, LIMIT
from random_days.plan import DRAIN, END, LEASE, LOOK_EVERY, MIDNIGHT
from random_days.watch import Lapse, Taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.ledger import LedgerRow
    from kst_scheduler.scheduler.occurrence import Occurrence
    from kst_scheduler.simulation import Node
    from random_days.plan import JobPlan, Outage
    from random_days.play import Story
    from random_days.watch import Work

Span = tuple[datetime, datetime]

BEFORE: Final = timedelta(seconds=15)
"""Beyond the differences of clocks that are almost right."""

AFTER: Final = timedelta(seconds=30)
MAX_SKEW: Final = 5.0
"""Seconds by which a clock may be off and still be almost right."""

DOUBTED: Final = timedelta(hours=4)
"""For so long after the ledger's clock was wrong nothing is asked: leases may be that long."""

WAIT: Final = timedelta(seconds=2 * LOOK_EVERY + 60)
"""Within so long a replica that is well has looked, and started what it found."""


BORNE: Final = {
    **dict.fromkeys(["away", "down", "read-only"], timedelta(seconds=25)),
    **dict.fromkeys(["deaf", "late"], timedelta(seconds=15)),
}
"""So long may the ledger be away, and it costs no run anything: ``once`` has a patience of 30 s.

Where it gives no answer, a try lasts ten seconds, and the third one has to come in time.
"""

UNANSWERED: Final = {"late": timedelta(seconds=LATE) + AFTER, "deaf": LEASE / 6}
"""How long after an outage a renewal may still wait for its answer, by the kind of outage."""

MAX_PAUSE: Final = timedelta(seconds=10)
"""After so long ``once`` has tried again, and has its answer."""

LATE_WORDS: Final = " late, catch-up window "


def without_progress(story: Story) -> Iterator[str]:
    """Yield what should have got done, and did not."""
    rows = story.rows()
    for name, job in story.day.named_jobs().items():
        if job.guard != "lock":
            own = {row.scheduled_at: row for row in rows if row.source == name}
            view = JobView(story, name, job, own)
            yield from view.untouched_ones()
            yield from view.excuses()
            yield from view.lapses()
            yield from view.unwritten()
            yield from view.stopped()


@dataclass(frozen=True)
class JobView:
    """The outcome of one job on a day."""

    story: Story
    name: str
    job: JobPlan
    rows: dict[datetime, LedgerRow]

    def untouched_ones(self) -> Iterator[str]:
        """Yield what no fault touched, and did not run at its time and to its end, once."""
        for fire in fire_times(self.job.trigger(), MIDNIGHT, END).to_pydatetime():
            span = fire - BEFORE, fire + timedelta(seconds=self.job.seconds) + AFTER
            if self.is_untouched(fire, span):
                self.story.judged.append((self.name, fire))
                yield from self._without_an_end(fire)

    def is_untouched(self, fire: datetime, span: Span) -> bool:
        """Tell whether nothing went wrong between a fire and the end of its run."""
        start, end = span
        if start < MIDNIGHT or end > END or self.job.blocks or not self._clocks_are_right(end):
            return False
        outages = self.story.day.outages
        if any(_touches(self.job, each, span) for each in outages if not self._is_tolerated(each)):
            return False
        if self._another_works(fire, span):
            return False
        nodes = [node.name for node in self.story.day.nodes()]
        states = [self._state(node, span) for node in nodes]
        return "disturbed" not in states and "well" in states

    def _is_tolerated(self, outage: Outage) -> bool:
        """Tell whether an outage is over before anybody loses patience, and so costs nothing."""
        if outage.server != "ledger" or outage.kind not in BORNE:
            return False
        others = (each for each in self.story.day.outages if each is not outage)
        is_alone = not any(_touches(self.job, each, (outage.start, outage.end)) for each in others)
        return outage.end - outage.start <= BORNE[outage.kind] and is_alone

    def _clocks_are_right(self, until: datetime) -> bool:
        day = self.story.day
        if any(abs(offset) > MAX_SKEW for offset in day.offsets):
            return False
        if any(isinstance(each, ClockJump) and each.at <= until for each in day.incidents):
            return False
        return not any(
            each.start <= until and until - each.end < DOUBTED for each in day.wrong_clocks
        )

    def _another_works(self, fire: datetime, span: Span) -> bool:
        """Tell whether another run of the job is in progress, or a row says that one may be."""
        start, end = span
        works = [work for work in self._works() if work.occurrence.scheduled_at != fire]
        if any(work.begin <= end and (work.end or END) >= start for work in works):
            return True
        return any(
            row.attempt and (row.finished_at or END) >= start
            for at, row in self.rows.items()
            if at < fire
        )

    def _works(self) -> list[Work]:
        works = self.story.witness.works
        return [work for work in works if work.occurrence.job_id == self.name]

    def _state(self, node: str, span: Span) -> str:
        """Tell whether a node is well for all of a span, absent for all of it, or disturbed."""
        start, end = span
        incidents = [each for each in self.story.day.incidents if each.node == node]
        edges = [edge for each in incidents for edge in (each.at, each.end or END)]
        edges += [edge for each in self.story.day.pauses for edge in (each.start, each.end)]
        process = process_of(self.story, node, end)
        for work in self.story.witness.works:
            if work.instance == process and (self._plan(work).blocks or work.hangs):
                edges += [work.begin, work.begin + timedelta(seconds=self._plan(work).seconds)]
        if any(start - BEFORE <= edge <= end + BEFORE for edge in edges):
            return "disturbed"
        return "well" if could_run(self.story, node, self.name, start) else "absent"

    def _plan(self, work: Work) -> JobPlan:
        return self.story.day.named_jobs()[work.occurrence.job_id]

    def _without_an_end(self, fire: datetime) -> Iterator[str]:
        row = self.rows.get(fire)
        what = f"{self.name}@{fire:%H:%M}, which no fault touched,"
        if row is None:
            yield f"{what} has no row"
            return
        works = [work for work in self._works() if work.occurrence.scheduled_at == fire]
        if len(works) != 1:
            yield f"{what} ran {len(works)} times: {row.status}, {row.error}"
            return
        (work,) = works
        wanted = "error" if work.failed else "ok"
        if (row.status, row.attempt, row.lost) != (wanted, 1, 0):
            yield f"{what} is {row.status} in attempt {row.attempt}, and not {wanted}: {row.error}"
        late = work.begin - fire
        if abs(late) > timedelta(seconds=MAX_SKEW) and not self._waited(fire, work.begin):
            yield f"{what} began {late} late"
        took = (work.end or END) - work.begin
        if not 0 <= took.total_seconds() - self.job.seconds < 1:
            yield f"{what} took {took}, and not {self.job.seconds} s"

    def _waited(self, fire: datetime, begin: datetime) -> bool:
        """Tell whether a run began late as the ledger was away at its time, for a moment."""
        return any(
            each.start - BEFORE <= fire and begin <= each.end + MAX_PAUSE
            for each in self.story.day.outages
            if self._is_tolerated(each)
        )

    def lapses(self) -> Iterator[str]:
        """Yield the runs that lost their lease, and were left though a node could have run them."""
        lapses = [each for each in self.story.watch.lapses if each.occurrence.job_id == self.name]
        ended = {each.occurrence.key for each in lapses}
        lapses += [
            Lapse(row.occurrence, row.lease_until, END)
            for row in self.rows.values()
            if row.status == "running" and row.lease_until and row.occurrence.key not in ended
        ]
        for lapse in lapses:
            chance = self._well_in(lapse.occurrence.scheduled_at, lapse.start, lapse.end)
            if chance:
                node, at = chance
                what = f"{lapse.occurrence} lost its lease at {lapse.start:%H:%M:%S}, and was left"
                yield f"{what} until {lapse.end:%H:%M:%S}: {node} was well to {at:%H:%M}"

    def unwritten(self) -> Iterator[str]:
        """Yield the runs that did their work in a process that lived, and whose rows do not say so.

        What the ledger could not take is written when it is back, if the lease still holds then.
        """
        for work in self._works():
            row = self.rows.get(work.occurrence.scheduled_at)
            if not work.end or not work.claim or not row or self.job.blocks:
                continue
            back = self._back_after(work.end)
            if self._could_write(work, back):
                wanted = "error" if work.failed else "ok"
                what = f"{work.occurrence} did its work by {work.end:%H:%M:%S}"
                written = self.story.watch.rows_held[row.id].ended
                if (row.status, row.attempt) != (wanted, work.claim.attempt):
                    yield f"{what}, and is {row.status} in attempt {row.attempt}: {row.error}"
                elif written and written > back:
                    yield f"{what}, and that was written at {written:%H:%M:%S}, not by {back}"

    def stopped(self) -> Iterator[str]:
        """Yield the runs that were stopped though nothing kept their lease from being renewed.

        An outage of half a lease does no harm, and one in which the ledger answers that it is down
        does none, however long it lasts.
        """
        for work in self._works():
            if work.cut and work.claim and not self._may_be_stopped(work, work.cut):
                yield f"{work.occurrence} on {work.instance} was stopped at {work.cut:%H:%M:%S}"

    def _may_be_stopped(self, work: Work, cut: datetime) -> bool:
        story = self.story
        if story.day.clock_was_wrong(cut, DOUBTED) or work.instance in story.watch.drained:
            return True
        if not self._is_undisturbed(work, cut):
            return True
        taken = (
            story.watch.taken.get((work.claim.row_id, work.claim.attempt)) if work.claim else None
        )
        if taken and taken.at <= cut and not self._had_noticed(taken, work.occurrence):
            return True
        if self._fell_silent(cut):
            return True
        away = timedelta(0)
        for each in story.day.outages:
            start, end = max(each.start, cut - LEASE), min(each.end, cut)
            if each.server == "Redis" and "lock" in self.job.guard:
                if start - LEASE <= cut and work.begin <= end + LEASE:
                    return True
            elif each.server == "ledger" and each.kind not in {"down", "slow"}:
                away += max(timedelta(0), end + UNANSWERED.get(each.kind, AFTER) - start)
        return away >= LEASE / 2

    def _fell_silent(self, cut: datetime) -> bool:
        """Tell whether the ledger was down, and then silent: that is no answer that it is down.

        A run that goes on beyond its lease is stopped a fifth of the lease after the last one.
        """
        recent = [
            each
            for each in self.story.day.outages
            if each.server == "ledger" and each.start < cut and each.end > cut - LEASE
        ]
        was_down = any(each.kind == "down" for each in recent)
        return was_down and any(each.kind not in {"down", "slow"} for each in recent)

    def _had_noticed(self, taken: Taken, occurrence: Occurrence) -> bool:
        """Tell whether what took a row had noticed an outage, and had to leave the row alone.

        What begins after an outage cannot know of it, and takes what it finds.
        """
        looks = [
            each
            for each in self.story.watch.looks
            if each.process == taken.process and each.start <= taken.at
        ]
        started = looks and any(each == occurrence for _, each in looks[-1].started)
        if taken.asked_at is None or started:
            return len(looks) > 1 and looks[-2].is_put_off
        asked_at = taken.asked_at + timedelta(seconds=2 * MAX_SKEW)
        return any(
            each.server == "ledger" and asked_at < each.end < taken.at
            for each in self.story.day.outages
        )

    def _is_undisturbed(self, work: Work, until: datetime) -> bool:
        """Tell whether nothing stopped or blocked a process from the begin of a run on."""
        edges = [
            edge
            for each in self.story.day.incidents
            for edge in (each.at, each.end or END)
            if each.node == work.instance[0] and not isinstance(each, ClockJump)
        ]
        blocked = any(
            self._plan(each).blocks or each.hangs
            for each in self.story.witness.works
            if each.instance == work.instance
        )
        return not blocked and not any(
            work.begin - BEFORE - DRAIN <= edge <= until + BEFORE + DRAIN for edge in edges
        )

    def _back_after(self, moment: datetime) -> datetime:
        """Return when the ledger can have been written to, from a moment on."""
        for each in sorted(self.story.day.outages, key=lambda each: each.start):
            if each.server == "ledger" and each.start - AFTER <= moment:
                moment = max(moment, each.end + AFTER)
        return moment + AFTER

    def _could_write(self, work: Work, back: datetime) -> bool:
        assert work.claim is not None
        assert work.end is not None
        day, until = self.story.day, self.story.watch.held_until(work.claim)
        if back >= min(until, END) or day.clock_was_wrong(back, DOUBTED):
            return False
        if "lock" in self.job.guard and any(
            each.server == "Redis" and each.start <= work.end and work.begin <= each.end + LEASE
            for each in day.outages
        ):
            return False
        return self._is_undisturbed(work, back)

    def excuses(self) -> Iterator[str]:
        """Yield what was written off for a reason that is not true, or waited in vain."""
        for fire in fire_times(self.job.trigger(), MIDNIGHT, END).to_pydatetime():
            row = self.rows.get(fire)
            is_late = row is None or (row.status == "missed" and LATE_WORDS in (row.error or ""))
            chance = self._chance(fire) if is_late and not self._fell_in_a_pause(fire) else None
            # The history of a job begins at its first look; by a clock that is ahead, before.
            since = self.story.watch.first_looks.get(self.name, END)
            if chance and fire > max(since, MIDNIGHT + BEFORE):
                node, at = chance
                became = "has no row" if row is None else f"was missed: {row.error};"
                yield f"{self.name}@{fire:%H:%M} {became} {node} was well up to {at:%H:%M}"
            if row is not None and row.status == "missed":
                yield from self._excuse(fire, row)

    def _fell_in_a_pause(self, fire: datetime) -> bool:
        """Tell whether what was due leaves no row: no node could run it, and one was paused."""
        nodes = [node.name for node in self.story.day.nodes()]
        processes = [process_of(self.story, node, fire) for node in nodes]
        return (
            fire not in self.rows
            and any(is_paused(self.story, each, self.name, fire) for each in processes)
            and not any(could_run(self.story, node, self.name, fire) for node in nodes)
        )

    def _excuse(self, fire: datetime, row: LedgerRow) -> Iterator[str]:
        at, process = self.story.watch.written_off[row.id]
        what = f"{self.name}@{fire:%H:%M} was missed at {at:%H:%M:%S}: {row.error};"
        folded = re.fullmatch(r"folded into the run of (.+) KST", row.error or "")
        late = (row.error or "").partition(LATE_WORDS)
        if folded:
            other = datetime.fromisoformat(folded[1]).replace(tzinfo=MIDNIGHT.tzinfo)
            into = self.rows.get(other)
            is_missed = into is not None and into.status == "missed"
            if other <= fire or (is_missed and not self._could_not_claim(process, at)):
                yield f"{what} that one is {into and into.status}: {into and into.error}"
        elif late[1]:
            window = timedelta(minutes=self.job.window)
            is_true = late[2] == str(window) and at - fire > window - timedelta(seconds=MAX_SKEW)
            if not is_true and not self.story.day.clock_was_wrong(at, DOUBTED):
                yield f"{what} it was not"
        else:
            yield f"{what} no reason that is known"

    def _could_not_claim(self, process: str, at: datetime) -> bool:
        """Tell whether a run that was started at a moment may not have come to its claim.

        It claims when its process goes on: not where that is killed, frozen or blocked just then,
        nor where the ledger is away. What was folded into the run has its row by then.
        """
        span = at, at + AFTER
        return (
            any(is_stopped(self.story, process[0], each) for each in span)
            or any(is_held_up(self.story, process, each) for each in span)
            or any(_touches(self.job, each, span) for each in self.story.day.outages)
        )

    def _chance(self, fire: datetime) -> tuple[str, datetime] | None:
        """Return a node that was well for so long in the window that it had to run it."""
        return self._well_in(fire, fire, fire + timedelta(minutes=self.job.window))

    def _well_in(
        self, fire: datetime, start: datetime, end: datetime
    ) -> tuple[str, datetime] | None:
        """Return a node that was well for so long in a span that it had to see to a row."""
        minutes = int((min(end, END) - start) / timedelta(minutes=1))
        moments = [start + timedelta(minutes=number) for number in range(minutes + 1)]
        possible = [at for at in moments if self._is_possible(fire, at)]
        for node in self.story.day.nodes():
            well: list[datetime] = []
            for at in possible:
                if well and at - well[-1] > timedelta(minutes=1):
                    well = []
                well = [*well, at] if self._is_well(node, at) else []
                if well and at - well[0] >= WAIT:
                    return node.name, at
        return None

    def _is_possible(self, fire: datetime, at: datetime) -> bool:
        """Tell whether any replica could have run what was due, by the state of the servers."""
        span = at - BEFORE, at + BEFORE
        if any(_touches(self.job, each, span) for each in self.story.day.outages):
            return False
        if self.story.day.clock_was_wrong(at, DOUBTED):
            return False
        works = [work for work in self._works() if work.occurrence.scheduled_at != fire]
        if any(work.begin - BEFORE <= at <= (work.end or END) + BEFORE for work in works):
            return False
        # What has lost its process holds the job until its lease is over, and a look closes it.
        return not any(
            row.claimed_at - BEFORE <= at <= (row.finished_at or END) + BEFORE
            for when, row in self.rows.items()
            if when != fire and row.attempt and row.claimed_at
        )

    def _is_well(self, node: Node, at: datetime) -> bool:
        is_right = abs(skew(self.story, node.name, at)) <= MAX_SKEW
        return is_right and could_run(self.story, node.name, self.name, at)


def _touches(job: JobPlan, outage: Outage, span: Span) -> bool:
    """Tell whether an outage of a server costs a run anything."""
    if outage.server == "Redis" and job.guard == "once":
        return False
    margin = timedelta(seconds=LATE + LIMIT) + AFTER if outage.kind == "late" else AFTER
    start, end = span
    if outage.kind == "emptied":
        margin = LEASE
    if outage.server == "Redis":
        margin = max(margin, LEASE)  # a lock that could not be given back
    return outage.start <= end and start <= outage.end + margin
