"""The ledger: one row for each occurrence, in memory, SQLite or PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.extras import require_extra
from kst_scheduler.ledger.contract import Claim, ClaimRequest, Ledger, LedgerRow, Outcome
from kst_scheduler.ledger.memory import MemoryLedger

if TYPE_CHECKING:
    from kst_scheduler.ledger.sql import SqlLedger

__all__ = ["Claim", "ClaimRequest", "Ledger", "LedgerRow", "MemoryLedger", "Outcome", "SqlLedger"]


def __getattr__(name: str) -> Any:
    if name != "SqlLedger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with require_extra("ledger", "a ledger in a database"):
        from kst_scheduler.ledger.sql import SqlLedger  # noqa: PLC0415 - slow to load
    return SqlLedger
