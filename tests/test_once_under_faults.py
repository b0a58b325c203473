"""Random nights: replicas, incidents, outages of the ledger and jobs, and what must hold always.

The tests at the end take out one safeguard each, and see that the same check notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kst_scheduler.errors import LockedOutError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.ledger import Claim
from kst_scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.once import once
from kst_scheduler.reconcile import Reconciler
from kst_scheduler.simulation import (
    ClockJump,
    Crash,
    Freeze,
    Incident,
    Node,
    current_node,
    simulate,
)
from kst_scheduler.triggers import cron
from replicas import NIGHT, Night, SwitchedLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from kst_scheduler.ledger import ClaimRequest, LedgerRow, Outcome
    from kst_scheduler.scheduler import KSTScheduler

# The package has a function of that name, too.
once_module = importlib.import_module("kst_scheduler.once")

LEASE = timedelta(seconds=60)
START = NIGHT + timedelta(minutes=2)
TROUBLED, END = 120, 210
"""Minutes: incidents begin in the first so many, and are over long before the end."""


@dataclass(frozen=True)
class Plan:
    """One random night."""

    every: int
    """Minutes between two occurrences."""
    seconds: int
    """How long a run takes."""
    blocks: bool
    """Whether it blocks its event loop for all that time, in place of awaiting."""
    window: int
    """Minutes for which an occurrence may be caught up."""
    repeatable: bool
    offsets: tuple[float, ...]
    """How far the clock of each node is ahead, in seconds."""
    incidents: tuple[Incident, ...]
    outages: tuple[tuple[float, float], ...]
    """From when to when the ledger is away, in minutes."""


def minutes(low: int = 3, high: int = TROUBLED) -> st.SearchStrategy[float]:
    """Draw minutes of the night, not all of them whole."""
    return st.integers(low * 12, high * 12).map(lambda number: number / 12)


@st.composite
def plans(draw: st.DrawFn, *, blocks: bool = False) -> Plan:
    """Draw a night."""
    offsets = tuple(draw(st.lists(st.sampled_from([0.0, -4.0, 4.0]), min_size=2, max_size=3)))
    incidents: list[Incident] = []
    for node in "ABC"[: len(offsets)]:
        edges = sorted(draw(st.lists(minutes(), max_size=6, unique=True)))
        for begin, end in zip(edges[::2], edges[1::2], strict=False):
            at, length = NIGHT + timedelta(minutes=begin), timedelta(minutes=end - begin)
            incidents.append(draw(st.sampled_from([Freeze, Crash]))(node, at, length))
        if draw(st.booleans()):
            at = NIGHT + timedelta(minutes=draw(minutes()))
            incidents.append(ClockJump(node, at, draw(st.integers(-1200, 1200))))
    outages = draw(st.lists(st.tuples(minutes(), st.sampled_from([0.1, 0.4, 2, 10])), max_size=3))
    return Plan(
        every=draw(st.sampled_from([5, 7, 20])),
        seconds=draw(st.sampled_from([0, 5, 55, 100, 400, 1400])),
        blocks=blocks,
        window=draw(st.sampled_from([1, 6, 30])),
        repeatable=draw(st.booleans()),
        offsets=offsets,
        incidents=tuple(incidents),
        outages=tuple((begin, begin + length) for begin, length in outages),
    )


@dataclass
class Watch:
    """Stands before a ledger, and keeps its own account of who holds what until when."""

    ledger: Any
    attempts: dict[int, int] = field(default_factory=dict)
    lease_ends: dict[int, float] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    holds: dict[tuple[str, str], Claim] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def __hash__(self) -> int:
        return id(self)

    async def claim(self, request: ClaimRequest) -> Claim:
        """Note who holds the row, and whether it was free."""
        claim: Claim = await self.ledger.claim(request)
        row, now = claim.row_id, asyncio.get_running_loop().time()
        if claim.attempt > 1 and row not in self.ended and now < self.lease_ends[row]:
            self.faults.append(f"{request.occurrence} was taken over before its lease was over")
        if claim.attempt <= self.attempts.get(row, 0):
            self.faults.append(f"{request.occurrence} was claimed twice")
        self.attempts[row] = claim.attempt
        self.lease_ends[row] = now + LEASE.total_seconds()
        self.ended.discard(row)
        self.holds[request.occurrence.key, request.instance] = claim
        return claim

    async def renew(self, claim: Claim) -> bool:
        """Note until when the lease holds, as far as the holder is told."""
        held: bool = await self.ledger.renew(claim)
        if held:
            now = asyncio.get_running_loop().time()
            self.lease_ends[claim.row_id] = now + LEASE.total_seconds()
        return held

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Note the end, and whether it was the last holder's to write."""
        written: bool = await self.ledger.finish(claim, outcome)
        if written and claim.attempt != self.attempts[claim.row_id]:
            self.faults.append(f"{claim.request.occurrence} was written by a holder that lost it")
        if written:
            self.ended.add(claim.row_id)
        return written

    def step(self, now: float, serial: int, newest: int) -> None:
        """Note a step of a run's work, and whether it was still the run's to do."""
        occurrence = current_occurrence()
        claim = self.holds[occurrence.key, current_node()]
        if now > self.lease_ends[claim.row_id]:
            self.faults.append(f"{occurrence} went on after its lease")
        if serial != newest:
            self.faults.append(f"{occurrence} overlapped with another run")


def play(plan: Plan, ledger: Any) -> tuple[Night, Watch, list[str], list[int]]:
    """Simulate a night; return it, the watch, the rows that only the log has, and the alerts."""
    watch, serials, newest = Watch(ledger), itertools.count(1), 0
    alerted: list[int] = []
    ledger.away = lambda _name, now: any(
        begin * 60 <= now + 120 < end * 60 for begin, end in plan.outages
    )

    async def work() -> int:
        nonlocal newest
        serial = newest = next(serials)
        if plan.blocks:
            time.sleep(plan.seconds)  # noqa: ASYNC251 - the fault to be survived
            return 7
        loop = asyncio.get_running_loop()
        end = loop.time() + plan.seconds
        while (now := loop.time()) < end:
            watch.step(now, serial, newest)
            await asyncio.sleep(min(10, end - now))
        return 7

    async def alert(rows: list[LedgerRow]) -> None:
        alerted.extend(row.id for row in rows)

    def register(scheduler: KSTScheduler) -> None:
        job = once(
            watch,
            lease=LEASE,
            catch_up=timedelta(minutes=plan.window),
            repeatable=plan.repeatable,
            instance=current_node(),
        )(work)
        trigger = cron(minute=f"*/{plan.every}")
        scheduler.add_job(job, trigger, id="nps", misfire_grace_time=60)
        Reconciler(scheduler, watch, on_missing=alert).start()

    nodes = [Node(name, offset) for name, offset in zip("ABC", plan.offsets, strict=False)]
    end = NIGHT + timedelta(minutes=END)
    with only_in_the_log() as lost:
        result = simulate(register, START, end, nodes, plan.incidents)
    return Night(result, ledger), watch, lost, alerted


@contextlib.contextmanager
def only_in_the_log() -> Iterator[list[str]]:
    """Collect what ``once`` could not write to the ledger, and keep the rest of the log quiet."""
    lost: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.ERROR and record.name == once_module.__name__:
                lost.append(record.getMessage())

    logger, handler = logging.getLogger("kst_scheduler"), Keep()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield lost
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def check(plan: Plan, ledger: Any) -> None:
    """Play a night, and see that nothing was doubled, lost or written by the wrong one."""
    story, watch, lost, alerted = play(plan, ledger)
    assert not watch.faults, watch.faults[0]

    rows = [row for row in story.rows() if row.trigger == "schedule"]
    moments = [row.scheduled_at for row in rows]
    assert len(set(moments)) == len(moments)

    trigger = cron(minute=f"*/{plan.every}")
    hour = timedelta(hours=1)  # clocks that jump see times before the start, and after the end
    fires = fire_times(trigger, START - hour, NIGHT + timedelta(minutes=END) + hour)
    assert set(moments) <= {*fires.to_pydatetime()}

    looked = asyncio.run(ledger.looked_until("nps"))
    assert looked >= NIGHT + timedelta(minutes=END - 60), looked
    reconciled = {*fire_times(trigger, START, looked).to_pydatetime()}
    assert reconciled <= set(moments), sorted(reconciled - set(moments))
    for row in rows:
        assert row.status != "missed" or row.error

    for moment, times in Counter(run.scheduled_at for run in story.seen("ok")).items():
        key = Occurrence("nps", moment).key
        # A row that could not be written is taken over, and its work is repeated.
        assert times == 1 or (plan.repeatable and any(key in line for line in lost)), key
    assert len(set(alerted)) == len(alerted)


FAST = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@FAST
@given(plan=plans())
def test_each_occurrence_runs_once_whatever_happens(plan: Plan) -> None:
    """No two ok, none without a row, no early attempt, no overlap, no write of a lost holder."""
    check(plan, SwitchedLedger())


@FAST
@given(plan=plans(blocks=True))
def test_a_job_that_blocks_its_loop_does_not_write_what_it_lost(plan: Plan) -> None:
    """Nothing can stop it, so its work may overlap; its row is safe all the same."""
    check(plan, SwitchedLedger())


# --- the check notices when a safeguard is taken out ------------------------------------------


class Unclaimed(SwitchedLedger):
    """Lets everybody have the row."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """Claim, also what is taken."""
        try:
            return await super().claim(request)
        except LockedOutError:
            for row in await self.rows(request.occurrence.job_id):
                if row.occurrence == request.occurrence and row.attempt:
                    return Claim(row.id, row.attempt, request)
            raise


class Unfenced(SwitchedLedger):
    """Lets a holder write that was taken over."""

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Finish, whatever the attempt."""
        (attempt,) = [row.attempt for row in await self.rows() if row.id == claim.row_id]
        return await super().finish(Claim(claim.row_id, attempt, claim.request), outcome)


class Unrenewed(SwitchedLedger):
    """Says that it has extended a lease, and has not."""

    async def renew(self, claim: Claim) -> bool:
        """Do nothing."""
        return claim.row_id > 0


def finds_a_fault(ledger: Callable[[], SwitchedLedger], *, blocks: bool = False) -> bool:
    """Tell whether the check fails for one of the nights."""

    @settings(FAST, phases=[Phase.generate], report_multiple_bugs=False)
    @given(plan=plans(blocks=blocks))
    def test(plan: Plan) -> None:
        check(plan, ledger())

    try:
        test()
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize(
    ("ledger", "blocks"), [(Unclaimed, False), (Unrenewed, False), (Unfenced, True)]
)
def test_it_notices_a_ledger_without_one_of_its_safeguards(
    ledger: Callable[[], SwitchedLedger], blocks: bool
) -> None:
    """Without the claim, the renewal or the fence a night goes wrong."""
    assert finds_a_fault(ledger, blocks=blocks)


def test_it_notices_a_run_that_does_not_stop_when_its_lease_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A frozen holder that goes on where it was works beside its successor."""

    @contextlib.asynccontextmanager
    async def not_stopped(*_arguments: object, **_options: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(once_module, "renewed", not_stopped)
    assert finds_a_fault(SwitchedLedger)
