"""Typical wrong answers to the exercises of notebook 02, and a part of what each is told."""

from __future__ import annotations


def _starts(kolkata: str, los_angeles: str = "10, 19", yakutsk: str = "10, 3") -> str:
    """Return code that lets the crawl start at these days and hours of May."""
    return f"""
starts = {{
    "Asia/Kolkata": kst(2026, 5, {kolkata}),
    "America/Los_Angeles": kst(2026, 5, {los_angeles}),
    "Asia/Yakutsk": kst(2026, 5, {yakutsk}),
}}
"""


def _register(call: str) -> str:
    """Return code of a register function that makes this call."""
    return f"def register(scheduler):\n    {call}"


def _serve(*lines: str) -> str:
    """Return code of a coroutine function that starts the scheduler, and of what follows."""
    body = "".join(f"\n    {line}" for line in lines)
    return f"async def serve(scheduler, stop):\n    scheduler.start(){body}"


WRONG = {
    "2.1": [
        (_starts("10, 3"), "a clock in Asia/Kolkata shows 23:30"),
        (_starts("9, 23, 30"), "Sat 9 May 23:30 KST, which is not on 10 May"),
        (_starts("10, 6, 30", "10, 20"), "a clock in America/Los_Angeles shows 04:00"),
        (_starts("10, 6, 30", "10, 12"), "a clock in America/Los_Angeles shows 20:00"),
        (_starts("10, 6, 30", yakutsk="10, 12"), "a clock in Asia/Yakutsk shows 12:00"),
        ('starts = {"Asia/Kolkata": "06:30"}', 'has no "America/Los_Angeles"'),
        ("starts = kst(2026, 5, 10, 3)", "Expected a dict by host"),
        (
            "starts = dict.fromkeys(['Asia/Kolkata', 'America/Los_Angeles', 'Asia/Yakutsk'], 3)",
            "`3`, an int. Expected a moment",
        ),
    ],
    "2.2": [
        (
            _register('scheduler.add_job(crawl_nps, CronTrigger(hour=3), id="daily-nps-crawl")'),
            "On a host in UTC a job of yours starts at Sun 10 May 12:00 KST",
        ),
        (
            _register('scheduler.add_job(crawl_nps, CronTrigger(hour=18), id="daily-nps-crawl")'),
            "On a host in Asia/Seoul a job of yours starts at Sun 10 May 18:00 KST",
        ),
        (
            _register('scheduler.add_job(crawl_nps, cron(minute=0), id="daily-nps-crawl")'),
            "starts at Sun 10 May 00:00 KST, and 22 times more",
        ),
        (
            _register('scheduler.add_job(crawl_nps, every(days=1), id="daily-nps-crawl")'),
            "a job of yours starts at Sun 10 May 00:00 KST.",
        ),
        (
            _register('scheduler.add_job(crawl_nps, cron(day=9, hour=3), id="daily-nps-crawl")'),
            "does not start on 10 May",
        ),
        (
            _register(
                'scheduler.add_job(crawl_nps, "cron", hour=14, timezone="America/New_York", '
                'id="daily-nps-crawl")'
            ),
            "On a host in UTC a job of yours starts at Tue 10 Nov 04:00 KST",
        ),
        (_register("scheduler.add_job(crawl_nps, cron(hour=3))"), "No job has the id"),
        (_register('cron(hour=3), "daily-nps-crawl"'), "gives the scheduler no job"),
        (
            _register('scheduler.add_job(crawl_nps(), cron(hour=3), id="daily-nps-crawl")'),
            "raised an error",
        ),
        (
            """
def register(scheduler):
    @scheduler.scheduled_job(cron(hour=3), id="daily-nps-crawl")
    def daily_crawl():
        crawl_nps()
            """,
            "Does somebody await `crawl_nps()`?",
        ),
        (
            """
def register(scheduler):
    scheduler.add_job(crawl_nps, cron(hour=3), id="daily-nps-crawl")
    scheduler.add_job(crawl_nps, cron(hour=3), id="on Seoul hosts")
            """,
            "2 jobs of yours start",
        ),
        ("async def register(scheduler):\n    await crawl_nps()", "nobody awaits it"),
        ("def register():\n    return cron(hour=3)", "too many positional arguments"),
    ],
    "2.3": [
        (_serve("await stop.wait()", "scheduler.shutdown(wait=True)"), "cut off at 03:05, after 5"),
        (_serve("await stop.wait()", "await scheduler.drain(60)"), "cut off at 03:06, after 6"),
        (
            _serve("await stop.wait()", "asyncio.create_task(scheduler.drain(1800))"),
            "returned at 03:05, while the",
        ),
        (
            _serve("await asyncio.sleep(600)", "await scheduler.drain(1800)"),
            "stopped at 02:58 it is not. `stop` was set at 02:58, and `daily-nps-crawl` started",
        ),
        (_serve("await scheduler.drain(1800)"), "returned at 02:55, before it was asked"),
        (
            _serve("await stop.wait()", "await asyncio.sleep(1200)", "scheduler.shutdown()"),
            "`renew-token` started at 03:10 all the same",
        ),
        (
            _serve("await stop.wait()", "scheduler.pause()", "await asyncio.sleep(1800)"),
            "ended at 03:20, and `serve` returned at 03:35",
        ),
        (
            _serve("await stop.wait()", "await scheduler.drain(1800)", "await asyncio.sleep(9999)"),
            "ended at 03:20, and `serve` has not returned",
        ),
        ("async def serve(scheduler, stop):\n    await stop.wait()", "has not started the"),
        ("def serve(scheduler, stop):\n    scheduler.start()", "is a plain function"),
        ("async def serve(scheduler):\n    scheduler.start()", "too many positional"),
        ("async def serve(scheduler, stop):\n    await stop()", "TypeError"),
    ],
}
