"""What the unit tests have in common."""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest
from hypothesis import settings

from kst_scheduler.servers.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# By a call and not by MPLBACKEND: the notebooks' kernels would inherit the variable, and lose
# their inline pictures.
mpl.use("Agg")

# No deadline: a machine that is busy with something else is no defect. The same examples every
# time: a test does not depend on luck. `--hypothesis-profile=fresh` draws new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("fresh", deadline=None)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """Put back the levels that a command sets for its whole process, when a test calls it here."""
    names = (None, "httpx", "procrastinate", "psycopg.pool", "apscheduler", "kst_scheduler")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


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


_databases = count(1)


@pytest.fixture
def postgres_url(_postgres: EmbeddedServer) -> Iterator[str]:
    """Yield the URL of a new database of a real PostgreSQL; dropped afterwards."""
    import psycopg

    name = f"test_{next(_databases)}"
    with psycopg.connect(_postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield _postgres.url.removesuffix("postgres") + name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
