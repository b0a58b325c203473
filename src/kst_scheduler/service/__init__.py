"""A service that runs each occurrence once, with a small admin API and a page that shows it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kst_scheduler.service.app import create_app
    from kst_scheduler.service.parts import Service
    from kst_scheduler.service.settings import Settings

__all__ = ["Service", "Settings", "create_app"]

_LATE = {"Service": "parts", "Settings": "settings", "create_app": "app"}
"""Where each name is: a worker needs the Service and not FastAPI, which is slow to load."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
