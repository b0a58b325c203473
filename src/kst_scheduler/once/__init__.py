"""One run of each occurrence, whichever replica it runs on: the decorator, leases and locks."""

from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock

__all__ = ["once", "redis_lock"]
