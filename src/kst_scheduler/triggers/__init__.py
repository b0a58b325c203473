"""When a job fires: APScheduler's triggers with a zone, Korean business days, and how to say it."""

from kst_scheduler.triggers.business_days import BusinessDayTrigger, on_business_days
from kst_scheduler.triggers.factories import TriggerWarning, at, cron, crontab, every
from kst_scheduler.triggers.holidays import BusinessDays
from kst_scheduler.triggers.spread import spread
from kst_scheduler.triggers.wording import describe, preview

__all__ = [
    "BusinessDayTrigger",
    "BusinessDays",
    "TriggerWarning",
    "at",
    "cron",
    "crontab",
    "describe",
    "every",
    "on_business_days",
    "preview",
    "spread",
]
