"""One run of each occurrence, whichever replica it runs on: the decorator, locks and alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock

if TYPE_CHECKING:
    from kst_scheduler.once.alerts import webhook

__all__ = ["once", "redis_lock", "webhook"]


def __getattr__(name: str) -> Any:
    if name != "webhook":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kst_scheduler.once.alerts import webhook  # noqa: PLC0415 - httpx is an extra

    return webhook
