"""Two accounts of a day that know nothing of each other: of the claims, and of the work."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter, defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kst_scheduler.errors import AttemptsUsedUpError, LockedOutError
from kst_scheduler.ledger.clock_watch import TRUSTED_AFTER
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.simulation import current_node
from random_days.marks import IS_ASKED_AGAIN, IS_KEPT, Mark, Marks, Span
from random_days.plan import END, LEASE, LOOK_EVERY, true_time

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    Run = Callable[[], Coroutine[Any, Any, object]]

    from kst_scheduler.ledger import Claim, ClaimRequest, LedgerRow, Outcome
    from random_days.plan import Day, Outage

NOTHING: Final = timedelta(milliseconds=2)
"""As near as two readings of one moment are, the ledger's clock being read in milliseconds."""

LAST_WORD: Final = LEASE * (1 / 30 + 1 / 5)
"""How long a run goes on after the ledger last answered that it was down, if it then is silent."""


class Asked(NamedTuple):
    """A claim in flight."""

    request: ClaimRequest
    at: datetime


ASKED: Final[ContextVar[Asked | None]] = ContextVar("asked", default=None)
"""The claim that the task which asks is at."""


@dataclass
class Held:
    """What is known of one row: who claimed it last, and until when that holds."""

    claim: Claim
    until: datetime
    """As its holder counts, from when it asked."""
    free_at: datetime
    """From when on another may have it, as the ledger counts, from when it did as it was asked."""
    end: str = ""
    """How it ended; empty while it runs."""
    ended: datetime | None = None
    """When that was written."""


@dataclass
class Move:
    """The mark of a job was moved on, as a look of a replica had seen to what was due before."""

    process: str
    before: datetime | None
    after: datetime


@dataclass
class Took:
    """A claim had a row, and what was in the row before."""

    at: datetime
    request: ClaimRequest
    seen: LedgerRow


class Missed(NamedTuple):
    """An occurrence was written as missed."""

    occurrence: Occurrence
    at: datetime
    process: str


@dataclass
class Looked(Span):
    """A look of a process, and what it started."""

    process: str = ""
    is_put_off: bool = False
    started: list[tuple[datetime, Occurrence]] = field(default_factory=list)


@dataclass
class Taken:
    """A row was closed, or claimed, whose lease was over."""

    at: datetime
    process: str
    asked_at: datetime | None
    """When the claim was asked for first, by its client's clock; None: it was a look."""


@dataclass
class Lapse:
    """A lease was over, and for how long nobody saw to its row."""

    occurrence: Occurrence
    start: datetime
    end: datetime


@dataclass
class Paused:
    """A job was paused in a process, which may have died meanwhile."""

    process: str
    job: str
    start: datetime
    end: datetime = END


class Watch:
    """Stands before a ledger, and keeps its own account of who holds what until when."""

    def __init__(self, ledger: Any, day: Day) -> None:
        self.ledger = ledger
        self.day = day
        self.untimely: set[int] = set()
        """The rows that a process wrote, or ran though they were missed, that could not know of a
        wrong clock."""
        self.misled: dict[str, datetime] = {}
        """Until when each process that was started by a wrong clock may act on it: until it has
        read the right one, and that has stood for a while."""
        self.first_readings: dict[str, datetime] = {}
        """When the latest process of each node has read the ledger's clock first."""
        self.faults: list[str] = []
        self.rows_held: dict[int, Held] = {}
        self.held_by: dict[tuple[str, str], Claim] = {}
        self.first_looks: dict[str, datetime] = {}
        self.moves: dict[str, list[Move]] = defaultdict(list)
        """Of the mark of each job, in order."""
        self.pauses: list[Paused] = []
        self.boots: Counter[str] = Counter()
        """How many processes each node has had."""
        self.drained: dict[str, datetime] = {}
        """When each process began to drain."""
        self.lapses: list[Lapse] = []
        self.taken: dict[tuple[int, int], Taken] = {}
        """How each row was taken from its holder, by its id and the number of the attempt."""
        self._former: dict[tuple[int, int], datetime] = {}
        """Until when the attempts held their row that others have taken over."""
        self.written_off: dict[int, tuple[datetime, str]] = {}
        """When each row was written as missed, or closed, and by which process."""
        self.missed: list[Missed] = []
        self.marks = Marks()
        self._noted: set[Claim] = set()
        self.claims: list[tuple[Span, Claim | None]] = []
        """Each claim from its request to its answer, and what was had."""
        self.written: set[tuple[int, int]] = set()
        """The rows and attempts whose end is written."""
        self.looks: list[Looked] = []
        ledger._rows.on_close = self._note_closed
        ledger._rows.on_claim = self._note_claim

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    async def claim(self, request: ClaimRequest) -> Claim:
        """Note who holds the row, and whether it was free."""
        span, index = Span(current_node(), true_time()), len(self.claims)
        self.claims.append((span, None))
        token = ASKED.set(Asked(request, span.start))
        try:
            claim: Claim = await self.ledger.claim(request)
            if claim not in self._noted:  # its rows are not asked by every ledger
                self._note_claim(claim)
        except AttemptsUsedUpError:
            self.marks.add(Mark.CLAIM_USES_UP)
            raise
        except LockedOutError as error:
            self._note_refusal(request, str(error))
            self._must_not_have(request)
            raise
        finally:
            if asyncio._get_running_loop() is not None:  # not where it is torn down
                span.end = true_time()
                ASKED.reset(token)
        self.claims[index] = span, claim
        self.held_by[request.occurrence.key, request.instance] = claim
        return claim

    def _note_claim(self, claim: Claim) -> None:
        """Note who holds a row from now on, also if the answer is lost on its way."""
        asked, held = ASKED.get(), self.rows_held.get(claim.row_id)
        assert asked is not None
        self._noted.add(claim)
        if held and held.claim.request is not asked.request:
            self._must_be_free(held, claim)
            self._note_lapse(held)
            self._note_taken(held)
            self._former[claim.row_id, held.claim.attempt] = held.until
        if claim.row_id in self.written_off and self._has_known_the_clock_too_short():
            self.untimely.add(claim.row_id)
        self._may_be_tried(claim)
        self.rows_held[claim.row_id] = Held(claim, asked.at + LEASE, true_time() + LEASE)

    def _note_refusal(self, request: ClaimRequest, reason: str) -> None:
        if "must not run it again" in reason:
            self.marks.add(Mark.CLAIM_NOT_REPEATED)
        if f"was claimed by {request.instance}: " in reason:
            self.marks.add(Mark.CLAIM_TWICE)

    def _must_not_have(self, request: ClaimRequest) -> None:
        """A claim that is asked again, as its answer was lost, is the same claim."""
        if any(each.claim.request is request and not each.end for each in self.rows_held.values()):
            self.faults.append(f"{request.occurrence} was refused to the claim that has it")

    def _must_be_free(self, held: Held, claim: Claim) -> None:
        what = claim.request.occurrence
        if held.end not in {"", "skipped"}:
            self.faults.append(f"{what} was claimed again after it had ended: {held.end}")
        elif not held.end and true_time() < held.until and not self.leases_are_wrong():
            self.faults.append(f"{what} was taken over before its lease was over")
        if claim.attempt <= held.claim.attempt:
            self.faults.append(f"{what} was claimed twice as attempt {claim.attempt}")

    async def renew(self, claim: Claim) -> bool:
        """Note until when the lease holds, as far as the holder is told."""
        asked_at = true_time()
        is_held: bool = await self.ledger.renew(claim)
        held = self.rows_held[claim.row_id]
        if is_held and (held.claim.attempt != claim.attempt or held.end):
            self.faults.append(f"{claim.request.occurrence} was renewed by a holder that lost it")
        elif is_held:
            held.until = max(held.until, asked_at + LEASE)
            held.free_at = max(held.free_at, true_time() + LEASE)
        return is_held

    def held_until(self, claim: Claim) -> datetime:
        """Return until when a claim holds, or held, its row."""
        held = self.rows_held[claim.row_id]
        is_last = held.claim.attempt == claim.attempt
        return held.until if is_last else self._former[claim.row_id, claim.attempt]

    def _note_taken(self, held: Held) -> None:
        asked, what = ASKED.get(), held.claim.request.occurrence
        if not held.end and self._has_noticed_an_outage():
            self.faults.append(f"{what} was taken by one that had noticed an outage just before")
        taken = Taken(true_time(), self.process(), asked and asked.request.claimed_at)
        self.taken[held.claim.row_id, held.claim.attempt] = taken

    def _has_noticed_an_outage(self) -> bool:
        """Tell whether the ledger was away for the last look, or an earlier try of the claim."""
        if ASKED.get() is not None:
            return IS_ASKED_AGAIN.get()
        looks = [each for each in self.looks if each.process == self.process()]
        return len(looks) > 1 and looks[-2].is_put_off

    def _note_lapse(self, held: Held) -> None:
        what, now = held.claim.request.occurrence, true_time()
        if not held.end and now > held.free_at:
            self.lapses.append(Lapse(what, held.free_at, now))

    def _may_be_tried(self, claim: Claim) -> None:
        what, row = claim.request.occurrence, self.ledger._rows.get(claim.row_id)
        most = self.day.named_jobs()[what.job_id].max_attempts
        if row.lost >= most:
            self.faults.append(f"{what} was claimed after {row.lost} attempts had lost their lease")

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Note the end, and whether it was the last holder's to write."""
        written: bool = await self.ledger.finish(claim, outcome)
        held = self.rows_held[claim.row_id]
        self._note_end(claim, held, is_written=written)
        if written and claim.attempt != held.claim.attempt:
            self.faults.append(f"{claim.request.occurrence} was written by a holder that lost it")
        if written:
            self._note_lapse(held)
            held.end, held.ended = outcome.status, held.ended or true_time()
        return written

    def _note_end(self, claim: Claim, held: Held, *, is_written: bool) -> None:
        if not is_written and IS_KEPT.get():
            self.marks.add(Mark.KEPT_REFUSED)
        elif not is_written:
            is_taken = claim.attempt != held.claim.attempt
            self.marks.add(Mark.WRITE_REFUSED if is_taken else Mark.WRITE_REFUSED_CLOSED)
        elif (claim.row_id, claim.attempt) in self.written:
            self.marks.add(Mark.KEPT_TWICE if IS_KEPT.get() else Mark.WRITE_TWICE)
        else:
            self.written.add((claim.row_id, claim.attempt))
            if IS_KEPT.get():
                self.marks.add(Mark.KEPT_WRITTEN)
            elif IS_ASKED_AGAIN.get():
                self.marks.add(Mark.WRITE_ASKED_AGAIN)

    async def abandoned(self) -> list[LedgerRow]:
        """Note what is found, and left alone."""
        rows: list[LedgerRow] = await self.ledger.abandoned()
        if any(row.scheduled_at > datetime.now(UTC) for row in rows):  # as its host shows it
            self.marks.add(Mark.LOST_OF_FUTURE)
        if rows:
            process = self.process()
            earlier = [look for look in self.looks if look.process == process]
            if len(earlier) > 1 and earlier[-2].is_put_off:
                self.marks.add(Mark.LOST_LEFT_AFTER_OUTAGE)
        return rows

    def closed_by_claims(self) -> list[LedgerRow]:
        """Note that a look tells of what a claim has closed."""
        rows: list[LedgerRow] = self.ledger.closed_by_claims()
        if rows:
            self.marks.add(Mark.CLOSED_BY_CLAIM_TOLD)
        return rows

    async def record_missed(
        self, occurrence: Occurrence, reason: str, instance: str
    ) -> LedgerRow | None:
        """Note the row, and whether the occurrence was due."""
        row: LedgerRow | None = await self.ledger.record_missed(occurrence, reason, instance)
        if row is None:
            self.marks.add(Mark.LOOKS_RACE)
        else:
            self.written_off[row.id] = true_time(), self.process()
            self.missed.append(Missed(occurrence, *self.written_off[row.id]))
            if self._cannot_know():
                self.untimely.add(row.id)
            elif occurrence.scheduled_at > true_time():
                self.faults.append(f"{occurrence} was written as missed before it was due")
        return row

    def _note_closed(self, row: LedgerRow) -> None:
        if (asked := ASKED.get()) is None:
            if "max_attempts=" in (row.error or ""):
                self.marks.add(Mark.CLOSED_USED_UP)
        elif asked.request.occurrence.key != row.occurrence.key:
            self.marks.add(Mark.CLAIM_CLOSES_OTHER)
        self.written_off[row.id] = true_time(), self.process()
        held = self.rows_held[row.id]
        if held.end:
            self.faults.append(f"{row.occurrence} was closed after it had ended: {held.end}")
        elif true_time() < held.until and not self.leases_are_wrong():
            self.faults.append(f"{row.occurrence} was closed before its lease was over")
        self._note_lapse(held)
        self._note_taken(held)
        held.end = row.status

    async def now(self) -> datetime:
        """Note since when a process knows the ledger's clock."""
        moment: datetime = await self.ledger.now()
        if not any(
            each.server == "ledger" and each.loses_answers(current_node(), true_time())
            for each in self.day.outages
        ):
            self._note_reading(true_time())
        return moment

    def _note_reading(self, now: datetime) -> None:
        process = self.process()
        is_wrong = any(each.start <= now < each.end for each in self.day.wrong_clocks)
        if self.first_readings.setdefault(current_node(), now) == now and is_wrong:
            self.misled[process] = END
        elif process in self.misled and not is_wrong:
            self.misled[process] = min(self.misled[process], now + 2 * TRUSTED_AFTER)

    def _cannot_know(self) -> bool:
        """Tell whether the ledger's clock is wrong, and this process knows it only as it is."""
        first = self.first_readings.get(current_node(), END)
        now = true_time()
        return any(each.start <= min(first, now) < each.end for each in self.day.wrong_clocks)

    def _has_known_the_clock_too_short(self) -> bool:
        """Tell whether the ledger's clock is wrong, and this process trusts it as it is.

        It has to know a clock for 15 minutes, from look to look, to say later that it was set.
        """
        first = self.first_readings.get(current_node(), END)
        known = timedelta(seconds=LOOK_EVERY) + TRUSTED_AFTER
        return any(
            each.start - known < first and each.start <= true_time() < each.end
            for each in self.day.wrong_clocks
        )

    def leases_are_wrong(self) -> bool:
        """Tell whether the ledger's clock was wrong since the leases of now were renewed."""
        return self.day.clock_was_wrong(true_time(), LEASE)

    async def advance_watermark(self, source: str, until: datetime) -> None:
        """Note where the history of a job begins."""
        if source.startswith("paused "):
            self.marks.add(Mark.PAUSE_NOTED)
        self.first_looks.setdefault(source, until)
        before = await self.ledger.watermark(source)
        await self.ledger.advance_watermark(source, until)
        if before and (await self.ledger.watermark(source)) < before:
            self.faults.append(f"the mark of {source} moved back from {before} to {until}")
        if before is None or until > before:
            self.moves[source].append(Move(self.process(), before, until))

    async def reset_watermark(self, source: str, seen: datetime, until: datetime) -> None:
        """Note that the mark of a job is set back."""
        if not source.startswith("paused "):
            self.marks.add(Mark.MARK_SET_BACK)
        await self.ledger.reset_watermark(source, seen, until)

    def process(self) -> str:
        """Return the name of the process that calls."""
        node = current_node()
        return f"{node}{self.boots[node]}"

    def note_pause(self, job: str) -> None:
        """Note that a job is paused in this process from now on."""
        self.pauses.append(Paused(self.process(), job, true_time()))

    def note_resume(self, job: str) -> None:
        """Note that a job is not paused in this process any more."""
        for each in self.pauses:
            if (each.process, each.job) == (self.process(), job):
                each.end = min(each.end, true_time())


@dataclass
class Work:
    """What one run of a job has done."""

    occurrence: Occurrence
    instance: str
    begin: datetime
    claim: Claim | None
    end: datetime | None = None
    hangs: bool = False
    """Whether it has hung its process for good."""
    failed: bool = False
    """Whether it has raised, its work being done."""
    reported: str = ""
    """What the scheduler was told: ok, or the name of an error; empty: nothing."""
    cut: datetime | None = None
    """When it was stopped."""
    strayed: bool = False
    """Whether it has done the one step that nothing could stop."""


CURRENT: Final[ContextVar[Work | None]] = ContextVar("random_days.work", default=None)
"""What the task that asks does."""


@dataclass
class Witness:
    """Sees the work itself, as it is done, in true time."""

    watch: Watch
    emptied: list[datetime]
    """When the server of the locks forgot them."""
    down: list[Outage]
    """When the ledger answered that it was down, in order."""
    loops_block: bool
    """Whether there are jobs that block their event loop."""
    works: list[Work] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _newest: dict[str, Work] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def begin(self, instance: str, *, is_once: bool) -> Work:
        """Note that a run begins, and whether its claim is the last one."""
        occurrence = current_occurrence()
        claim = self.watch.held_by.get((occurrence.key, instance)) if is_once else None
        work = Work(occurrence, instance, true_time(), claim)
        if is_once and claim is None:
            self.faults.append(f"{occurrence} began without a claim")
        self.works.append(work)
        CURRENT.set(work)
        self._newest[occurrence.job_id] = work
        self._counts[occurrence.job_id] += 1
        return work

    def step(self, work: Work) -> None:
        """Note a step, and whether the run is still the one to do it."""
        fault = self._fault(work)
        if fault and self.loops_block and not work.strayed:
            # What was ready to go on when its loop was blocked goes on, up to its next await.
            work.strayed = True
        elif fault:
            self.faults.append(fault)

    def _fault(self, work: Work) -> str | None:
        now, newest = true_time(), self._newest[work.occurrence.job_id]
        if self.watch.leases_are_wrong():
            return None
        if work.claim and now > self._held_until(work.claim):
            return f"{work.occurrence} on {work.instance} went on after its lease"
        if (
            newest is not work
            and not self._was_emptied(work, now)
            and not self._outlived(work, now)
        ):
            other = f"{newest.occurrence} on {newest.instance}"
            return f"{work.occurrence} on {work.instance} overlapped with {other}"
        return None

    def _outlived(self, work: Work, now: datetime) -> bool:
        """Tell whether a run goes on beyond its lease, as the ledger was down.

        Its first renewal after that decides, and a claim that has not noticed the outage may come
        before it, within a thirtieth of the lease (kst_scheduler.once.takeover).
        """
        if work.claim is None:
            return False
        return self.watch.held_until(work.claim) < now <= self._held_until(work.claim)

    def _held_until(self, claim: Claim) -> datetime:
        """Return when a run must have stopped: nobody can claim while the ledger is down."""
        until = self.watch.held_until(claim)
        for each in self.down:
            if each.start <= until:
                until = max(until, each.end + LAST_WORD)
        return until

    @contextlib.contextmanager
    def noting_cut(self, work: Work) -> Iterator[None]:
        """Note that the work is stopped in the block."""
        try:
            yield
        except asyncio.CancelledError:
            work.cut = true_time()
            raise

    def cut_late(self, work: Work) -> datetime | None:
        """Return when a run that was cut had lost its lease, if that was before."""
        if not work.cut or not work.claim or self.watch.day.clock_was_wrong(work.cut, LEASE):
            return None
        until = self._held_until(work.claim)
        return until if work.cut > until + NOTHING else None

    def noting_ends(self, run: Run) -> Run:
        """Return a guarded job that notes what the scheduler is told of each of its runs."""

        @functools.wraps(run)
        async def noted() -> object:
            CURRENT.set(None)
            try:
                result = await run()
            except (Exception, asyncio.CancelledError) as error:  # not where it is torn down
                self._report(type(error).__name__)
                raise
            self._report("ok")
            return result

        return noted

    def _report(self, reported: str) -> None:
        work = CURRENT.get()
        if work:
            work.reported = reported

    def end(self, work: Work, *, blocked: bool) -> None:
        """Note that the work is done; nothing could stop a run that blocked its event loop."""
        if not blocked:
            self.step(work)
        work.end = true_time()

    def fails(self, work: Work) -> bool:
        """Tell whether this run is one of those that fail: every second one."""
        return self._counts[work.occurrence.job_id] % 2 == 0

    def done(self) -> dict[str, list[Work]]:
        """Return the runs that did all of their work, by the key of their occurrence."""
        found = defaultdict(list)
        for work in self.works:
            if work.end:
                found[work.occurrence.key].append(work)
        return found

    def _was_emptied(self, work: Work, now: datetime) -> bool:
        return work.claim is None and any(work.begin < each <= now for each in self.emptied)
