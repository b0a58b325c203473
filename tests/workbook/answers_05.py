"""Typical wrong answers to the exercises of notebook 05, and a part of what each is told."""

from __future__ import annotations


def lifespan(start: str, close: str) -> str:
    """Return code of an application whose lifespan does this before and after its yield."""
    return f"""
    def make_app(scheduler):
        @asynccontextmanager
        async def lifespan(app):
            {start}
            yield
            {close}

        return FastAPI(lifespan=lifespan)
    """


def service(
    job: str, *, scheduler: str = "KSTScheduler()", seconds: int = 1500, hour: str = "cron(hour=3)"
) -> str:
    """Return code of a service that adds this job to this scheduler."""
    return f"""
    handed_out = set()
    shared = KSTScheduler()

    def make_service(ledger, crawl):
        scheduler = {scheduler}

        async def first_of_all():
            if datetime.now().date() not in handed_out:
                handed_out.add(datetime.now().date())
                await crawl()

        scheduler.add_job({job}, {hour}, id="daily-nps-crawl")

        @asynccontextmanager
        async def lifespan(app):
            scheduler.start()
            yield
            await scheduler.drain({seconds})

        return FastAPI(lifespan=lifespan)
    """


WRONG = {
    "5.1": [
        (
            'ends = {"crawl": "03:20", "report": "03:40", "export": "03:50", "lifespan": "03:50"}',
            "2 of 4 are right. One that is not is `report`",
        ),
        (
            'ends = {"crawl": "03:20", "report": "03:27", "export": "03:27", "lifespan": "03:27"}',
            "a function that runs in a thread",
        ),
        (
            'ends = {"crawl": "03:20", "report": "03:27", "export": "03:50", "lifespan": "03:50"}',
            "is `lifespan`, which you say lasts until 03:50",
        ),
        (
            """
            names = ["crawl", "report", "export", "lifespan"]
            ends = dict.fromkeys(names, datetime(2026, 5, 10, 3, 27))
            """,
            "which is in no zone",
        ),
        ('ends = {"crawl": "03:20"}', "no time for `report`, `export`, `lifespan`"),
        (
            'ends = {"crawl": 20, "report": 27, "export": 50, "lifespan": 27}',
            "`crawl` has `20`, an int",
        ),
    ],
    "5.2": [
        (
            lifespan("scheduler.start()", "scheduler.shutdown(wait=True)"),
            "Yours is cancelled after 0 s",
        ),
        (
            lifespan("scheduler.start()", "scheduler.shutdown(); await asyncio.sleep(0.1)"),
            "Yours is cancelled after 0.1 s",
        ),
        (lifespan("pass", "await scheduler.drain(105)"), "the scheduler does not run"),
        (
            """
            def make_app(scheduler):
                scheduler.start()

                @asynccontextmanager
                async def lifespan(app):
                    yield
                    await scheduler.drain(105)

                return FastAPI(lifespan=lifespan)
            """,
            "starts the scheduler itself",
        ),
        (
            lifespan("scheduler.start()", "await scheduler.drain(30)"),
            "Yours is cancelled after 30 s",
        ),
        (lifespan("scheduler.start()", "await scheduler.drain(120)"), "that can be 2 min 15 s"),
        (
            lifespan("scheduler.start()", "await scheduler.drain(101)"),
            "gives it 1 min 41 s. The platform has more time",
        ),
        (
            lifespan("scheduler.start()", "app.end = asyncio.create_task(scheduler.drain(105))"),
            "and the scheduler works on",
        ),
        ("def make_app(scheduler): return scheduler", "a KSTScheduler. Expected a FastAPI app"),
        ("async def make_app(scheduler): return FastAPI()", "is an `async def`"),
        ("def make_app(): return FastAPI()", "too many positional arguments"),
        (
            lifespan("scheduler.begin()", "await scheduler.drain(105)"),
            "has no attribute 'begin'",
        ),
    ],
    "5.3": [
        (service("crawl"), "On 10 May A and B crawl, both at 03:00"),
        (service("once(ledger)(crawl)", scheduler="shared"), "both have the same scheduler"),
        (
            service("once(ledger)(crawl)", seconds=60),
            "is stopped at 03:02, and its crawl of 20 minutes does not",
        ),
        (service("once(ledger)(crawl)", hour="cron(hour=12)"), "crawls at Sun 10 May 12:00 KST"),
        (service("first_of_all"), "keeps something in `handed_out`"),
        (
            service("once(ledger)(crawl)", scheduler="AsyncIOScheduler(timezone=KST)").replace(
                "await scheduler.drain(1500)", "scheduler.shutdown()"
            ),
            "On 10 May nobody crawls. Your job raises `NoOccurrenceError: ",
        ),
        (
            service("once(ledger)(crawl)", seconds=3600),
            "and closes at 04:02. The platform kills it",
        ),
        (service("ledger.open"), "On 10 May nobody crawls"),
        (
            "def make_service(ledger, crawl): return create_app",
            "a function. Expected a FastAPI application",
        ),
    ],
}
