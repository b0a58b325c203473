"""The ledger: one row for each occurrence, in memory, SQLite or PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.errors import MissingExtraError
from kst_scheduler.ledger.contract import Claim, ClaimRequest, Ledger, LedgerRow, Outcome
from kst_scheduler.ledger.memory import MemoryLedger

if TYPE_CHECKING:
    from kst_scheduler.ledger.sql import SqlLedger

__all__ = ["Claim", "ClaimRequest", "Ledger", "LedgerRow", "MemoryLedger", "Outcome", "SqlLedger"]


def __getattr__(name: str) -> Any:
    if name != "SqlLedger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from kst_scheduler.ledger.sql import SqlLedger  # noqa: PLC0415 - an extra, slow to load
    except ImportError as error:
        raise MissingExtraError(
            "a ledger in a database needs SQLAlchemy and a driver; "
            "write pip install 'kst-scheduler[ledger]'"
        ) from error
    return SqlLedger
