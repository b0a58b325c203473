from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.errors import LeaseLostError, LedgerUnavailableError
from kst_scheduler.once.lease import reason_of, renewed
from kst_scheduler.simulation import Crash, Freeze, simulate
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import pandas as pd

    from kst_scheduler.simulation.incidents import Incident

TTL = timedelta(seconds=30)
MIDNIGHT, THREE, SIX = kst(2026, 5, 10), kst(2026, 5, 10, 3), kst(2026, 5, 10, 6)


def seconds_after_three() -> float:
    """Return the loop's time since 03:00, in a simulation that began at midnight."""
    return asyncio.get_running_loop().time() - 3 * 3600


def at_three(
    job: Callable[[], Awaitable[object]], incidents: Sequence[Incident] = ()
) -> pd.Series[Any]:
    """Run a job at 03:00 in virtual time, and return its row."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(job, "date", run_date=THREE, id="nps")

    def scheduler() -> AsyncIOScheduler:
        return AsyncIOScheduler(timezone=KST)

    result = simulate(register, MIDNIGHT, SIX, incidents=incidents, scheduler=scheduler)
    return result.runs.iloc[0]


def ended_after(run: pd.Series[Any]) -> float:
    """Return how many seconds after 03:00 a run ended."""
    return float((run["finished_at"] - THREE).total_seconds())


class Lessor:
    """Renews a lease as it is told, and keeps when it was asked."""

    def __init__(
        self, answer: Callable[[float], bool | Awaitable[bool]] = lambda _now: True
    ) -> None:
        self._answer = answer
        self.asked: list[float] = []

    async def renew(self) -> bool:
        """Answer a renewal."""
        now = seconds_after_three()
        self.asked.append(now)
        answer = self._answer(now)
        return answer if isinstance(answer, bool) else await answer


def leased(lessor: Lessor, seconds: float) -> Callable[[], Awaitable[None]]:
    """Return a job that works for some seconds under a lease of 30 s."""

    async def work() -> None:
        async with renewed(lessor.renew, TTL, "lock 'nps'"):
            await asyncio.sleep(seconds)

    return work


async def hang() -> bool:
    """Give no answer."""
    await asyncio.sleep(7200)
    return True


def away(after: float, until: float = 1e9) -> Callable[[float], bool]:
    """Return an answer that fails between two times."""

    def answer(now: float) -> bool:
        if after <= now < until:
            raise ConnectionError("Error 111 connecting to redis://app:secret@db:6379")
        return True

    return answer


def test_renewed_every_third_while_the_block_runs() -> None:
    """A job of 100 s under a lease of 30 s is renewed every 10 s, and not after its end."""
    lessor = Lessor()
    run = at_three(leased(lessor, 100.5))
    assert run["status"] == "ok"
    assert lessor.asked == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def test_short_block_renews_nothing() -> None:
    """A job that ends in time costs no renewal."""
    lessor = Lessor()
    assert at_three(leased(lessor, 9))["status"] == "ok"
    assert lessor.asked == []


def test_stopped_at_once_when_the_lease_is_lost() -> None:
    """A renewal that says no stops the job there and then, with the reason."""
    lessor = Lessor(lambda now: now < 20)
    run = at_three(leased(lessor, 100))
    assert ended_after(run) == 20
    assert run["status"] == "cancelled"
    assert "the lease of lock 'nps' was lost: another has it, or it is gone" in run["detail"]
    assert lessor.asked == [10, 20]


def test_outage_shorter_than_the_lease_is_survived() -> None:
    """Renewals that fail from 20 s to 39 s are tried again every second, and the job goes on."""
    lessor = Lessor(away(after=20, until=39))
    run = at_three(leased(lessor, 100))
    assert run["status"] == "ok"
    assert lessor.asked[:2] + lessor.asked[2:22] == [10, *range(20, 40), 49]


def test_outage_longer_than_the_lease_stops_the_job_in_time() -> None:
    """The last renewal was sent at 10 s: the job is stopped at 40 s, and told the last error."""
    run = at_three(leased(Lessor(away(after=20)), 100))
    assert ended_after(run) == 40
    assert (
        "ran out: not renewed for 30 s; the last renewal failed: ConnectionError" in run["detail"]
    )
    assert "redis://app:***@db" in run["detail"]


def down(after: float, until: float, then: Callable[[float], bool]) -> Callable[[float], bool]:
    """Return an answer that says between two times that nobody is served."""

    def answer(now: float) -> bool:
        if after <= now < until:
            raise LedgerUnavailableError("the database system is starting up", is_down=True)
        return then(now)

    return answer


def test_lessor_that_says_it_is_down_stops_nothing() -> None:
    """Nobody else can have the lease: it is asked for every second, and held when it is back."""
    lessor = Lessor(down(20, 500, lambda _now: True))
    run = at_three(leased(lessor, 1_000))
    assert run["status"] == "ok"
    assert lessor.asked[:4] == [10, 20, 21, 22]
    assert lessor.asked[480:484] == [499, 500, 510, 520]


def test_lessor_that_was_down_and_then_says_no_stops_the_job() -> None:
    """Another was quicker when it came back."""
    run = at_three(leased(Lessor(down(20, 500, lambda now: now < 500)), 1_000))
    assert (run["status"], ended_after(run)) == ("cancelled", 500)
    assert "was lost: another has it" in run["detail"]


def test_lessor_that_was_down_and_then_is_silent_stops_the_job() -> None:
    """The last word was at 499 s; from then on nobody knows, and the lease rules."""
    run = at_three(leased(Lessor(down(20, 500, away(after=500))), 1_000))
    assert (run["status"], ended_after(run)) == ("cancelled", 506)
    assert "the last renewal failed: ConnectionError" in run["detail"]


@pytest.mark.parametrize("seconds", [15, 25])
def test_lessor_that_is_down_for_a_moment_shortens_no_lease(seconds: float) -> None:
    """What it had before holds to its end, if that is later."""
    run = at_three(leased(Lessor(down(20, 20.5, away(after=20.5))), seconds + 14))
    assert run["status"] == "ok" if seconds == 15 else ended_after(run) == 39


def test_renewal_that_hangs_is_given_up_and_tried_again() -> None:
    """No answer within 5 s, a sixth of the lease: the next try is 1 s later."""
    answers = [hang, hang]
    lessor = Lessor(lambda _now: answers.pop()() if answers else True)
    run = at_three(leased(lessor, 60))
    assert run["status"] == "ok"
    assert lessor.asked[:3] == [10, 16, 22]  # given up at 15 and at 21
    assert ended_after(run) == 60


def test_renewals_that_all_hang_stop_the_job_in_time() -> None:
    """Renewals without an answer do not keep the job running past its lease."""
    run = at_three(leased(Lessor(lambda _now: hang()), 100))
    assert ended_after(run) == 30
    assert "the last renewal failed: no answer in time" in run["detail"]


def test_lease_counts_from_before_the_renewal_was_sent() -> None:
    """An answer that takes 4 s does not lengthen the lease by 4 s."""

    async def slowly() -> bool:
        await asyncio.sleep(4)
        return True

    lessor = Lessor(lambda now: slowly() if now < 15 else away(after=15)(now))
    assert ended_after(at_three(leased(lessor, 100))) == 40  # sent at 10, answered at 14


def test_lease_counts_from_before_it_was_asked_for() -> None:
    """With ``since``, what it took to get the lease is part of it: the first renewal is sooner."""
    lessor = Lessor()

    async def work() -> None:
        since = asyncio.get_running_loop().time()
        await asyncio.sleep(8)
        async with renewed(lessor.renew, TTL, "lock 'nps'", since=since):
            await asyncio.sleep(13)

    assert at_three(work)["status"] == "ok"
    assert lessor.asked == [10, 20]


def test_lease_that_was_over_before_it_was_had() -> None:
    """A lease that took longer to get than it lasts lets no work begin."""
    begun = []

    async def work() -> None:
        since = asyncio.get_running_loop().time() - 30
        async with renewed(Lessor().renew, TTL, "lock 'nps'", since=since):
            begun.append(True)

    run = at_three(work)
    assert "was over before the work began: it took longer than 30 s" in run["detail"]
    assert begun == []


@pytest.mark.parametrize(("minutes", "status"), [(0.4, "ok"), (10, "cancelled")])
def test_frozen_holder_is_stopped_when_it_thaws(minutes: float, status: str) -> None:
    """A freeze shorter than what is left of the lease does no harm; after a longer one it is over.

    The job's own timer and the next renewal are due at the thaw as well: none of them comes first.
    """
    lessor = Lessor()
    freeze = Freeze("A", kst(2026, 5, 10, 3, 0, 5), timedelta(minutes=minutes))
    run = at_three(leased(lessor, 60), [freeze])
    assert run["status"] == status
    assert ended_after(run) == (60 if status == "ok" else 605)
    assert ("not renewed for 30 s" in run["detail"]) == (status == "cancelled")


def test_error_of_the_block_wins() -> None:
    """A job's own error comes out as it is, TimeoutError included."""

    async def work() -> None:
        async with renewed(Lessor().renew, TTL, "lock 'nps'"):
            raise TimeoutError("its own")

    assert at_three(work)["detail"] == "TimeoutError('its own')"


def test_block_that_ignores_being_stopped_is_told_in_the_end() -> None:
    """A job that swallows the cancellation and goes on ends in LeaseLostError all the same."""
    lessor = Lessor(lambda _now: False)

    async def work() -> None:
        async with renewed(lessor.renew, TTL, "lock 'nps'"):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                await asyncio.sleep(50)

    run = at_three(work)
    assert "the lease of lock 'nps' was lost" in run["detail"]
    assert ended_after(run) == 60
    assert lessor.asked == [10]  # and nothing is renewed for it any more


def test_cancellation_from_outside_is_a_cancellation() -> None:
    """Who cancels the job gets CancelledError, no LeaseLostError; the renewals end with it."""
    lessor = Lessor(lambda _now: hang())

    async def work() -> None:
        task = asyncio.ensure_future(leased(lessor, 100)())
        await asyncio.sleep(15)  # in the middle of a renewal
        task.cancel("drained")
        with pytest.raises(asyncio.CancelledError, match="drained"):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    assert at_three(work)["status"] == "ok"


def test_nested_leases() -> None:
    """Of two leases around one job, the one that is lost is named; the other ends quietly."""
    outer, inner = Lessor(), Lessor(lambda now: now < 20)

    async def work() -> None:
        async with (
            renewed(outer.renew, TTL, "row nps"),
            renewed(inner.renew, TTL, "lock 'nps'"),
        ):
            await asyncio.sleep(100)

    assert "the lease of lock 'nps' was lost" in at_three(work)["detail"]
    assert outer.asked == [10, 20]


def test_renewal_that_cannot_be_cancelled_does_not_hold_up_the_end() -> None:
    """The end of the job waits a second for a stubborn renewal, and no longer."""

    async def stubborn() -> bool:
        while True:
            try:
                return await hang()
            except asyncio.CancelledError:
                continue

    run = at_three(leased(Lessor(lambda _now: stubborn()), 15))
    assert run["status"] == "ok"
    assert ended_after(run) == 16


def test_end_waits_for_a_stubborn_renewal_a_sixth_of_a_short_lease() -> None:
    """A second is longer than a lease of 1.2 s lasts: the wait ends while others still wait."""

    async def stubborn() -> bool:
        for _ in range(3):  # it is cancelled at 0.5 s, when the block ends, and at 0.6 s
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
        return True

    async def work() -> None:
        async with renewed(Lessor(lambda _now: stubborn()).renew, timedelta(seconds=1.2), "it"):
            await asyncio.sleep(0.5)  # the renewal began at 0.4

    assert ended_after(at_three(work)) == pytest.approx(0.7)


def test_renewal_that_loses_its_cancellation_ends_all_the_same(
    asyncio_log: Callable[[], list[str]],
) -> None:
    """asyncio.wait_for of Python 3.11 answers in place of being cancelled; nothing comes of it."""

    async def deaf() -> bool:
        with contextlib.suppress(asyncio.CancelledError):
            await hang()
        return True

    lessor = Lessor(lambda _now: deaf())
    assert ended_after(at_three(leased(lessor, 12))) == 12
    assert lessor.asked == [10]
    assert asyncio_log() == []


def test_crashed_holder_renews_nothing() -> None:
    """The renewals die with their process."""
    lessor = Lessor()
    crash = Crash("A", kst(2026, 5, 10, 3, 0, 15))
    assert at_three(leased(lessor, 100), [crash])["status"] == "cancelled"
    assert lessor.asked == [10]


def test_one_line_is_logged_an_outage(our_log: pytest.LogCaptureFixture) -> None:
    """Two outages, of many failed renewals each, are two lines, without a password."""
    first, second = away(after=20, until=30), away(after=60, until=70)
    lessor = Lessor(lambda now: first(now) and second(now))
    with our_log.at_level(logging.WARNING, "kst_scheduler.once.lease"):
        assert at_three(leased(lessor, 100))["status"] == "ok"
    line = (
        "lock 'nps' could not be renewed: "
        "ConnectionError: Error 111 connecting to redis://app:***@db:6379"
    )
    assert our_log.messages == [line, line]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer in time"),
        (TimeoutError("5 s are over"), "TimeoutError: 5 s are over"),
        (ConnectionError(), "ConnectionError: "),
    ],
)
def test_reason_of_an_error_is_what_it_says(error: Exception, said: str) -> None:
    """Only a time limit that says nothing is put into words."""
    assert reason_of(error) == said


def test_error_says_nothing_of_how_it_was_stopped() -> None:
    """The cancellation by which the job was stopped is no cause that a reader must see."""

    async def lose() -> bool:
        return False

    async def work() -> None:
        with pytest.raises(LeaseLostError) as caught:
            async with renewed(lose, TTL, "lock 'nps'"):
                await asyncio.sleep(100)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    assert at_three(work)["status"] == "ok"
