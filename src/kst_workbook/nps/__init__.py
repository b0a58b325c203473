"""The crawl of National Pension Service workplaces, and (in ``sandbox``) a service to try it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.extras import require_extra

with require_extra("nps", "the client of the National Pension Service"):
    from kst_workbook.nps.client import CrawlResult, NpsClient, crawl_nps
    from kst_workbook.nps.errors import (
        InvalidKeyError,
        InvalidRequestError,
        NoDataError,
        NpsError,
        NpsReplyError,
        NpsServiceError,
        NpsUnavailableError,
        QuotaExceededError,
    )
    from kst_workbook.nps.replies import Workplace
    from kst_workbook.nps.settings import (
        NpsSettings,
        current_settings,
        exponential_delay,
        use_settings,
    )

if TYPE_CHECKING:
    from kst_workbook.nps.sandbox import use_sandbox

__all__ = [
    "CrawlResult",
    "InvalidKeyError",
    "InvalidRequestError",
    "NoDataError",
    "NpsClient",
    "NpsError",
    "NpsReplyError",
    "NpsServiceError",
    "NpsSettings",
    "NpsUnavailableError",
    "QuotaExceededError",
    "Workplace",
    "crawl_nps",
    "current_settings",
    "exponential_delay",
    "use_sandbox",
    "use_settings",
]


def __getattr__(name: str) -> Any:
    if name != "use_sandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kst_workbook.nps.sandbox import use_sandbox  # noqa: PLC0415 - FastAPI is slow to load

    return use_sandbox
