"""What errors of Procrastinate say: PostgreSQL is away, a task or a worker is gone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
from procrastinate.exceptions import ConnectorException

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.redaction import without_passwords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from procrastinate import App


@contextlib.contextmanager
def outages(app: App) -> Iterator[None]:
    """Raise LedgerUnavailableError in place of what says that PostgreSQL is away."""
    try:
        yield
    except (ConnectorException, psycopg.Error) as error:
        if not is_outage(error):
            raise
        where = getattr(app.connector, "where", "memory")
        raise LedgerUnavailableError(f"the queue in {where} is away: {reason_of(error)}") from error


def is_outage(error: Exception) -> bool:
    """Return whether an error says that PostgreSQL is away."""
    away = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
    return isinstance(_cause(error), away)


def has_ended(error: Exception) -> bool:
    """Return whether a task was to be ended, or tried again, that is no longer at work."""
    return isinstance(_cause(error), psycopg.errors.RaiseException)


def is_unregistered(error: Exception) -> bool:
    """Return whether a worker was refused a task, as its own row is gone: it was silent so long."""
    return isinstance(_cause(error), psycopg.errors.ForeignKeyViolation)


def reason_of(error: Exception) -> str:
    """Return what PostgreSQL or its driver says, on one line and without passwords."""
    return without_passwords(" ".join(str(_cause(error)).split()))


def _cause(error: Exception) -> BaseException:
    """Return the driver's error: Procrastinate's own only says "Database error"."""
    return error.__cause__ or error if isinstance(error, ConnectorException) else error
