"""The queue: one task of Procrastinate, in the PostgreSQL where the ledger is.

Procrastinate's own functions write the queue. Added here:
  - The first process that opens a connector creates the tables; others wait for it.
  - While PostgreSQL restarts, what reports the end of a task or listens for new ones tries again.
    Procrastinate's worker would stop.
  - Sessions that have ended are replaced at once.
Checked on procrastinate 3.10.0 and psycopg_pool 3.3.3.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg_pool
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.schema import SchemaManager
from procrastinate.sql import queries
from psycopg.conninfo import make_conninfo

from kst_scheduler.distributed.names import TASK, queue_name, queue_of
from kst_scheduler.distributed.outages import is_outage, outages, reason_of
from kst_scheduler.distributed.task_manager import TaskManager
from kst_scheduler.distributed.task_runner import RetryWhenAsked, run
from kst_scheduler.errors import InvalidArgumentError, KSTSchedulerError
from kst_scheduler.ledger.connection_string import ConnectionString
from kst_scheduler.ledger.engines import CONNECT_SECONDS, parse_url
from kst_scheduler.scheduler.stored_names import require_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import LiteralString

    import psycopg
    from procrastinate.connector import Notify

QUEUE_CONNECTIONS: Final = 4
"""How many a process holds for the queue at most; a worker has one more, on which it listens."""
SECONDS_BETWEEN_TRIES: Final = 1.0
RECONNECT_SECONDS: Final = 5.0
"""After how long the pool begins again to connect, with short pauses: it doubles each pause."""

_LOCK: Final = int.from_bytes(b"kst-que")
"""Any number that others are unlikely to lock."""
_HAS_TABLES: Final = """
    SELECT 1 FROM pg_class WHERE relname = 'procrastinate_jobs' AND pg_table_is_visible(oid)
"""
"""Unlike to_regclass(), it does not remember, after the wait for the lock, that there was none."""
_IN_HAND: Final = """
    SELECT args->>'scheduled_at' AS moment FROM procrastinate_jobs
    WHERE status IN ('todo', 'doing') AND task_name = %(task)s AND queue_name = %(queue)s
        AND args->>'job_id' = %(job_id)s AND args->>'manual' = 'false'
"""
"""Procrastinate lists whole queues only; a look asks once for each job that has something due."""
FETCH_IN_ORDER: Final = queries["fetch_job"].replace(
    " FROM ", " FROM (SELECT set_config('enable_sort', 'off', true)) AS planner, ", 1
)
"""Takes the first task by the index that has their order. PostgreSQL's statistics are often from
when the queue was empty: then it expects one row, and reads and sorts all that wait, for each task
(github.com/procrastinate-org/procrastinate/issues/1242). The setting ends with the statement."""

_FUNCTION: Final = re.compile(r"\bprocrastinate_\w+_v\d+(?=\()")
_MISSING: Final = """
    SELECT name FROM unnest(%s::text[]) AS name
    WHERE NOT EXISTS (SELECT FROM pg_proc WHERE proname = name AND pg_function_is_visible(oid))
"""
_PROVE_USABLE: Final = """
    SELECT 'procrastinate_defer_jobs_v1(procrastinate_job_to_defer_v1[])'::regprocedure AS defer
    FROM procrastinate_jobs WHERE false FOR UPDATE
"""
"""Fails where the table is gone, or what puts a task into it, and where the server only reads."""

_LOGGER: Final = logging.getLogger(__name__)

T = TypeVar("T")


def task_app(database_url: str, *, namespace: str = "") -> App:
    """Return a Procrastinate app with the one task that runs what was handed off.

    It connects when it is first used, and creates Procrastinate's tables if they are not there.
    ``async with task_app(url).open_async() as app: ...`` closes it again.

    Args:
        database_url: ``postgresql://user:password@host:5432/database``, where the ledger is.
        namespace: that of the ledger; each has a queue of its own, and its own workers.

    Raises:
        InvalidArgumentError: the URL cannot be read, is none of PostgreSQL, or has a parameter that
            cannot be honoured, or the namespace cannot be stored, as in SqlLedger.

    """
    url = parse_url(database_url)
    if not isinstance(url, ConnectionString):
        raise InvalidArgumentError(
            f"tasks cannot wait in {url.drivername}; write "
            "postgresql://user:password@host:5432/database, the address of the ledger"
        )
    app = App(connector=Connector(url))
    app.job_manager = TaskManager(app.connector)
    queue = queue_name(require_name(namespace, "namespace"))
    app.task(name=TASK, queue=queue, retry=RetryWhenAsked(), pass_context=True)(run)
    return app


class Connector(PsycopgConnector):
    """A connector that has its tables when it is open, and outlasts a restart of PostgreSQL."""

    def __init__(self, address: ConnectionString) -> None:
        ours = {"connect_timeout": str(round(CONNECT_SECONDS))}
        super().__init__(
            pool_factory=_pool,
            conninfo=make_conninfo(**ours | address.for_psycopg()),
            min_size=1,
            max_size=QUEUE_CONNECTIONS,
            configure=_one_statement_a_transaction,
        )
        self.where = address.shown()
        """The URL without its password, for messages."""
        self._opening = asyncio.Lock()
        self._is_open = False
        self._listening = _Outage(self.where)

    async def open_async(self, pool: psycopg_pool.AsyncConnectionPool | None = None) -> None:
        """Connect, and create the tables if they are not there; do nothing if it is open."""
        async with self._opening:
            if self._is_open:
                return
            try:
                await _unless_cancelled(partial(self._open, pool))
            except BaseException:
                await self.close_async()
                raise
            self._is_open = True

    async def _open(self, pool: psycopg_pool.AsyncConnectionPool | None) -> None:
        await super().open_async(pool)
        await self._create_tables()

    async def close_async(self) -> None:
        """Let go of all connections."""
        self._is_open = False
        try:
            await super().close_async()
        finally:
            # Procrastinate 3.10.0 keeps a pool whose close was cancelled: it opens no other one.
            self._async_pool = None

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """Run a statement that returns nothing: the end of a task, its retry, a heartbeat.

        If the end of a task was written and the answer was lost, the next try finds no such task,
        and raises. TaskManager takes that for the answer.
        """
        ask = partial(super().execute_query_async, query, **arguments)
        await self._retry_while_away(partial(self._ask, ask))

    async def execute_query_one_async(
        self, query: LiteralString, **arguments: Any
    ) -> dict[str, Any]:
        """Run a statement that may not be run twice: it takes a task."""
        query = FETCH_IN_ORDER if query == queries["fetch_job"] else query
        return await self._ask(partial(super().execute_query_one_async, query, **arguments))

    async def execute_query_all_async(
        self, query: LiteralString, **arguments: Any
    ) -> list[dict[str, Any]]:
        """Run a statement that may be run twice: again on a new session, if one has ended."""
        ask = partial(super().execute_query_all_async, query, **arguments)
        try:
            return await self._ask(ask)
        except ConnectorException as error:
            if not is_outage(error) or isinstance(error.__cause__, psycopg_pool.PoolTimeout):
                raise
        return await self._ask(ask)

    async def _ask(self, statement: Callable[[], Awaitable[T]]) -> T:
        """Run a statement; if its session has ended or only reads, replace all of the pool.

        The pool's own check costs a round trip before each statement, and the pool pauses for 1, 2,
        4 ... seconds after each session that it finds ended (github.com/psycopg/psycopg/pull/711).
        """
        pool = self.pool
        try:
            return await _unless_cancelled(statement)
        except ConnectorException as error:
            if is_outage(error):
                await pool.drain()
            raise

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen for new tasks; try again while PostgreSQL is away. The worker polls meanwhile."""
        listen = partial(super().listen_notify, on_notification, channels)
        await self._retry_while_away(listen, self._listening)

    async def _loop_notify(self, *arguments: Any, **options: Any) -> None:
        """Wait for notifications: Procrastinate 3.10.0 calls this each time that it listens."""
        self._listening.end()
        await super()._loop_notify(*arguments, **options)

    async def _retry_while_away(
        self, statement: Callable[[], Awaitable[None]], outage: _Outage | None = None
    ) -> None:
        """Try a statement again while PostgreSQL is away: once at once, then every second."""
        outage = outage or _Outage(self.where)
        while True:
            try:
                await statement()
            except ConnectorException as error:
                if not is_outage(error):
                    raise
                outage.note(error)
            else:
                outage.end()
                return
            await asyncio.sleep(SECONDS_BETWEEN_TRIES if outage.failures > 1 else 0)

    async def _create_tables(self) -> None:
        async with self.pool.connection() as connection:
            if await _has_tables(connection):
                await self._check_version(connection)
                return
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                if not await _has_tables(connection):
                    await connection.execute(SchemaManager.get_schema())

    async def _check_version(self, connection: psycopg.AsyncConnection) -> None:
        """Refuse what another version of Procrastinate made: each of its statements would fail."""
        needed = sorted({name for query in queries.values() for name in _FUNCTION.findall(query)})
        missing = await (await connection.execute(_MISSING, [needed])).fetchone()
        if missing is not None:
            raise KSTSchedulerError(
                f"the tables of Procrastinate in {self.where} are of another version than "
                f"procrastinate {version('procrastinate')}, which is installed: there is no "
                f"function {missing[0]}; apply the migrations in procrastinate/sql/migrations"
            )


class _Outage:
    """Logs an outage of the queue once, and its end.

    It begins with the second failure in a row: the first one may be of a session that has ended.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self.failures = 0
        """How many in a row."""

    def note(self, error: ConnectorException) -> None:
        """Note a failure."""
        self.failures += 1
        if self.failures == 2:  # noqa: PLR2004 - see above
            _LOGGER.warning("the queue in %s is away: %s", self._where, reason_of(error))

    def end(self) -> None:
        """Note that the queue answers."""
        if self.failures > 1:
            _LOGGER.info("the queue in %s is back", self._where)
        self.failures = 0


class TaskQueue:
    """What waits for workers: the Queue of ``OnceJob``."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def waiting(self, job_id: str) -> set[datetime]:
        """Return the scheduled times, as rows have them, of what waits or is being taken up.

        Raises:
            LedgerUnavailableError: PostgreSQL is away.

        """
        with outages(self._app):
            await self._app.open_async()
            found = await self._app.connector.execute_query_all_async(
                _IN_HAND, task=TASK, queue=queue_of(self._app), job_id=job_id
            )
        return {datetime.fromisoformat(row["moment"]).replace(microsecond=0) for row in found}

    async def prove_usable(self) -> None:
        """Raise what a hand-off would raise now.

        Raises:
            LedgerUnavailableError: PostgreSQL is away.

        """
        with outages(self._app):
            await self._app.open_async()
            await self._app.connector.execute_query_all_async(_PROVE_USABLE)


async def _unless_cancelled(statement: Callable[[], Awaitable[T]]) -> T:
    """Run a statement; raise CancelledError if the task was cancelled meanwhile.

    The pool may lose a cancellation: in Python 3.11, ``asyncio.wait_for`` ignores one that comes in
    the turn of the event loop in which a session becomes free
    (github.com/python/cpython/issues/86296). A loop that only a cancellation ends would then run
    for ever.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is a coroutine
    cancelled = task.cancelling()
    try:
        return await statement()
    finally:
        if task.cancelling() > cancelled:
            raise asyncio.CancelledError


async def _has_tables(connection: psycopg.AsyncConnection) -> bool:
    return await (await connection.execute(_HAS_TABLES)).fetchone() is not None


async def _one_statement_a_transaction(connection: psycopg.AsyncConnection) -> None:
    """Save two round trips a statement; each of Procrastinate's is one by itself."""
    await connection.set_autocommit(True)


class _Pool(psycopg_pool.AsyncConnectionPool):
    """A pool that ends with its event loop, where nobody closes it."""

    @classmethod
    async def worker(cls, *arguments: Any) -> None:
        """Connect and repair, until told to stop or cancelled.

        The pool's own worker ignores a cancellation while it connects, and waits for the next
        connection to make: ``asyncio.run`` would never end.
        """
        working = asyncio.create_task(super().worker(*arguments))
        try:
            await asyncio.wait([working])
        finally:
            while not working.done():
                working.cancel()
                await asyncio.wait([working], timeout=0.1)


def _pool(**options: Any) -> _Pool:
    """Return a pool without Procrastinate's check, which connects anew within seconds."""
    ours = {"check": None, "reconnect_timeout": RECONNECT_SECONDS, "reconnect_failed": _begin_again}
    return _Pool(**options | ours)


async def _begin_again(pool: psycopg_pool.AsyncConnectionPool) -> None:
    """Have the pool connect anew: it does so when it is asked for a connection it does not have."""
    with contextlib.suppress(psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed):
        await pool.putconn(await pool.getconn(timeout=0.01))
