"""A month of bad nights, in which the whole service is replayed."""

from kst_scheduler.extras import require_extra

with require_extra("workbook", "the capstone"):
    from kst_workbook.scenes.capstone.bad_month import BadMonth, bad_month
    from kst_workbook.scenes.capstone.month_service import (
        CRAWL,
        CRAWL_CALLS,
        QUOTA,
        REPORT,
        TOKEN,
        Replay,
        Service,
        crawl_nps,
        renew_token,
        replay,
        send_report,
        what_was_meant,
    )

__all__ = [
    "CRAWL",
    "CRAWL_CALLS",
    "QUOTA",
    "REPORT",
    "TOKEN",
    "BadMonth",
    "Replay",
    "Service",
    "bad_month",
    "crawl_nps",
    "renew_token",
    "replay",
    "send_report",
    "what_was_meant",
]
