"""Errors of the workbook itself."""

from __future__ import annotations

from kst_scheduler.errors import KSTSchedulerError


class WorkbookError(KSTSchedulerError):
    """Raised when the workbook cannot be opened, or a notebook of it cannot be run."""
