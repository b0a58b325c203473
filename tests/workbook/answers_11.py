"""Typical wrong answers to the exercises of notebook 11, and a part of what each is told."""

from __future__ import annotations

_RUN = "run = partial(once, service.ledger, lease=timedelta(minutes=10), instance=current_node())"
_LOCK = 'lambda: redis_lock("lock:daily-nps-crawl", ttl=300, client=service.redis)'
_CRAWL = "run(catch_up=timedelta(hours=12))(crawl_nps)"
_REPORT = "on_business_days(cron(hour=9))"
_LOOK = (
    'add(Reconciler(service.scheduler, service.ledger).reconcile, cron(minute="5,35"), id="look")'
)


def _service(
    crawl: str = _CRAWL, at: str = "cron(hour=3)", report: str = _REPORT, look: str = _LOOK
) -> str:
    """Return a register function with one thing changed."""
    return f"""
def register(service):
    {_RUN}
    add = service.scheduler.add_job
    add({crawl}, {at}, id=CRAWL)
    add(run(catch_up=timedelta(minutes=50))(renew_token), cron(minute=0), id=TOKEN)
    add(run(catch_up=timedelta(hours=3))(send_report), {report}, id=REPORT)
    {look}
"""


MEANT = """
def meant(start, end):
    business, times = BusinessDays(), []
    for year in range(start.year, end.year + 1):
        for month in range(1, 13):
            day = business.nth_business_day(year, month, -1)
            times.append(kst(year, month, day.day, 10))
    return [at for at in times if start <= at < end]
"""
_MONTH_END = """
def meant(start, end):
    days = pd.date_range(start, end, freq="ME", inclusive="left", normalize=True)
    return list(days + timedelta(hours=10))
"""
_WEEKDAYS = """
def meant(start, end):
    days = pd.date_range(start, end, freq="BME", inclusive="left", normalize=True)
    return list(days + timedelta(hours=10))
"""

WRONG = {
    "11.1": [
        (_service(f"run({_LOCK}, catch_up=timedelta(hours=6))(crawl_nps)"), "2 lost; the first"),
        (_service("run(catch_up=timedelta(hours=6))(crawl_nps)"), "catch-up window 6:00:00"),
        (_service("crawl_nps"), "run more than once"),
        (_service(look="pass"), "have no row in the ledger"),
        (_service(at="cron(hour=4)"), "0:59:58 late"),
        (_service(report='cron(day_of_week="mon-fri", hour=9)'), "run, and not asked for"),
        ("register = lesson", "TimezoneError"),
        ("def register():\n    return crawl_nps", "is called as `register(service)`"),
    ],
    "11.2": [
        (MEANT.replace("day.day, 10", "day.day, 1"), "01:00, which is not at 10:00 in Korea"),
        (_WEEKDAYS, "Fri 29 Sep 10:00, which is not a business day"),
        (_MONTH_END, "Sun 31 May 10:00, which is not a business day"),
        (MEANT.replace("start <= at < end", "start <= at <= end"), "which is outside of the span"),
        (MEANT.replace("start <= at < end", "start < at < end"), "lacks a time of May 2026"),
        (MEANT.replace("end.year + 1", "end.year"), "lacks a time of May 2026"),
        (MEANT.replace("(1, 13)", "(1, 12)"), "lacks a time of December 2026"),
        (MEANT.replace("month, -1", "month, 1"), "not the last business day"),
        (MEANT.replace("return [at", "return 2 * [at"), "has a time twice"),
        (
            MEANT.replace("return [at for at in times if start <= at < end]", "return times[0]"),
            "Expected a list of times",
        ),
        ("def meant(start):\n    return []", "is called as `meant(start, end)`"),
    ],
}
