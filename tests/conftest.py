"""What the unit tests have in common."""

from __future__ import annotations

import gc
import logging
import sys
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from kst_scheduler.servers.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# By a call and not by MPLBACKEND: the notebooks' kernels would inherit the variable, and lose
# their inline pictures.
mpl.use("Agg")

# No deadline: a machine that is busy with something else is no defect. The same examples every
# time: a test does not depend on luck. `--hypothesis-profile=fresh` draws new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("fresh", deadline=None)
settings.load_profile("fixed")
# Hypothesis also draws what it reads as constants in the modules that are loaded, so the examples
# would depend on which tests ran before in the same process.
providers._get_local_constants = Constants


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """Put back the levels that a command sets for its whole process, when a test calls it here."""
    names = (None, "httpx", "procrastinate", "psycopg.pool", "apscheduler", "kst_scheduler")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def _closed_job_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what simulated processes leave open when they end: Python 3.13 began to warn of it."""
    module = sys.modules.get("apscheduler.jobstores.sqlalchemy")  # dear to import, and seldom used
    if module is None:
        yield
        return
    made: list[Any] = []
    make = module.SQLAlchemyJobStore.__init__

    def note(store: Any, *args: Any, **kwargs: Any) -> None:
        make(store, *args, **kwargs)
        made.append(store)

    monkeypatch.setattr(module.SQLAlchemyJobStore, "__init__", note)
    yield
    for store in made:
        store.engine.dispose()


_FREED = ("exception was never retrieved", "was destroyed but it is pending")
"""What asyncio reports of a task when that is freed."""


def _is_no_freed_task(record: logging.LogRecord) -> bool:
    return record.name != "asyncio" or not any(part in record.getMessage() for part in _FREED)


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Leave out the reports of freed tasks: an earlier test may have left these in a cycle."""
    caplog.handler.addFilter(_is_no_freed_task)
    yield caplog
    caplog.handler.removeFilter(_is_no_freed_task)


class _Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def asyncio_log() -> Iterator[Callable[[], list[str]]]:
    """Yield a function that returns what asyncio has logged, also of tasks that only gc frees."""
    gc.collect()  # tasks of earlier tests
    handler, logger = _Messages(), logging.getLogger("asyncio")

    def collected() -> list[str]:
        gc.collect()
        return handler.messages

    logger.addHandler(handler)
    yield collected
    logger.removeHandler(handler)


@pytest.fixture
def our_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Yield what this package logs, in a simulation too, which keeps it from pytest's caplog."""
    logger = logging.getLogger("kst_scheduler")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)
    logger.propagate = propagate


# These two never look at REDIS_URL and DATABASE_URL: a test empties what it finds.
@pytest.fixture(scope="session")
def _valkey() -> Iterator[EmbeddedServer]:
    """Start one Valkey for this process, when a test asks for it first."""
    from kst_scheduler.servers.valkey import Valkey

    with EmbeddedServer(Valkey()) as server:
        yield server


@pytest.fixture(scope="session")
def _postgres() -> Iterator[EmbeddedServer]:
    """Start one PostgreSQL for this process, when a test asks for it first."""
    from kst_scheduler.servers.postgres import Postgres

    with EmbeddedServer(Postgres()) as server:
        yield server


@pytest.fixture
def valkey_url(_valkey: EmbeddedServer) -> str:
    """Return the URL of a real Valkey that is empty."""
    import redis

    with redis.from_url(_valkey.url) as client:
        client.flushall()
    return _valkey.url


_CLIENTS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'"


@pytest.fixture(scope="session")
def _database(_postgres: EmbeddedServer) -> str:
    """Make the database of the tests; one for each test takes five times as long."""
    import psycopg

    with psycopg.connect(_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE test")
    return _postgres.url.removesuffix("postgres") + "test"


@pytest.fixture
def postgres_url(_database: str) -> Iterator[str]:
    """Yield the URL of a database of a real PostgreSQL that is empty; emptied afterwards."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    yield _database
    with psycopg.connect(_database, autocommit=True) as connection:
        connection.execute(_CLIENTS)
        for (schema,) in connection.execute(_SCHEMAS).fetchall():
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
        connection.execute("CREATE SCHEMA public")
