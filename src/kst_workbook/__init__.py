"""What the notebooks and their readers need; a service imports ``kst_scheduler`` alone.

``from kst_workbook import check, hint, progress, solution`` brings a notebook its exercises.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kst_scheduler.caller import OWN_PACKAGES

if TYPE_CHECKING:
    from kst_workbook.exercises import check, hint, progress, solution

OWN_PACKAGES.add(__name__)

__all__ = ["check", "hint", "progress", "solution"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("kst_workbook.exercises"), name)
