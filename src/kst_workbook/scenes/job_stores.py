"""What a job store in PostgreSQL goes through in a service, done to it on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any, Final

import psycopg
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from psycopg.sql import SQL, Identifier
from sqlalchemy import event, make_url

if TYPE_CHECKING:
    from pathlib import Path

ROUND_TRIP: Final = 0.002
"""Seconds that a statement takes to a database in the same data centre, and back."""

_URL: Final = "JOB_STORE_URL"
_OF_A_STORE: Final = ("SELECT apscheduler_jobs", "UPDATE", "DELETE")
_CLOSE: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def create_database(server_url: str, name: str) -> str:
    """Create an empty database in the place of an older one of that name; return its URL."""
    drop_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    url = make_url(server_url).set(drivername="postgresql", database=name)
    return url.render_as_string(hide_password=False)


def drop_database(server_url: str, name: str) -> None:
    """Drop a database, whoever is still connected to it; do nothing where there is none."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(drop.format(Identifier(name)))


def close_others(connection: psycopg.Connection[Any]) -> None:
    """Close all other connections to a connection's database, as its restart closes all."""
    connection.execute(_CLOSE)


def far_away(store: SQLAlchemyJobStore) -> SQLAlchemyJobStore:
    """Let each statement of a store take its time, in a simulation, and return the store."""

    @event.listens_for(store.engine, "before_cursor_execute")
    def _travel(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        # Of a start's own statements none: two that create the table at once would collide.
        if statement.startswith(_OF_A_STORE):
            with contextlib.suppress(RuntimeError):  # no time passes after the end
                time.sleep(ROUND_TRIP)

    return store


async def list_jobs_elsewhere(url: str, folder: str | Path) -> list[str]:
    """Let another process list the jobs of a store; return what it logged, an error in a line.

    Its scheduler is the lesson's, paused. It finds modules in ``folder``.
    """
    environment = os.environ | {_URL: url}  # a command line is public
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        cwd=folder,
        env=environment,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    _, log = await process.communicate()
    return log.decode().splitlines()


class _WithoutTraceback(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return f"{ei[0].__name__}: {ei[1]}"


async def _list_jobs() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_WithoutTraceback())
    logging.getLogger("apscheduler").addHandler(handler)
    store = SQLAlchemyJobStore(url=os.environ[_URL])
    scheduler = AsyncIOScheduler(jobstores={"default": store})
    scheduler.start(paused=True)
    scheduler.get_jobs()


if __name__ == "__main__":
    asyncio.run(_list_jobs())
