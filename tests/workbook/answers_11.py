"""Typical wrong answers to the exercise of notebook 11, and a part of what each is told."""

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
}
