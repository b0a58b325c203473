"""The ledger: one row for each occurrence, in memory, SQLite or PostgreSQL."""

from kst_scheduler.ledger.contract import Claim, ClaimRequest, Ledger, LedgerRow, Outcome
from kst_scheduler.ledger.memory import MemoryLedger

__all__ = ["Claim", "ClaimRequest", "Ledger", "LedgerRow", "MemoryLedger", "Outcome"]
