"""Reconcile what should have run with what the ledger has."""

from kst_scheduler.reconcile.look import Looked
from kst_scheduler.reconcile.reconciler import Reconciler

__all__ = ["Looked", "Reconciler"]
