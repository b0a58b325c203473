"""Run each occurrence of a job once, whichever replica it runs on, and write what became of it.

The job's row in the ledger is claimed before anything else, so each occurrence has one run; no two
runs of a job overlap, as the ledger has one running row of it at most; and the row says how the
run ended. What the job itself writes elsewhere is its own affair: a run that lost its lease is
repeated, so a job writes by natural keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

from kst_scheduler.errors import (
    InvalidArgumentError,
    LeaseLostError,
    LedgerUnavailableError,
    LockedOutError,
)
from kst_scheduler.ledger.clock_watch import has_come, was_in_time
from kst_scheduler.ledger.contract import ClaimRequest
from kst_scheduler.once.lease import renewed
from kst_scheduler.once.outcome import as_json, describe_error, failed, succeeded
from kst_scheduler.once.replica import this_replica
from kst_scheduler.once.retry import retry_while_unavailable
from kst_scheduler.once.takeover import Takeover
from kst_scheduler.scheduler.executor import returns_awaitable
from kst_scheduler.scheduler.job_functions import RunsOnce, full_name_of
from kst_scheduler.scheduler.job_threads import threads_of, wait_for_threads, watch_threads
from kst_scheduler.scheduler.kept_writes import LedgerJob, kept_writes
from kst_scheduler.scheduler.occurrence import ATTEMPT, current_occurrence
from kst_scheduler.scheduler.stored_names import require_name
from kst_scheduler.time_limit import time_limit
from kst_scheduler.timezone import UTC
from kst_scheduler.torn_down import is_torn_down, running_task
from kst_scheduler.user_values import is_a

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from collections.abc import Set as AbstractSet

    from kst_scheduler.ledger import Claim, Ledger, Outcome
    from kst_scheduler.scheduler.occurrence import Occurrence

    Lock = Callable[[], contextlib.AbstractAsyncContextManager[object]]

MAX_LEASE: Final = timedelta(days=365)
CUT_PATIENCE: Final = timedelta(seconds=3)
"""For how long a cancelled run tries to write its row; a drain leaves it 5 s (drain.py)."""
TRY_SECONDS: Final = 10.0
"""How long one attempt to write a kept outcome may take."""
REFUSED_SECONDS: Final = 600.0
"""How long an outcome is kept that the ledger refuses, though it is not away."""

_LOGGER: Final = logging.getLogger(__name__)

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)


class OnceFunction(Protocol[P, R_co]):
    """What ``once`` makes of a job: a function like it, whose ``once`` tells how it is run."""

    once: OnceJob

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Run the occurrence that the scheduler is at."""

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> Self: ...
    @overload
    def __get__(
        self: OnceFunction[Concatenate[S, Q], R], instance: S, owner: type[Any] | None = None, /
    ) -> OnceFunction[Q, R]: ...


class Queue(Protocol):
    """Where the occurrences of a job wait that was handed off (kst_scheduler.distributed)."""

    async def waiting(self, job_id: str) -> AbstractSet[datetime]:
        """Return the scheduled times, as rows have them, of what waits or is being taken up."""


def once(
    ledger: Ledger,
    lock: Lock | None = None,
    *,
    lease: timedelta = timedelta(seconds=60),
    catch_up: timedelta | None = None,
    repeatable: bool = True,
    max_attempts: int = 3,
    instance: str | None = None,
    patience: timedelta = timedelta(seconds=30),
) -> Callable[[Callable[P, Awaitable[R]]], OnceFunction[P, R]]:
    """Return a decorator that runs each occurrence of an ``async def`` job once.

    All replicas add the same jobs. One of them gets the occurrence, and the others raise
    LockedOutError, which is no error. The job's result is handed back; where it is an
    integer, or has an integer field ``rows``, that stands in the row as ``rows``.

    The row ends as ok, error, cancelled, or skipped: the lock could not be had, or the job raised
    LockedOutError; a skipped occurrence may still be caught up. A run whose lease was lost leaves
    its row as it is, to be taken over.

    A thread cannot be stopped. A run that is cut, or returns, while its ``asyncio.to_thread`` is at
    work keeps its lease and its lock, and ends when the thread has. Where it was cut because it had
    lost the lease, another replica may run the occurrence beside that thread.

    What is more than five minutes before its time, by the ledger's clock, is not run: the clock of
    this host is ahead. Where the ledger has no clock of its own (SQLite, a PostgreSQL on the same
    host), nobody can know that: such a run is early, and counts as the one of its time.

    While the ledger is away, the claim and the last write are tried again for ``patience``. A last
    write that fails is one line of the log at ERROR, with the row in it, and the job's own result
    or exception goes on. This process keeps the outcome and writes it once the ledger is back,
    before it claims the job again. Where the ledger is there and refuses it (a right was revoked,
    say), it is given up after ten minutes. If the process ends first, it is only in the log, and
    the run counts as lost: it is run again. Another process leaves a run without an end alone while
    its lease holds, and for some seconds after an outage that it has noticed
    (scheduler.kept_writes says what remains).

    Example:
        ``@scheduler.scheduled_job(cron(hour=3), id="crawl")``, below it ``@once(ledger)``, and
        below that ``async def crawl(): ...``

    Args:
        ledger: where the rows are, for all replicas.
        lock: returns a lock that is held as well: ``lambda: redis_lock("lock:crawl", ttl=30)``.
        lease: how long a replica that has died keeps its row. It is renewed every third of it. A
            run that gets no answer from the ledger is stopped when its lease is over, as another
            replica may reach the ledger and take it over: an outage of half a lease does no harm.
            While the database itself answers that it is down, nobody can claim, and the run goes
            on (kst_scheduler.once.lease says what that relies on).
        catch_up: for how long after its time a missed occurrence may be run by a Reconciler;
            None: the job's ``misfire_grace_time``.
        repeatable: whether a run that lost its lease in the middle may be run again.
        max_attempts: how many attempts of an occurrence may lose their lease. A job that kills its
            process, as by using up the memory, would else kill replica after replica. After the
            last one the row is closed as error, which a Reconciler passes on to ``on_missing``.
            What raised, was cancelled or was skipped is not counted, so a worker's ``retry`` is
            counted by its own strategy; nor is a later occurrence of the job, which has attempts
            of its own. With ``repeatable=False`` the first loss is the last. A run by hand is not
            run again by a Reconciler; where it was handed off, it is, as often as any other.
        instance: the name of this replica in the rows; None: its host name and process id. Two of
            one name are told apart by the ledger, but not by a reader of its rows. In a simulation,
            whose nodes have one host: ``current_node()``.
        patience: how long to wait for a ledger that is away.

    Raises:
        InvalidArgumentError: the job is not ``async def``, or an argument makes no sense.

    """
    job = OnceJob(ledger, lock, lease, catch_up, repeatable, max_attempts, instance, patience)

    def decorate(function: Callable[P, Awaitable[R]]) -> OnceFunction[P, R]:
        _check_awaited(function)
        of_function = replace(job, function=full_name_of(function))

        # A function, not an object: APScheduler's reference to an object is to its class (3.11.3).
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            return await of_function.run(
                current_occurrence(), functools.partial(function, *args, **kwargs)
            )

        run.once = of_function  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate


@dataclass(frozen=True)
class OnceJob(RunsOnce):
    """How each occurrence of a job is run once: the arguments of ``once``."""

    ledger: Ledger
    lock: Lock | None
    lease: timedelta
    catch_up: timedelta | None
    repeatable: bool
    max_attempts: int
    instance: str | None
    patience: timedelta
    queue: Queue | None = None
    """Where its occurrences wait for a worker; None: they run where the scheduler is."""
    function: str = ""
    """What runs, by module and name: the rows name it, and another service's are told by it."""

    def __post_init__(self) -> None:
        if not hasattr(self.ledger, "claim") or isinstance(self.ledger, type):
            raise InvalidArgumentError(
                f"ledger={self.ledger!r} is not a ledger; write @once(MemoryLedger()), say"
            )
        if self.lock is not None and not callable(self.lock):
            raise InvalidArgumentError(
                f"lock={self.lock!r} is one lock, and each run needs its own; write "
                "lock=lambda: redis_lock('lock:crawl', ttl=30)"
            )
        for name in ("lease", "patience"):
            _check_positive(name, getattr(self, name))
        if self.catch_up is not None:
            _check_positive("catch_up", self.catch_up)
        if self.lease > MAX_LEASE:
            raise InvalidArgumentError(
                f"lease={self.lease!r} is longer than a year, for which a replica that has died "
                "would keep its row; write timedelta(seconds=60), say"
            )
        if self.instance is not None:
            require_name(self.instance, "instance")
        if type(self.max_attempts) is not int or self.max_attempts < 1:
            raise InvalidArgumentError(
                f"max_attempts={self.max_attempts!r} is not a number of attempts; write 1 or more"
            )

    def replica(self) -> str:
        """Return the name of this replica in the rows, inside its event loop."""
        return self.instance or this_replica()

    async def run(self, occurrence: Occurrence, work: Callable[[], Awaitable[R]]) -> R:
        """Claim an occurrence, do the work, and write how it ended.

        Raises:
            LockedOutError: another replica has the occurrence, or runs another one of the job.
            LeaseLostError: the lease was lost while the work was done.
            LedgerUnavailableError: the ledger was away, and the work was not begun.

        """
        return await self.run_claimed(*await self.claim(occurrence), work)

    async def run_claimed(self, claim: Claim, since: float, work: Callable[[], Awaitable[R]]) -> R:
        """Do the work of a claim that was just had, and write how it ended.

        Raises:
            LeaseLostError: the lease was lost while the work was done.

        """
        occurrence = claim.request.occurrence
        ATTEMPT.set((occurrence.key, claim.attempt))
        loop = asyncio.get_running_loop()
        watch_threads(loop)  # a worker has no executor that does it
        began, task = loop.time(), running_task()
        try:
            result = await self._leased(claim, since, work)
        except LeaseLostError:
            raise  # the row waits for the replica that takes it over
        except BaseException as error:
            if is_torn_down(error, task):
                raise
            if not await self._write(claim, failed(error, loop.time() - began)):
                _LOGGER.warning("%s", _taken_over(occurrence))
            raise
        if not await self._write(claim, succeeded(result, loop.time() - began)):
            raise LeaseLostError(_taken_over(occurrence))
        return result

    async def _leased(self, claim: Claim, since: float, work: Callable[[], Awaitable[R]]) -> R:
        """Do the work under its lease and its lock, and return or raise what it does.

        A cancellation that comes after it is too late::

            the work returns | the lock is released | the renewals are stopped | the row is written
                                       ^ a drain cancels here: nothing is left to cut
        """
        occurrence, task = claim.request.occurrence, running_task()
        results: list[R] = []
        failures: list[BaseException] = []

        # A failure is noted and not raised, as a context manager may change it on its way: that of
        # contextlib sets its __traceback__, which an error that is a frozen dataclass refuses.
        async def work_and_note() -> None:
            try:
                results.append(await _with_its_threads(work, occurrence))
            except BaseException as error:
                if is_a(error, asyncio.CancelledError) or is_torn_down(error, task):
                    raise
                failures.append(error)

        renew = functools.partial(self.ledger.renew, claim)
        try:
            async with renewed(renew, self.lease, str(occurrence), since=since):
                await self._work(occurrence, work_and_note)
        except asyncio.CancelledError:
            if not results and not failures:
                raise
        except LeaseLostError:
            if not failures:
                raise
        if failures:
            raise failures[0]
        return results[0]

    async def claim(self, occurrence: Occurrence, *, retry: bool = False) -> tuple[Claim, float]:
        """Return the claim, and the loop's time from before it was asked for.

        Args:
            occurrence: what is to run.
            retry: whether a run that ended as error or cancelled is to run again.

        Raises:
            LockedOutError, LedgerUnavailableError: as in ``run``.

        """
        now = datetime.now(UTC)
        takeover = Takeover(
            self.ledger, self.lease, functools.partial(self._is_written, occurrence)
        )
        request = ClaimRequest(
            occurrence=occurrence,
            instance=self.replica(),
            lease=self.lease,
            claimed_at=now,
            take_over=self.repeatable,
            retry=retry,
            max_attempts=self.max_attempts,
            function=self.function,
            may_take=takeover.may_take,
            was_in_time=functools.partial(was_in_time, self.ledger),
        )

        async def ask() -> tuple[Claim, float]:
            with takeover.noting_outages():
                if not await kept_writes().write_pending(self._job(occurrence)):
                    raise LedgerUnavailableError("an earlier outcome of the job is not written yet")
                await self._check_time(occurrence)
                since = asyncio.get_running_loop().time()
                return await self.ledger.claim(request), since

        return await retry_while_unavailable(ask, self.patience, f"the claim of {occurrence}")

    async def _check_time(self, occurrence: Occurrence) -> None:
        """Refuse to run an occurrence long before its time, by a clock of this host that is ahead.

        It would be run a day early, say, and not in its time, as it has its row by then.
        """
        if not occurrence.manual and not await has_come(self.ledger, occurrence.scheduled_at):
            reason = "its time has not come by the ledger's clock; is the clock of this host ahead?"
            _LOGGER.warning("%s is not run: %s", occurrence, reason)
            raise LockedOutError(f"{occurrence} is not run: {reason}")

    async def _work(self, occurrence: Occurrence, work: Callable[[], Awaitable[None]]) -> None:
        if self.lock is None:
            await work()
            return
        async with contextlib.AsyncExitStack() as stack:
            await _hold(self.lock, stack, occurrence)
            await work()

    async def _write(self, claim: Claim, outcome: Outcome) -> bool:
        """Write how a run ended; False: it was taken over."""
        with kept_writes().writing(self._job(claim.request.occurrence)):
            return await self._write_or_keep(claim, outcome)

    async def _write_or_keep(self, claim: Claim, outcome: Outcome) -> bool:
        what = f"the outcome of {claim.request.occurrence}"
        write = functools.partial(self.ledger.finish, claim, outcome)
        patience = CUT_PATIENCE if outcome.status == "cancelled" else self.patience
        try:
            try:
                return await retry_while_unavailable(write, patience, what)
            except asyncio.CancelledError:
                # It comes too late to cut anything but this write. The same write again is one.
                return await retry_while_unavailable(write, CUT_PATIENCE, what)
        except (Exception, asyncio.CancelledError) as error:
            is_kept = self._keep(claim, outcome)
            kept = "; it is kept, and written when the ledger is back" if is_kept else ""
            _LOGGER.error(  # noqa: TRY400 - one line
                "%s%s; the row is %s", describe_error(error), kept, as_json(claim, outcome)
            )
            if isinstance(error, asyncio.CancelledError):
                raise
            if is_kept or isinstance(error, LedgerUnavailableError):
                return True
            raise

    def _keep(self, claim: Claim, outcome: Outcome) -> bool:
        """Keep an outcome that could not be written, whatever the reason."""
        until = asyncio.get_running_loop().time() + REFUSED_SECONDS
        again = functools.partial(_write_again, self.ledger, claim, outcome, until)
        return kept_writes().keep(self._job(claim.request.occurrence), claim.row_id, again)

    def _job(self, occurrence: Occurrence) -> LedgerJob:
        return LedgerJob(id(self.ledger), occurrence.job_id)

    def _is_written(self, occurrence: Occurrence) -> bool:
        return kept_writes().is_written(self._job(occurrence))


async def _with_its_threads(work: Callable[[], Awaitable[R]], occurrence: Occurrence) -> R:
    """Do the work, which has ended once its threads have, however it ends by itself."""
    task = running_task()
    try:
        result = await work()
    except BaseException as error:
        if is_torn_down(error, task):
            raise
        await _wait_for_threads(occurrence, "was cut")
        raise
    # It may have given up its thread, as wait_for(to_thread(work), 60) does.
    await _wait_for_threads(occurrence, "has returned")
    return result


async def _wait_for_threads(occurrence: Occurrence, how: str) -> None:
    """Wait until no thread of a run is at work, and log that it has ended before."""
    if threads := threads_of(occurrence):
        _LOGGER.warning("%s %s, and waits for %d thread(s) to end", occurrence, how, threads)
        await wait_for_threads()


async def _write_again(ledger: Ledger, claim: Claim, outcome: Outcome, until: float) -> bool | None:
    """Write a kept outcome; False while the ledger is away, None while it refuses.

    It may refuse until a moment of the loop's time; then the outcome is given up.
    """
    occurrence = claim.request.occurrence
    try:
        async with time_limit(TRY_SECONDS):
            is_written = await ledger.finish(claim, outcome)
    except (LedgerUnavailableError, TimeoutError):
        return False
    except Exception as error:  # noqa: BLE001 - its row is in the log already
        if asyncio.get_running_loop().time() < until:
            return None
        _LOGGER.error("the outcome of %s was not written: %s", occurrence, describe_error(error))  # noqa: TRY400 - one line
        return True
    if is_written:
        _LOGGER.warning("the outcome of %s was written, late: %s", occurrence, outcome.status)
    else:
        _LOGGER.warning("%s", _taken_over(occurrence))
    return True


async def _hold(lock: Lock, stack: contextlib.AsyncExitStack, occurrence: Occurrence) -> None:
    """Take the lock, or be locked out: where it cannot be had, the work is not begun."""
    try:
        await stack.enter_async_context(lock())
    except LockedOutError:
        raise
    except Exception as error:
        reason = f"its lock could not be had: {describe_error(error)}"
        _LOGGER.warning("%s was skipped: %s", occurrence, reason)
        raise LockedOutError(f"{occurrence} was skipped: {reason}") from error


def _taken_over(occurrence: Occurrence) -> str:
    return f"{occurrence} lost its lease before its end was written; another attempt has the row"


def _check_awaited(function: object) -> None:
    if not callable(function) or not returns_awaitable(function):
        raise InvalidArgumentError(
            f"{getattr(function, '__qualname__', function)!r} is not an async def function, and a "
            "job in a thread cannot be stopped when its lease is lost; write "
            "async def job(): await asyncio.to_thread(function), which keeps its lease until the "
            "thread has ended"
        )


def _check_positive(name: str, span: object) -> None:
    if not isinstance(span, timedelta) or span <= timedelta(0):
        raise InvalidArgumentError(
            f"{name}={span!r} is not a positive timedelta; write timedelta(seconds=60), say"
        )
