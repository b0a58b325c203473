"""The queue in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from procrastinate import RetryStrategy
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Status

from handed_off import fire
from in_loop import in_loop
from kst_scheduler.distributed import hand_off, queue, task_app, work
from kst_scheduler.distributed.names import QUEUE, TASK, queue_of
from kst_scheduler.distributed.queue import TaskQueue
from kst_scheduler.distributed.task_manager import requeue
from kst_scheduler.distributed.worker import _requeue_stalled
from kst_scheduler.errors import KSTSchedulerError, LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.scheduler.kept_writes import LedgerJob, kept_writes
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import KST, UTC
from kst_scheduler.triggers.factories import every
from ledgers import run_sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from procrastinate import App

HOUR = timedelta(hours=1)
DUE = datetime.now(KST).replace(microsecond=0) - timedelta(seconds=5)
BEFORE = DUE - timedelta(seconds=1)
NPS = Occurrence("nps", DUE)


class Database:
    """A ledger and a queue in one database, and a scheduler whose jobs are handed off."""

    def __init__(self, ledger: SqlLedger, app: App) -> None:
        self.ledger = ledger
        self.app = app
        self.queue = TaskQueue(app)
        self.scheduler = KSTScheduler()
        self.reconciler = Reconciler(self.scheduler, ledger, delay=timedelta(0))

    def add(self, job_id: str = "nps", seconds: float = 0, **options: Any) -> Any:
        """Add a job that is handed off, and was due some seconds ago; or another in its place."""

        async def crawl() -> int:
            await asyncio.sleep(seconds)
            return 7

        job = once(self.ledger, **{"catch_up": HOUR, **options})(crawl)
        handed = hand_off(job, self.app)
        self.scheduler.add_job(handed, every(weeks=1, anchor=DUE), id=job_id, replace_existing=True)
        return handed

    async def tasks(self, **filters: Any) -> list[Any]:
        """Return the tasks in the queue."""
        return list(await self.app.job_manager.list_jobs_async(queue=queue_of(self.app), **filters))

    async def idle(self) -> None:
        """Return when the scheduler has put everything into the queue."""
        while self.scheduler.running_occurrences():  # noqa: ASYNC110 - the library has no event
            await asyncio.sleep(0.001)

    async def worked_off(self, **options: Any) -> None:
        """Run a worker until the queue is empty."""
        working = asyncio.create_task(work(self.app, self.scheduler, **options))
        async with asyncio.timeout(30):
            while await self.tasks():
                assert not working.done(), working
                await asyncio.sleep(0.02)
        working.cancel()
        await asyncio.wait([working])


@contextlib.asynccontextmanager
async def database(url: str, namespace: str = "") -> AsyncIterator[Database]:
    """Yield a database that is open."""
    ledger = SqlLedger(url, namespace=namespace)
    await ledger.open()
    try:
        async with task_app(url, namespace=namespace).open_async() as app:
            database = Database(ledger, app)
            yield database
            await database.scheduler.drain(1)
    finally:
        await ledger.close()


@in_loop
async def test_a_worker_that_stops_writes_what_it_has_kept(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Or says that it is lost with the process, as a drain does."""
    async with database(postgres_url) as here:
        tried: list[bool] = []
        is_back = False

        async def write() -> bool:
            tried.append(is_back)
            return is_back

        for is_back in (False, True):
            kept_writes().keep(LedgerJob(0, "nps"), 1, write)
            tried.clear()
            working = asyncio.create_task(work(here.app, here.scheduler))
            await asyncio.sleep(0)
            working.cancel()
            await asyncio.wait([working])
            assert tried[-1] == is_back
            assert ("1 outcome(s) are not written" in caplog.text) == (not is_back)
            caplog.clear()
        assert kept_writes().are_written(0)


@pytest.mark.parametrize("namespace", ["billing", "결제 " * 100])
@in_loop
async def test_two_services_hand_off_in_one_database(postgres_url: str, namespace: str) -> None:
    """With one job id and one due time: each worker runs what its own service has handed off."""
    async with database(postgres_url) as first, database(postgres_url, namespace) as second:
        for each in (first, second):
            await fire(each.add(), NPS)
        assert await first.queue.waiting("nps") == {DUE.astimezone(UTC)}
        assert len(await first.tasks()) == len(await second.tasks()) == 1
        await second.worked_off()
        assert await second.queue.waiting("nps") == set()
        assert [row.status for row in await second.ledger.rows()] == ["ok"]
        assert [row.status for row in await first.ledger.rows()] == []
        assert len(await first.tasks()) == 1
        await first.worked_off()
        assert [row.status for row in await first.ledger.rows()] == ["ok"]


@in_loop
async def test_a_retry_in_one_namespace_holds_up_none_of_another(postgres_url: str) -> None:
    """The lock of a task that is tried again is of its namespace, too."""
    async with database(postgres_url) as first, database(postgres_url, "billing") as second:
        failed: list[str] = []
        for each in (first, second):
            job = once(each.ledger, catch_up=HOUR)(partial(_fail_once, failed, each))
            handed = hand_off(job, each.app, retry=RetryStrategy(max_attempts=3, wait=0))
            each.scheduler.add_job(handed, every(weeks=1, anchor=DUE), id="nps")
            await fire(handed, NPS)
        await asyncio.gather(first.worked_off(), second.worked_off())
        for each in (first, second):
            assert [(row.status, row.attempt) for row in await each.ledger.rows()] == [("ok", 2)]


async def _fail_once(failed: list[str], of: Database) -> int:
    if of.ledger.namespace in failed:
        return 7
    failed.append(of.ledger.namespace)
    raise ValueError("once")


@in_loop
async def test_processes_that_come_at_once_create_the_tables_once(postgres_url: str) -> None:
    """Procrastinate's own creation of them fails for all but one."""
    apps = [task_app(postgres_url) for _ in range(6)]
    await asyncio.gather(*(app.open_async() for app in apps))
    for app in apps:
        assert await app.check_connection_async()
        await app.open_async()
        await app.close_async()
    async with apps[0].open_async() as again:
        assert await again.check_connection_async()


@in_loop
async def test_nothing_connects_before_it_is_used(postgres_url: str) -> None:
    """Opened by the first fire; closing what was never opened does nothing."""
    app = task_app(postgres_url)
    await app.close_async()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_class WHERE relname LIKE 'procrastinate%'"
        assert connection.execute(query).fetchone() == (0,)
    ledger = SqlLedger(postgres_url)

    @once(ledger)
    async def job() -> None: ...

    await fire(hand_off(job, app), NPS)
    assert len(list(await app.job_manager.list_jobs_async(task=TASK))) == 1
    await app.close_async()


@pytest.mark.parametrize(
    "use",
    [TaskQueue.prove_usable, partial(TaskQueue.waiting, job_id="nps")],
    ids=["prove_usable", "waiting"],
)
@in_loop
async def test_a_queue_is_opened_by_its_first_use(
    postgres_url: str, use: Callable[[TaskQueue], Awaitable[object]]
) -> None:
    """A service is probed, and its jobs are looked at, before its first fire."""
    app = task_app(postgres_url)
    try:
        await use(TaskQueue(app))
    finally:
        await app.close_async()


@in_loop
async def test_a_postgresql_that_is_away_is_an_error_in_time() -> None:
    """Of the job's patience; nothing is left behind that goes on connecting."""
    app = task_app("postgresql://app:secret@127.0.0.1:1/crawl")

    @once(SqlLedger("postgresql://app:secret@127.0.0.1:1/crawl"), patience=timedelta(seconds=0.3))
    async def job() -> None: ...

    with pytest.raises(LedgerUnavailableError, match=r"^the hand-off of nps@.* was given up after"):
        await fire(hand_off(job, app), NPS)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_loop
async def test_an_outage_of_the_queue_is_one_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the statement is tried again, and without the password."""
    monkeypatch.setattr(queue, "SECONDS_BETWEEN_TRIES", 0)
    connector = task_app("postgresql://app:secret@127.0.0.1:1/crawl").connector
    assert isinstance(connector, queue.Connector)
    tries = 0

    async def statement() -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise ConnectorException from psycopg.OperationalError("the server closed it")

    caplog.set_level("INFO")
    await connector._retry_while_away(statement)
    assert tries == 4
    assert caplog.messages == [
        "the queue in postgresql://app:***@127.0.0.1:1/crawl is away: the server closed it",
        "the queue in postgresql://app:***@127.0.0.1:1/crawl is back",
    ]


@in_loop
async def test_the_queue_tells_what_waits(postgres_url: str) -> None:
    """Of one job, at work or not yet, in UTC and whole seconds; runs by hand do not count."""
    async with database(postgres_url) as here:
        job = here.add()
        moments = [DUE - timedelta(minutes=minute) for minute in range(3)]
        for moment in moments:
            await fire(job, Occurrence("nps", moment + timedelta(microseconds=5)))
        await fire(job, Occurrence("nps", moments[0] - HOUR, manual=True))
        await fire(job, Occurrence("other", moments[0]))
        queue = TaskQueue(here.app)
        assert await queue.waiting("nps") == {moment.astimezone(UTC) for moment in moments}
        assert await queue.waiting("nobody") == set()
        worker = await here.app.job_manager.register_worker()
        taken = await here.app.job_manager.fetch_job([QUEUE], worker)
        assert taken is not None
        assert len(await queue.waiting("nps")) == 3
        await here.app.job_manager.retry_job(taken)


@in_loop
async def test_a_full_queue_loses_nothing(postgres_url: str) -> None:
    """A hundred jobs wait, no worker is there: all are left alone, and then all are run."""
    async with database(postgres_url) as here:
        names = {f"job-{number}" for number in range(100)}
        for name in names:
            await here.ledger.advance_watermark(name, BEFORE)
            await fire(here.add(name), Occurrence(name, DUE))
        here.scheduler.start()
        assert (await here.reconciler.reconcile()).nothing_to_do
        assert len(await here.tasks(status="todo")) == 100
        await here.worked_off(concurrency=10)
        assert (await here.reconciler.reconcile()).nothing_to_do
        rows = await here.ledger.rows()
    assert {row.source for row in rows} == names
    assert {(row.scheduled_at, row.status, row.attempt) for row in rows} == {(DUE, "ok", 1)}


@in_loop
async def test_what_waits_for_longer_than_its_window_is_missed(postgres_url: str) -> None:
    """Where there is no worker, the Reconciler of a scheduler says so; a late worker does not."""
    async with database(postgres_url) as here:
        job = here.add(catch_up=timedelta(seconds=1))
        await here.ledger.advance_watermark("nps", BEFORE)
        await fire(job, NPS)
        here.scheduler.start()
        (missed,) = (await here.reconciler.reconcile()).missed
        assert missed.error is not None
        assert missed.error.endswith("late, catch-up window 0:00:01; it waits for a worker")
        await here.worked_off()
        (row,) = await here.ledger.rows()
    assert row == missed


@in_loop
async def test_what_nobody_handed_off_is_handed_off_by_the_reconciler(postgres_url: str) -> None:
    """All schedulers were down when it was due: it is put into the queue once, and run."""
    async with database(postgres_url) as here:
        here.add()
        await here.ledger.advance_watermark("nps", BEFORE)
        here.scheduler.start()
        (started,) = (await here.reconciler.reconcile()).started
        await here.idle()
        assert (await here.reconciler.reconcile()).nothing_to_do
        (task,) = await here.tasks()
        assert task.queueing_lock == started.key
        await here.worked_off()
        (row,) = await here.ledger.rows()
    assert (row.occurrence, row.status) == (started, "ok")


@in_loop
async def test_the_task_of_a_dead_worker_waits_again(postgres_url: str) -> None:
    """Or is dropped where another task waits for the same occurrence."""
    async with database(postgres_url) as here:
        job, manager = here.add(), here.app.job_manager
        for another_waits in (False, True):
            await fire(job, NPS)
            worker = await manager.register_worker()
            assert await manager.fetch_job([QUEUE], worker)
            await _requeue_stalled(here.app, 30)
            assert [task.status for task in await here.tasks()] == ["doing"]
            if another_waits:
                await fire(job, NPS)
            await manager.unregister_worker(worker)
            await _requeue_stalled(here.app, 30)
            assert [task.status for task in await here.tasks()] == ["todo"]


@in_loop
async def test_two_workers_free_a_task_at_once(postgres_url: str) -> None:
    """The second finds it waiting already, which is no error; of a task not taken here it is."""
    async with database(postgres_url) as here:
        manager = here.app.job_manager
        await fire(here.add(), NPS)
        task = await manager.fetch_job([QUEUE], await manager.register_worker())
        assert task is not None
        for _ in range(2):
            await requeue(manager, task)
            assert [each.attempts for each in await here.tasks(status="todo")] == [1]
        with pytest.raises(ConnectorException):
            await manager.finish_job_by_id_async(-1, Status.SUCCEEDED, delete_job=True)


@in_loop
async def test_two_tasks_for_an_occurrence_cannot_wait(postgres_url: str) -> None:
    """What Procrastinate 3.10.0 does when a task goes back to where another one waits."""
    async with database(postgres_url) as here:
        job, manager = here.add(), here.app.job_manager
        await fire(job, NPS)
        task = await manager.fetch_job([QUEUE], await manager.register_worker())
        assert task is not None
        await fire(job, NPS)
        with pytest.raises(UniqueViolation):
            await manager.retry_job(task)


@in_loop
async def test_a_late_replica_s_task_makes_room_for_the_retry(postgres_url: str) -> None:
    """The task that ran the occurrence goes back to the queue, and the later one is dropped."""
    async with database(postgres_url) as here:

        async def crawl() -> int:
            (row,) = await here.ledger.rows()
            if row.attempt == 1:
                await fire(handed, NPS)
                raise ValueError("no such page")
            return 7

        job = once(here.ledger, catch_up=HOUR)(crawl)
        handed = hand_off(job, here.app, retry=RetryStrategy(max_attempts=1, wait=1))
        here.scheduler.add_job(handed, every(weeks=1, anchor=DUE), id="nps")
        await fire(handed, NPS)
        await here.worked_off(concurrency=1)
        (row,) = await here.ledger.rows()
    assert (row.status, row.attempt) == ("ok", 2)


@in_loop
async def test_a_worker_that_stops_lets_runs_end(postgres_url: str) -> None:
    """Within its limit; what is cut is cancelled, waits again, and is run by the next worker."""
    async with database(postgres_url) as here:
        job = here.add("short", seconds=0.3)
        await fire(job, Occurrence("short", DUE))
        await stopped_in_the_middle(here, "short", drain_timeout=20)
        assert await here.tasks() == []
        job = here.add("long", seconds=60)
        await fire(job, Occurrence("long", DUE))
        await stopped_in_the_middle(here, "long", drain_timeout=0.1)
        (task,) = await here.tasks()
        assert (task.status, task.lock) == ("todo", Occurrence("long", DUE).key)
        here.add("long")
        await here.worked_off()
        rows = {row.source: row for row in await here.ledger.rows()}
    assert (rows["short"].status, rows["short"].attempt) == ("ok", 1)
    assert (rows["long"].status, rows["long"].attempt) == ("ok", 2)
    assert rows["long"].error is not None
    assert rows["long"].error.endswith("ended as cancelled")


async def stopped_in_the_middle(here: Database, job_id: str, drain_timeout: float) -> None:
    """Run a worker, and tell it to stop when a job is at work."""
    worker = work(here.app, here.scheduler, drain_timeout=drain_timeout)
    working = asyncio.create_task(worker)
    async with asyncio.timeout(30):
        while not await here.ledger.rows(job_id, status="running"):  # noqa: ASYNC110 - the worker's
            await asyncio.sleep(0.01)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


@in_loop
async def test_taking_a_task_reads_no_other(postgres_url: str) -> None:
    """However many wait: Procrastinate 3.10.0 has PostgreSQL read and sort all, for each."""
    count = 2_000
    async with task_app(postgres_url).open_async() as app:
        task: Any = app.tasks[TASK]
        await task.batch_defer_async(*({"job_id": str(number)} for number in range(count)))
        worker = await app.job_manager.register_worker()
        read = [await tuples_read(app)]
        taken = [await app.job_manager.fetch_job([QUEUE], worker) for _ in range(20)]
        read.append(await tuples_read(app))
    assert [job and job.task_kwargs["job_id"] for job in taken] == [str(n) for n in range(20)]
    assert read[1] - read[0] < count


async def tuples_read(app: App) -> int:
    """Return how many rows of tasks the only session of an app has read."""
    ask = app.connector.execute_query_all_async
    await ask("SELECT pg_stat_force_next_flush()")
    (row,) = await ask(
        "SELECT seq_tup_read + idx_tup_fetch AS read FROM pg_stat_user_tables "
        "WHERE relname = 'procrastinate_jobs'"
    )
    return int(row["read"])


@in_loop
async def test_tables_of_another_version_are_refused(postgres_url: str) -> None:
    """At the start, and in one line, where each statement would fail later."""
    async with database(postgres_url):
        pass
    run_sql(postgres_url, "DROP FUNCTION procrastinate_fetch_job_v2")
    app = task_app(postgres_url)
    with pytest.raises(KSTSchedulerError, match=r"another version than procrastinate 3\.") as error:
        await work(app, KSTScheduler())
    await app.close_async()
    assert "there is no function procrastinate_fetch_job_v2; apply the migrations" in str(
        error.value
    )
    assert "\n" not in str(error.value)


@in_loop
async def test_a_worker_whose_tables_go_ends_and_says_so(postgres_url: str) -> None:
    """Once: it does not start again every second for ever."""
    async with database(postgres_url) as here:
        here.add("nps")
        working = asyncio.create_task(work(here.app, here.scheduler))
        async with asyncio.timeout(30):
            while not run_sql(postgres_url, "SELECT 1 FROM procrastinate_workers"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            run_sql(postgres_url, "DROP TABLE procrastinate_jobs CASCADE")
            with pytest.raises(KSTSchedulerError, match=r"cannot be used: .*; are its tables gone"):
                await working
