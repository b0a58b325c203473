from __future__ import annotations

import sqlite3

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from in_loop import in_loop
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.ledger.outages import is_outage, outages


def sqlite_error(code: int) -> sqlite3.OperationalError:
    """Return an error of SQLite with an extended result code."""
    error = sqlite3.OperationalError("told by SQLite")
    error.sqlite_errorcode = code
    return error


def wrapped(
    error: Exception, *, invalidated: bool = False, cause: Exception | None = None
) -> DBAPIError:
    """Return an error as SQLAlchemy wraps it, translated from its cause."""
    error.__cause__ = cause
    return DBAPIError("SELECT 1", None, error, connection_invalidated=invalidated)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("refused"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.TooManyConnectionsError("too many"),
        asyncpg.InvalidPasswordError("refused"),
        asyncpg.DiskFullError("no space"),
        asyncpg.ReadOnlySQLTransactionError("a standby"),
        asyncpg.SerializationError("try again"),
        asyncpg.InternalClientError("another operation is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        wrapped(sqlite_error(sqlite3.SQLITE_FULL)),
        wrapped(sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)),
        wrapped(sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT)),
        wrapped(sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED)),
        wrapped(ValueError("no active connection"), invalidated=True),
        wrapped(ValueError("translated"), cause=asyncpg.InterfaceError("connection is closed")),
    ],
    ids=repr,
)
def test_an_outage(error: Exception) -> None:
    """What another try may mend becomes LedgerUnavailableError, with its cause."""
    with (
        pytest.raises(LedgerUnavailableError, match=r"^the ledger in here ") as caught,
        outages("here"),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UndefinedTableError("no table"),
        asyncpg.UniqueViolationError("twice"),
        asyncpg.PostgresSyntaxError("wrong"),
        wrapped(sqlite_error(sqlite3.SQLITE_ERROR)),
        wrapped(sqlite_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE)),
        wrapped(ValueError("wrong")),
        KeyError("wrong"),
    ],
    ids=repr,
)
def test_no_outage(error: Exception) -> None:
    """What no other try mends stays the error that it is."""
    assert not is_outage(error)
    with pytest.raises(type(error)) as caught, outages("here"):
        raise error
    assert caught.value is error


def test_no_password_of_a_driver_is_told() -> None:
    """A driver's message may hold a URL."""
    with pytest.raises(LedgerUnavailableError, match=r"a://b:\*\*\*@c$"), outages("here"):
        raise OSError("cannot reach a://b:secret@c")


@pytest.mark.parametrize(
    ("error", "down"),
    [
        (ConnectionRefusedError("refused"), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.AdminShutdownError("terminating"), True),
        (asyncpg.CrashShutdownError("terminating"), True),
        (asyncpg.DiskFullError("no space left"), True),
        (wrapped(ValueError(), cause=asyncpg.CannotConnectNowError("starting up")), True),
        (sqlite_error(sqlite3.SQLITE_FULL), True),
        (sqlite_error(sqlite3.SQLITE_BUSY), False),
        (ConnectionResetError("reset"), False),
        (TimeoutError(), False),
        (OSError("no route to host"), False),
        (asyncpg.ReadOnlySQLTransactionError("a standby"), False),
        (asyncpg.TooManyConnectionsError("too many clients"), False),
    ],
    ids=repr,
)
def test_a_database_that_is_down_for_everybody_says_so(error: Exception, down: bool) -> None:
    """Silence, and a standby, say nothing of other replicas: they may reach a primary."""
    with pytest.raises(LedgerUnavailableError) as caught, outages("here"):
        raise error
    assert caught.value.is_down is down


@in_loop
async def test_a_port_where_nothing_listens_is_down() -> None:
    """As while PostgreSQL restarts."""
    with pytest.raises(LedgerUnavailableError) as caught:
        await SqlLedger("postgresql://nobody@127.0.0.1:1/none").open()
    assert caught.value.is_down
