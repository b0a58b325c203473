"""Reconcile what should have run with what the ledger has."""

from kst_scheduler.once.reconcile.look import Looked
from kst_scheduler.once.reconcile.reconciler import Reconciler

__all__ = ["Looked", "Reconciler"]
