"""Typical wrong answers to the exercises of notebook 09, and a part of what each is told."""

from __future__ import annotations

STORED = """
def test_store(store):
    store.write([("202603", 7, "Hanbit"), ("202604", 7, "Hanbit")])
    store.write([("202604", 7, "Saeron"), ("202604", 8, "Narae")])
    assert sorted(store.rows()) == [
        ("202603", 7, "Hanbit"), ("202604", 7, "Saeron"), ("202604", 8, "Narae")
    ]
"""
COUNTED = """
def test_store(store):
    rows = [("202604", 7, "Hanbit"), ("202604", 8, "Narae")]
    store.write(rows)
    store.write(rows)
    assert len(store.rows()) == 2
"""

RATE = """
def success_rate(history):
    ended = history[history["status"] != "running"]
    return (ended["status"] == "ok").groupby(ended["scheduled_at"].dt.date).mean()
"""

TENTH = """'2026-05-' + ended["scheduled_at"].dt.strftime("%d")"""

NOT_OK = """
def missing(history, trigger, start, end):
    rows = history[history["scheduled_at"].between(start, end, inclusive="left")]
    return rows[rows["status"] != "ok"]["scheduled_at"]
"""
NOT_TRIED_AGAIN = """

not_ok = missing


def missing(history, trigger, start, end):
    ok = history[history["status"] == "ok"]["scheduled_at"]
    return sorted(set(not_ok(history, trigger, start, end)) - set(ok))
"""
MISSING = """
DAY = timedelta(days=1)


def missing(history, trigger, start, end):
    ok = history[history["status"] == "ok"]
    return fire_times(trigger, start, end).difference(pd.DatetimeIndex(ok["scheduled_at"]))
"""

RECORDED = """
import contextlib


def recorded(write):
    def decorate(job):
        async def run():
            start = time.monotonic()

            async def record(status, error):
                with contextlib.suppress(Exception):
                    await write(status, 1000 * (time.monotonic() - start), error)

            try:
                result = await job()
            except asyncio.CancelledError as error:
                await record("cancelled", repr(error))
                raise
            except Exception as error:
                await record("error", repr(error))
                raise
            await record("ok", None)
            return result

        return run

    return decorate
"""
CANCELLED = RECORDED[
    RECORDED.index("            except asyncio") : RECORDED.index("            except E")
]
UNGUARDED = RECORDED.replace("with contextlib.suppress(Exception)", "if True")
WRITE = "await write(status, 1000 * (time.monotonic() - start), error)"
WRITE_AGAIN = f"""
                    try:
                        {WRITE}
                    except Exception as again:
                        await write(status, 0, again)
"""
IN_THE_TRY = UNGUARDED.replace('            await record("ok", None)\n', "").replace(
    "await job()\n", 'await job()\n                await record("ok", None)\n'
)

WRONG = {
    "9.1": [
        ("def test_store(store):\n    assert store.rows() == []", "that inserts each row again"),
        (COUNTED, "keeps the old name of a workplace"),
        (STORED.replace(', ("202604", 8, "Narae")', ""), "after its first crawl"),
        (
            STORED.replace('("202603", 7, "Hanbit"), ', "").replace('"Hanbit"', '"Narae"', 1),
            "whose key is the number without the month",
        ),
        (
            STORED.replace("assert sorted(store.rows()) ==", "return sorted(store.rows()) =="),
            "pytest looks at no result",
        ),
        (
            STORED.replace("Saeron", "Hanbit", 1),
            "Your test fails on a dict by month and number, which is right",
        ),
        (STORED.replace("def ", "async def "), "is an `async def`"),
        ("def test_store():\n    assert False", "is called as `test_store(store)`"),
        ("test_store = True", "Expected a function"),
    ],
    "9.2": [
        (RATE.replace('history["status"] != "running"', 'history["started_at"].notna()'), "missed"),
        (RATE.replace('[history["status"] != "running"]', ""), "a run that has not ended"),
        (RATE.replace('["scheduled_at"]', '["finished_at"]'), "the day on which it ended"),
        (RATE.replace(".dt.date", '.dt.tz_convert("UTC").dt.date'), "belongs to the day before"),
        (RATE.replace(".mean()", ".mean() * 100"), "between 0 and 1"),
        (RATE.replace(".dt.date", ".dt.day"), "`10`, an int, of no month or year"),
        (
            RATE.replace('ended["scheduled_at"].dt.date', TENTH),
            "a 10th of May and one of June, they are not",
        ),
        (RATE.replace(".mean()", ""), "Expected a Series"),
    ],
    "9.3": [
        (NOT_OK, "has Fri 8 May 03:00, and its run ended ok"),
        (NOT_OK + NOT_TRIED_AGAIN, "lacks Thu 7 May 15:00, which has no row at all"),
        (
            MISSING.replace('history[history["status"] == "ok"]', "history"),
            "a row that says `missed`",
        ),
        (MISSING.replace('== "ok"', '!= "missed"'), "a row that says `error`"),
        (
            MISSING.replace("(trigger, start, end).", "(trigger, start, end + DAY)."),
            "Sat 9",
        ),
        (MISSING.partition("    ok")[0] + "    return fire_times(trigger, start, end)", "ended ok"),
        (MISSING.replace("return ", "return ok or "), "raised an error"),
    ],
    "9.4": [
        (
            RECORDED.replace(CANCELLED, ""),
            "stopped at 03:05. Expected one row. Your rows: none",
        ),
        (RECORDED.replace("monotonic", "time"), "duration_ms is -2,400,000"),
        (RECORDED.replace("monotonic", "process_time"), "the time that the processor worked"),
        (RECORDED.replace("1000 * (", "("), "Those are seconds"),
        (RECORDED.replace("1000 * (", "1 / 60 * ("), "Those are minutes"),
        (IN_THE_TRY, "The crawl ended as ok, and its row says `'error'`"),
        (UNGUARDED, "The crawl was ok, and your decorated job raises `ConnectionError`"),
        (
            UNGUARDED.replace(
                '            await record("ok", None)\n',
                "            with contextlib.suppress(ConnectionError):\n"
                '                await record("ok", None)\n',
            ),
            "The crawl raised `TimeoutError`, and your decorated job raises `ConnectionError`",
        ),
        (RECORDED.replace("repr(error)", "str(error)"), "does not say what was raised"),
        (RECORDED.replace("            return result\n", ""), "returns `None`"),
        (RECORDED.replace("                raise\n", "                return\n"), "swallows it"),
        (RECORDED.replace('"error"', '"fail"'), "The row says `'fail'`"),
        (
            RECORDED.replace('await record("ok", None)', 'asyncio.create_task(record("ok", None))'),
            "quiet. The run ends before its row is written",
        ),
        (
            RECORDED.replace('await record("error"', 'asyncio.create_task(record("error"').replace(
                "repr(error))\n                raise\n            await",
                "repr(error)))\n                raise\n            await",
            ),
            "a timeout at 03:05. The run ends before its row is written",
        ),
        (
            UNGUARDED.replace(WRITE, WRITE_AGAIN),
            "raises `ConnectionError`: the run is an error. It calls `write` 2 times",
        ),
        (RECORDED.replace("suppress(Exception)", "suppress(BaseException)"), "keeps the `Cance"),
        (
            RECORDED.replace("        return run\n", "        return run()\n"),
            "Expected a new async def",
        ),
    ],
}
