"""Sessions of the queue that PostgreSQL ends, and answers that are lost with them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import psycopg
from procrastinate import PsycopgConnector
from procrastinate.exceptions import ConnectorException

from handed_off import NOWHERE, fire
from in_loop import in_loop
from kst_scheduler.distributed import hand_off, queue, task_app, work, worker
from kst_scheduler.distributed.names import QUEUE
from kst_scheduler.distributed.queue import QUEUE_CONNECTIONS
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import cron
from ledgers import end_sessions, run_sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest
    from procrastinate import App
    from procrastinate.jobs import Job

DUE = datetime.now(KST).replace(microsecond=0)
SECONDS = 60
"""For how long anything is waited for."""
WORKERS = "SELECT id FROM procrastinate_workers"
SILENCE = "UPDATE procrastinate_workers SET last_heartbeat = now() - INTERVAL '1 day'"


@in_loop
async def test_a_statement_meets_one_ended_session_at_most(postgres_url: str) -> None:
    """The pool would hand out each of them in turn, and pause for longer after each."""
    async with task_app(postgres_url).open_async() as app:
        ask = functools.partial(app.connector.execute_query_all_async, "SELECT pg_sleep(0.1)")
        await asyncio.gather(*(ask() for _ in range(QUEUE_CONNECTIONS)))
        end_sessions(postgres_url)
        async with asyncio.timeout(5):  # all of them take 15 s
            await app.connector.execute_query_all_async("SELECT 1")


@in_loop
async def test_the_pool_never_gives_up_nor_waits_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Psycopg's doubles each pause for five minutes, then waits until somebody asks for more."""
    monkeypatch.setattr(queue, "RECONNECT_SECONDS", 0.1)
    opening = asyncio.create_task(task_app(NOWHERE).open_async().__aenter__())
    async with asyncio.timeout(SECONDS):
        while caplog.text.count("reconnection attempt in pool") < 3:  # noqa: ASYNC110 - psycopg's
            await asyncio.sleep(0.01)
    opening.cancel()
    await asyncio.wait([opening])
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Losing:
    """Loses the answer to a statement of the queue: it is done, and its session ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost = 0
        self._function = ""
        for method in ("execute_query_one_async", "execute_query_async"):
            monkeypatch.setattr(PsycopgConnector, method, self._losing(method))

    def lose_next(self, function: str) -> None:
        """Lose the next answer of a function that would say that something was done."""
        self._function = function

    def _losing(self, method: str) -> Callable[..., Any]:
        ask = getattr(PsycopgConnector, method)

        async def run(connector: PsycopgConnector, query: str, **arguments: Any) -> Any:
            answer = await ask(connector, query, **arguments)
            is_meant = self._function and self._function in query
            if not is_meant or (answer is not None and answer["id"] is None):
                return answer
            self._function = ""
            self.lost += 1
            error = ConnectorException()
            error.__cause__ = psycopg.OperationalError("server closed the connection unexpectedly")
            raise error

        return run


class Worked:
    """A worker of two places, in one of which a long run is at work."""

    def __init__(self, app: App, ledger: SqlLedger) -> None:
        self.app = app
        self.ledger = ledger
        self.scheduler = KSTScheduler()
        self.release = asyncio.Event()
        self.runs: list[str] = []
        self.job = hand_off(once(ledger, catch_up=timedelta(hours=1))(self.crawl), app)
        for name in ("long", "one", "two"):
            self.scheduler.add_job(self.job, cron(hour=3), id=name)

    async def crawl(self) -> None:
        """Note the run; the long one waits to be released."""
        name = current_occurrence().job_id
        self.runs.append(name)
        if name == "long":
            await self.release.wait()

    async def until(self, name: str, status: str) -> None:
        """Wait until a job's run is so."""
        async with asyncio.timeout(SECONDS):
            while not await self.ledger.rows(name, status=status):  # noqa: ASYNC110 - the worker's
                await asyncio.sleep(0.02)

    async def until_left(self, count: int) -> list[Job]:
        """Wait until the queue holds no more than so many tasks, and return them."""
        manager = self.app.job_manager
        async with asyncio.timeout(SECONDS):
            while len(tasks := list(await manager.list_jobs_async())) > count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return tasks


@contextlib.asynccontextmanager
async def worked(url: str) -> AsyncIterator[Worked]:
    """Yield a worker that is at the long run."""
    ledger = SqlLedger(url)
    await ledger.open()
    async with task_app(url).open_async() as app:
        here = Worked(app, ledger)
        await fire(here.job, Occurrence("long", DUE))
        working = asyncio.create_task(work(app, here.scheduler, concurrency=2))
        try:
            await here.until("long", "running")
            yield here
        finally:
            working.cancel()
            await asyncio.wait([working])
            await ledger.close()


@in_loop
async def test_a_long_run_keeps_no_worker_from_taking_tasks(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Procrastinate's worker takes no more when its question for a task fails."""
    async with worked(postgres_url) as here:
        losing = Losing(monkeypatch)
        losing.lose_next("procrastinate_fetch_job")
        await fire(here.job, Occurrence("one", DUE))
        await here.until("one", "ok")  # the task whose answer was lost
        await fire(here.job, Occurrence("two", DUE))
        await here.until("two", "ok")
        (long,) = await here.until_left(1)
        assert long.attempts == 0  # it was in hand, and not put back
        here.release.set()
        await here.until("long", "ok")
        await here.until_left(0)
    assert losing.lost == 1
    assert sorted(here.runs) == ["long", "one", "two"]


@in_loop
async def test_an_end_that_was_written_is_no_error(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, asyncio_log: Callable[[], list[str]]
) -> None:
    """It is asked for again, as its answer was lost, and there is nothing left to end."""
    async with worked(postgres_url) as here:
        losing = Losing(monkeypatch)
        losing.lose_next("procrastinate_finish_job")
        await fire(here.job, Occurrence("one", DUE))
        await here.until("one", "ok")
        here.release.set()
        await here.until_left(0)
        assert losing.lost == 1
    assert asyncio_log() == []


@in_loop
async def test_a_worker_that_was_given_up_registers_again(postgres_url: str) -> None:
    """It was frozen, say, and another one that started has deleted its row.

    Procrastinate's worker then takes no more until all of its runs have ended.
    """
    async with worked(postgres_url) as here:
        run_sql(postgres_url, "DELETE FROM procrastinate_workers")
        await fire(here.job, Occurrence("one", DUE))
        await here.until("one", "ok")
        assert await here.ledger.rows("long", status="running")
        here.release.set()
        await here.until("long", "ok")
        await here.until_left(0)
    assert run_sql(postgres_url, WORKERS) == []


@in_loop
async def test_a_worker_that_registered_again_shows_that_it_lives(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its new number, which Procrastinate's worker does not know."""
    async with task_app(postgres_url).open_async() as app:
        manager, losing = app.job_manager, Losing(monkeypatch)
        number = await manager.register_worker()
        run_sql(postgres_url, "DELETE FROM procrastinate_workers")
        for name in ("one", "two"):
            await app.configure_task("other", queue="others", lock=name).defer_async()
        assert await manager.fetch_job(["others"], number) is None  # it is refused
        losing.lose_next("procrastinate_fetch_job")
        assert await manager.fetch_job(["others"], number) is None
        tasks = [await manager.fetch_job(["others"], number) for _ in range(3)]
        first, second = (task.worker_id for task in tasks if task is not None)
        assert first == second != number
        own = f"FROM procrastinate_workers WHERE id = {first}"
        run_sql(postgres_url, "UPDATE procrastinate_workers SET last_heartbeat = '2020-01-01'")
        await manager.update_heartbeat(number)
        assert run_sql(postgres_url, f"SELECT last_heartbeat > '2020-01-01' {own}") == [(True,)]
        await manager.unregister_worker(number)
        assert run_sql(postgres_url, f"SELECT id {own}") == []


@in_loop
async def test_a_task_that_is_given_late_is_put_back(postgres_url: str) -> None:
    """Its COMMIT waited, say for a standby, until its worker had asked which tasks it has."""
    async with task_app(postgres_url).open_async() as app:
        manager = app.job_manager
        number = await manager.register_worker()
        for name in ("in hand", "late"):
            await app.configure_task("other", queue="others", lock=name).defer_async()
        in_hand = await manager.fetch_job(["others"], number)
        assert in_hand is not None
        run_sql(postgres_url, f"SELECT procrastinate_fetch_job_v2(ARRAY['others'], {number})")
        assert len(list(await manager.list_jobs_async(status="doing"))) == 2
        await manager.update_heartbeat(number)
        (doing,) = await manager.list_jobs_async(status="doing")
        assert doing.id == in_hand.id
        late = await manager.fetch_job(["others"], number)
        assert late is not None
        assert (late.lock, late.attempts) == ("late", 1)


@in_loop
async def test_a_worker_that_starts_after_an_outage_takes_no_live_one_for_dead(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an outage no worker can show that it lives, and supervisors start those that ended."""
    look = AsyncMock()
    monkeypatch.setattr(worker, "_requeue_stalled", look)
    async with task_app(postgres_url).open_async() as app, task_app(postgres_url).open_async() as b:
        manager = app.job_manager
        number = await manager.register_worker()
        await app.configure_task("other", queue=QUEUE).defer_async()
        assert await manager.fetch_job([QUEUE], number)
        run_sql(postgres_url, SILENCE)
        working = asyncio.create_task(work(b, KSTScheduler(), stalled_after=timedelta(minutes=5)))
        try:
            async with asyncio.timeout(SECONDS):
                while not run_sql(postgres_url, f"{WORKERS} WHERE id > {number}"):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            look.assert_not_awaited()  # it comes after a third of stalled_after
            await manager.update_heartbeat(number)
            (task,) = await manager.list_jobs_async()
            assert (task.status, task.worker_id) == ("doing", number)
        finally:
            working.cancel()
            await asyncio.wait([working])


@in_loop
async def test_a_look_deletes_the_rows_of_silent_workers(postgres_url: str) -> None:
    """Once their tasks wait again."""
    async with task_app(postgres_url).open_async() as app:
        await app.job_manager.register_worker()
        run_sql(postgres_url, SILENCE)
        alive = await app.job_manager.register_worker()
        await worker._requeue_stalled(app, 30, was_away=True)
        assert len(run_sql(postgres_url, WORKERS)) == 2
        await worker._requeue_stalled(app, 30)
        assert run_sql(postgres_url, WORKERS) == [(alive,)]
