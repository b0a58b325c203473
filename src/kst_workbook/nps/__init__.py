"""The crawl of National Pension Service workplaces, and (in ``sandbox``) a service to try it on."""

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
    "use_settings",
]
