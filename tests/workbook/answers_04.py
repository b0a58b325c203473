"""Typical wrong answers to the exercises of notebook 04, and a part of what each is told."""

from __future__ import annotations

WRONG = {
    "4.1": [
        ('statuses = ["missed", "ok", "ok", "ok", "ok"]', "is 04:00, where you say `ok`"),
        ('statuses = ["missed", "missed", "missed", "ok", "ok"]', "3 of 5 are right"[2:]),
        ('statuses = ["coalesced"] * 4 + ["ok"]', "You say `coalesced` at 01:00"),
        ('statuses = {"01:00": "ok", "02:00": "ok"}', "has 2 words"),
        ('statuses = ["missed", "ok", "late", "skipped", "ok"]', "`'late'`, a str, is no status"),
        ('statuses = "missed ok ok skipped ok"', "Expected a list of five words"),
    ],
    "4.2": [
        ("options = {}", "fold the reports of 01:00 and 02:00 and 03:00"),
        ('options = {"coalesce": False}', "lose the report of 02:00"),
        (
            'options = {"coalesce": False, "misfire_grace_time": None, "max_instances": 5}',
            "make the report of 01:00 although it is 3 h 10 min late",
        ),
        ('options = {"coalesce": False, "misfire_grace_time": 9000}', "skip the report of 05:00"),
        (
            'options = {"coalesce": False, "misfire_grace_time": 8000, "max_instances": 2}',
            "not one on which the process wakes at 04:29",
        ),
        (
            'options = {"coalesce": False, "misfire_grace_time": 10800, "max_instances": 2}',
            "not one on which the process wakes at 04:30:02",
        ),
        ('options = {"misfire_grace": 9000}', "`misfire_grace` is no option"),
        (
            'options = {"coalesce": False, "misfire_grace_time": timedelta(hours=2.5)}',
            "must be either None or a positive integer",
        ),
    ],
    "4.3": [
        (
            """
            def register(scheduler, parse_pages, store):
                @scheduler.scheduled_job("cron", hour=3, id="parse")
                async def parse():
                    await store(parse_pages())
            """,
            "Tokens that are lost: 03:00, 03:01.",
        ),
        (
            """
            def register(scheduler, parse_pages, store):
                @scheduler.scheduled_job("cron", hour=3, id="parse")
                def parse():
                    store(parse_pages())
            """,
            "nobody awaits what it returns",
        ),
        (
            """
            def register(scheduler, parse_pages, store):
                scheduler.add_job(parse_pages, "cron", hour=3, id="parse")
            """,
            "never calls `store`",
        ),
        (
            """
            def register(scheduler, parse_pages, store):
                @scheduler.scheduled_job("cron", hour=3, id="parse")
                async def parse():
                    await store(asyncio.to_thread(parse_pages))
            """,
            "It should get the pages",
        ),
        (
            """
            def register(scheduler, parse_pages, store):
                @scheduler.scheduled_job("cron", hour=3, id="parse")
                async def parse():
                    pages = await asyncio.to_thread(parse_pages)
                    asyncio.create_task(store(pages))
            """,
            "done at 03:02, and the pages are stored at 03:03",
        ),
        (
            """
            def register(scheduler, parse_pages, store):
                async def parse():
                    await store(await asyncio.to_thread(parse_pages))
                scheduler.add_job(parse, CRON, hour=3, id="parse-pages")
            CRON = "cron"
            """,
            "What is due: parse-pages",
        ),
        (
            """
            def register(scheduler, parse_pages, store):
                @scheduler.scheduled_job("cron", hour=3, id="parse")
                async def parse():
                    pages = await asyncio.to_thread(parse_pages)
                    try:
                        await store(pages)
                    except Exception:
                        pass
            """,
            "nothing is stored, and your run is ok",
        ),
        ("def register(scheduler): return scheduler", "register(scheduler, parse_pages, store)"),
        (
            """
            def register(scheduler, parse_pages, store):
                scheduler.add_job(store, "cron", hour=3, id="parse")
            """,
            "ends with an error: `TypeError",
        ),
    ],
    "4.4": [
        (
            """
            async def crawl_pages(fetch):
                return [await fetch(number) for number in range(1, 6)]
            """,
            "The run of 03:00 is skipped",
        ),
        (
            """
            async def crawl_pages(fetch):
                async with asyncio.timeout(30 * 60):
                    return [await fetch(number) for number in range(1, 6)]
            """,
            "your run ends with `TimeoutError()`",
        ),
        (
            """
            async def crawl_pages(fetch):
                pages = []
                for number in range(1, 6):
                    async with asyncio.timeout(60):
                        pages += [await fetch(number)]
                return pages
            """,
            "Your run ends with an error",
        ),
        (
            """
            async def crawl_pages(fetch):
                pages = []
                try:
                    async with asyncio.timeout(30 * 60):
                        for number in range(1, 6):
                            pages += [await fetch(number)]
                finally:
                    return pages
            """,
            "returns `['page 1', 'page 2']`, a list",
        ),
        (
            """
            async def crawl_pages(fetch):
                pages = []
                for number in range(1, 6):
                    try:
                        pages += [await asyncio.wait_for(fetch(number), 1)]
                    except TimeoutError:
                        pass
                return pages
            """,
            "Your run returns `[]`, a list",
        ),
        (
            """
            import threading

            async def crawl_pages(fetch):
                threading.Event().wait()
                return [await fetch(number) for number in range(1, 6)]
            """,
            "Your job blocks the event loop",
        ),
        (
            """
            def crawl_pages(fetch):
                return [fetch(number) for number in range(1, 6)]
            """,
            "Your run returns `[<coroutine object",
        ),
        (
            """
            async def crawl_pages(fetch):
                pages = []
                for number in range(1, 6):
                    try:
                        async with asyncio.timeout(5 * 60):
                            pages.append(await fetch(number))
                    except BaseException:
                        pass
                return pages
            """,
            "your run goes on",
        ),
        (
            """
            async def crawl_pages(fetch):
                pages = []
                try:
                    for number in range(1, 6):
                        try:
                            async with asyncio.timeout(5 * 60):
                                pages.append(await fetch(number))
                        except TimeoutError:
                            pass
                except BaseException:
                    pass
                return pages
            """,
            "as if nobody had cancelled it",
        ),
    ],
}
