"""Reconcile what should have run with what the ledger has."""

from kst_scheduler.once.reconcile.job_reconciler import ReconcileResult
from kst_scheduler.once.reconcile.reconciler import Reconciler

__all__ = ["ReconcileResult", "Reconciler"]
