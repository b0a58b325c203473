"""Random sequences of calls against a plain model of what the contract says."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import MemoryLedger, SqlLedger
from ledgers import THREE, expire, occurrence, outcome, request

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kst_scheduler.ledger import Claim, Ledger
    from kst_scheduler.scheduler.occurrence import Occurrence

OCCURRENCES = st.builds(
    occurrence,
    st.integers(0, 2),
    st.sampled_from(["nps", "token"]),
    manual=st.sampled_from([False, False, True]),
)
ENDS = st.sampled_from(["ok", "error", "cancelled", "skipped"])
INSTANCES = st.sampled_from("AB")


@dataclass
class Row:
    """What the model knows of a row."""

    status: str
    attempt: int
    instance: str
    lease_is_over: bool = False


class LedgerModel(RuleBasedStateMachine):
    """Calls a ledger and a plain model alike; both must agree after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ledger = self.new_ledger()
        self.call(self.ledger.open())
        self.rows: dict[Occurrence, Row] = {}
        self.claims: list[Claim] = []
        self.seconds = 0

    def new_ledger(self) -> Ledger:
        """Return an empty ledger."""
        raise NotImplementedError

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the machine's loop."""
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        """Let go of the ledger and the loop."""
        self.call(self.ledger.close())
        self.runner.close()

    def running(self, job_id: str) -> Row | None:
        """Return the one running row of a job."""
        rows = [
            row for of, row in self.rows.items() if of.job_id == job_id and row.status == "running"
        ]
        assert len(rows) <= 1
        return rows[0] if rows else None

    def row_of(self, claim: Claim) -> Row | None:
        """Return the row that a claim still holds."""
        row = self.rows[claim.request.occurrence]
        return row if row.attempt == claim.attempt else None

    @rule(of=OCCURRENCES, instance=INSTANCES, take_over=st.booleans(), retry=st.booleans())
    def claim(self, of: Occurrence, instance: str, take_over: bool, retry: bool) -> None:
        """Ask for an occurrence, as a new request."""
        self.seconds += 1
        claimed_at = THREE + timedelta(seconds=self.seconds)
        wanted = request(of, instance, claimed_at=claimed_at, take_over=take_over, retry=retry)
        try:
            claim = self.call(self.ledger.claim(wanted))
        except LockedOutError:
            claim = None
        assert (claim and claim.attempt) == self.expect_claim(of, instance, take_over, retry)
        if claim:
            self.claims.append(claim)

    def expect_claim(
        self, of: Occurrence, instance: str, take_over: bool, retry: bool
    ) -> int | None:
        """Return the attempt that a claim gets; None: it is locked out."""
        own = self.rows.get(of)
        open_ = {"skipped", "error", "cancelled"} if retry else {"skipped"}
        if own and own.status == "running":
            if not (own.lease_is_over and take_over):
                return None
        elif own and own.status not in open_:
            return None
        else:
            running = self.running(of.job_id)
            if running and not running.lease_is_over:
                self.rows.setdefault(of, Row("skipped", 0, instance))
                return None
            if running:
                running.status, running.lease_is_over = "error", False
        attempt = own.attempt + 1 if own else 1
        self.rows[of] = Row("running", attempt, instance)
        return attempt

    @rule(data=st.data())
    def claim_again(self, data: st.DataObject) -> None:
        """Repeat a request: its claim while it holds the row, whatever a new request gets then."""
        if not self.claims:
            return
        old = data.draw(st.sampled_from(self.claims))
        row, of = self.row_of(old), old.request.occurrence
        if row and row.status == "running":
            assert self.call(self.ledger.claim(old.request)) == old
            row.lease_is_over = False
        else:
            self.claim(of, old.request.instance, old.request.take_over, old.request.retry)

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        """Renew any claim that there ever was."""
        if self.claims:
            claim = data.draw(st.sampled_from(self.claims))
            row = self.row_of(claim)
            holds = row is not None and row.status == "running"
            assert self.call(self.ledger.renew(claim)) == holds
            if row and holds:
                row.lease_is_over = False

    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """Let the lease of a running claim run out."""
        held = [
            claim
            for claim in self.claims
            if (row := self.row_of(claim)) and row.status == "running"
        ]
        if held:
            claim = data.draw(st.sampled_from(held))
            self.call(expire(self.ledger, claim))
            self.rows[claim.request.occurrence].lease_is_over = True

    @rule(data=st.data(), status=ENDS)
    def finish(self, data: st.DataObject, status: str) -> None:
        """End any claim that there ever was, and end it again."""
        if not self.claims:
            return
        claim = data.draw(st.sampled_from(self.claims))
        self.seconds += 1
        ended = outcome(status, self.seconds)
        row = self.row_of(claim)
        holds = row is not None and row.status == "running"
        assert self.call(self.ledger.finish(claim, ended)) == holds
        if row and holds:
            row.status, row.lease_is_over = status, False
        assert self.call(self.ledger.finish(claim, ended)) == holds

    @rule(of=OCCURRENCES)
    def miss(self, of: Occurrence) -> None:
        """Write an occurrence as missed."""
        written = self.call(self.ledger.record_missed(of, "late", "A"))
        assert (written is None) == (of in self.rows)
        self.rows.setdefault(of, Row("missed", 0, "A"))

    @rule()
    def close_abandoned(self) -> None:
        """Close every run whose lease is over."""
        for row in self.call(self.ledger.abandoned()):
            assert self.call(self.ledger.close_abandoned(row, "gone"))
            known = self.rows[row.occurrence]
            assert known.lease_is_over
            known.status, known.lease_is_over = "error", False
        assert not any(row.lease_is_over for row in self.rows.values())

    @rule()
    def delete_old(self) -> None:
        """Delete what ended at 03:00; claims on it hold nothing any more."""
        old = [
            of
            for of, row in self.rows.items()
            if of.scheduled_at == THREE and row.status != "running"
        ]
        assert self.call(self.ledger.delete_before(THREE + timedelta(seconds=1))) == len(old)
        for of in old:
            del self.rows[of]
        self.claims = [claim for claim in self.claims if claim.request.occurrence not in old]

    @invariant()
    def rows_agree(self) -> None:
        """Every row has the status, the attempt and the holder that the model says."""
        rows = self.call(self.ledger.rows())
        assert {row.occurrence: (row.status, row.attempt, row.instance) for row in rows} == {
            of: (row.status, row.attempt, row.instance) for of, row in self.rows.items()
        }
        assert all((row.lease_until is None) == (row.status != "running") for row in rows)


class MemoryModel(LedgerModel):
    """The model against a ledger in memory."""

    def new_ledger(self) -> Ledger:
        """Return an empty ledger."""
        return MemoryLedger()


class SqliteModel(LedgerModel):
    """The model against SQLite."""

    def new_ledger(self) -> Ledger:
        """Return an empty ledger in a folder of its own."""
        self.folder = tempfile.TemporaryDirectory()
        return SqlLedger(f"sqlite:///{self.folder.name}/ledger.db")

    def teardown(self) -> None:
        """Remove the folder as well."""
        super().teardown()
        self.folder.cleanup()


MemoryModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
SqliteModel.TestCase.settings = settings(max_examples=10, stateful_step_count=30)


class TestMemoryModel(MemoryModel.TestCase):  # type: ignore[misc,valid-type]
    """Memory agrees with the model."""


class TestSqliteModel(SqliteModel.TestCase):  # type: ignore[misc,valid-type]
    """SQLite agrees with the model."""
