"""A service that runs each occurrence once, with a small admin API and a page that shows it.

Its components are imported when they are first used: the command shows its help without any extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.extras import require_extra

if TYPE_CHECKING:
    from kst_scheduler.service.app import create_app
    from kst_scheduler.service.components import Service
    from kst_scheduler.service.settings import Settings

__all__ = ["Service", "Settings", "create_app"]

_MODULES: Final = {"Service": "components", "Settings": "settings", "create_app": "app"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with require_extra("service", f"{name} of the service"):
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
