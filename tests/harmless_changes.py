"""Changes to a solution that leave it right, by a part of the changed line, and why they do."""

from __future__ import annotations

WORDS = "it is a text that nobody compares"
NEVER_RAISES = "a drain raises nothing, and the process that waits for it is not cancelled"
MOMENTS = "the moments of the test are five seconds apart, or more"
NOT_MEANT = "the exercise does not ask for this id"

EQUIVALENT: dict[str, dict[str, str]] = {
    "0.2": {"3601": "the morning at the limit is two seconds from it"},
    "2.2": {"cron(hour=3), id": "minute 0 is the default of a cron with an hour"},
    "2.3": {
        "await stop.wait()\nexcept BaseException": "`serve` is told to stop, and never cancelled",
        "drain(30 * 60)\nexcept BaseException": NEVER_RAISES,
        "drain(31 * 60)": "any limit of 20 minutes or more lets the crawl end",
        "drain(30 * 61)": "any limit of 20 minutes or more lets the crawl end",
    },
    "3.3": {"timezone='Asia/Shanghai'": "every() counts from a Korean midnight in any zone"},
    "4.2": {
        "9001": "the nights at the limit are two seconds from it",
        "'max_instances': 3": "two instances are enough, and a third one does no harm",
    },
    "4.3": {
        "to_thread(parse_pages)\nexcept BaseException": "the next line fails without the pages",
    },
    "4.4": {
        "timeout(6 * 60)": "any limit between three minutes and 48 is right",
        "timeout(5 * 61)": "any limit between three minutes and 48 is right",
    },
    "5.2": {
        "no @asynccontextmanager": "Starlette takes an async generator as a lifespan, too",
        "drain(120 - 10 - 5)\nexcept BaseException": NEVER_RAISES,
    },
    "5.3": {
        "drain(20 * 60)\nexcept BaseException": NEVER_RAISES,
        "no @asynccontextmanager": "Starlette takes an async generator as a lifespan, too",
        "id='daily-nps-crawlx'": NOT_MEANT,
        "drain(21 * 60)": "any limit from 20 minutes to 30 is right",
        "drain(20 * 61)": "any limit from 20 minutes to 30 is right",
    },
    "6.3": {
        "compare_digest(f'Bearer {key}'.encode(), authorization": "equality has no order",
        "KEYx": WORDS,
        "{'runx':": "the answer has the key of the run, under whatever name",
    },
    "7.1": {
        "'lock:testx'": "any name will do",
        "ttl=61": MOMENTS,
        "hold(1)": MOMENTS,
        "hold(91)": MOMENTS,
        "hold(46)": MOMENTS,
        "sleep(71)": MOMENTS,
        "sleep(31)": MOMENTS,
        "sleep(seconds)\nexcept BaseException": "nobody cancels the test",
        "sleep(70)\nexcept BaseException": "a sleep raises nothing",
        "sleep(30)\nexcept BaseException": "a sleep raises nothing",
        "return_exceptions=True)\nexcept BaseException": "it raises nothing as it is",
        "gather(second, first": "it waits for both, in any order",
        "pass": "None is as false as False",
        "holds the lockx": WORDS,
        "have endedx": WORDS,
    },
    "7.2": {"3 * 3601": "any ttl between 7,260 and 14,340 seconds is right"},
    "7.3": {
        "token_hex(17)": "a token is as good when it is longer",
        "token_hex(8)": "a token of 64 bits is still one that nobody guesses",
        "ttl * 1001": "three seconds of 50 minutes, and nobody asks in these",
        "another runx": WORDS,
    },
    "7.4": {"id='daily-nps-crawlx'": NOT_MEANT},
    "8.2": {
        "59, 51)": "a prediction may be five seconds off: a statement takes its time",
    },
    "8.3": {"id='daily-nps-crawlx'": NOT_MEANT},
    "8.4": {"{customer} x{line}": "any ids will do that differ from each other"},
    "9.4": {
        "'error', repr(error))\nexcept BaseException": "the next line raises, whatever it was",
        "pass": "a log is not asked for",
        "no rowx": WORDS,
    },
    "10.3": {
        "await send_report()\nexcept BaseException": "no report of the week fails or is cut",
        "faults.x": WORDS,
        "'misfire_grace_time': 301": "a second more than five minutes",
        "'misfire_grace_time': 150": "no run of the week is later than 150 seconds",
        "'lock:daily-nps-crawlx'": "one name for both replicas, whichever it is",
        "ttl=31": "the lock is renewed, so any ttl will do that is short",
        "ttl=15": "the lock is renewed, so any ttl will do that is short",
        "cron(hour=3), id": "minute 0 is the default of a cron with an hour",
        "cron(hour=6), id": "minute 0 is the default of a cron with an hour",
        "every(hours=8, timezone='Asia/Shanghai')": "every() counts from a Korean midnight",
        "cron(minute=30, timezone='Asia/Shanghai')": "half past is half past in both zones",
    },
    "11.1": {
        "need.x": WORDS,
        "partial(once, service.ledger, instance=": "the default lease is short enough, too",
        "partial(once, service.ledger, lease=timedelta(minutes=10))": "the name is for readers",
        "lease=timedelta(minutes=11)": "a minute more or less changes no fate of the week",
        "lease=timedelta(minutes=5)": "a lease is renewed, so a shorter one is as good",
        "hours=13)": "no night of the week can be saved between 12 and 13 hours after 03:00",
        "add(run()(renew_token)": "no token is late by more than its grace time in that week",
        "minutes=51)": "no token is late by more than its grace time in that week",
        "minutes=25)": "no token is late by more than its grace time in that week",
        "add(run()(send_report)": "no report is late by more than its grace time in that week",
        "hours=4)": "no report is late by more than its grace time in that week",
        "cron(minute='5,35'))": "a job that looks needs no id of its own",
        "cron(minute='6,35')": "it looks as often, a minute later",
        "id='lookx'": NOT_MEANT,
    },
    "13.2": {
        "restart = Crash": "a day that begins at 01:00 shows the fault at the first start",
        "day = simulate": "a day that begins at 02:00, or has no restart, shows the fault, too",
    },
}
