"""Typical wrong answers to the exercises of notebook 08, and a part of what each is told."""

from __future__ import annotations

STARTS = """
hours = [kst(2026, 5, 10, hour) for hour in (3, 4, 5, 6)]
starts = """

REGISTER = """
from kst_scheduler import MemoryLedger


def register(scheduler, crawl, ledger):
    job = once(ledger, catch_up=timedelta(hours=1))(crawl)
    scheduler.add_job(job, "cron", hour=3, id="daily-nps-crawl")
    Reconciler(scheduler, ledger).start()
"""

REPORTS = """
from apscheduler.triggers.cron import CronTrigger
from kst_scheduler import KST, crontab


def add_reports(scheduler, choices, report, ledger):
    for customer, line in choices:
        job = once(ledger)(report)
        scheduler.add_job(job, crontab(line), args=[customer], id=f"{customer} {line}")
"""
LATE = """
        @once(ledger)
        async def job():
            await report(customer)

        scheduler.add_job(job, crontab(line), id=line)
"""

WRONG = {
    "8.1": [
        (
            STARTS + '{"added once": hours[2:], "added at each start": hours[2:]}',
            '"added once": you say Sun 10 May 05:00, Sun 10 May 06:00',
        ),
        (
            STARTS + '{"added once": hours, "added at each start": hours[2:]}',
            "no crawl starts at Sun 10 May 03:00",
        ),
        (
            STARTS + "dict.fromkeys(['added once', 'added at each start'], "
            "[kst(2026, 5, 10, 4, 20), *hours[2:]])",
            '"added at each start": no crawl starts at Sun 10 May 04:20',
        ),
        (STARTS + "hours", "Expected a dict with the keys"),
        (STARTS + '{"added once": 3, "added at each start": 2}', "Expected a list of moments"),
    ],
    "8.2": [
        (STARTS + '{"A": hours, "B": hours[:2]}', "On A: no crawl starts at Sun 10 May 03:00"),
        (STARTS + '{"A": hours[2:], "B": hours[:2]}', "Check the seconds"),
        (STARTS + '{"A": hours[2:], "B": []}', "On B: you say never"),
        (STARTS + '{"A": [], "B": []}', "On A: you say never"),
    ],
    "8.3": [
        (REGISTER.replace(", catch_up=timedelta(hours=1)", ""), "catch-up window 0:05:00"),
        (REGISTER.replace("hours=1", "minutes=59"), "03:59:30. Nobody crawls. The ledger says: m"),
        (REGISTER.replace("hours=1", "days=1"), "A at 04:10, more than an hour late"),
        (REGISTER.replace(".start()", ""), "nobody has looked for it"),
        (REGISTER.replace("hours=1)", "hours=1), repeatable=False"), "B does not go on"),
        (REGISTER.replace("once(ledger, ", "once(MemoryLedger(), "), "Crawls: A at 03:00, B at"),
        (REGISTER.replace("hour=3", "hour=4"), "A run is due at Sun 10 May 04:00"),
        (REGISTER.replace("(crawl)", "(crawl())"), "is not an async def function"),
    ],
    "8.4": [
        (REPORTS.replace('f"{customer} {line}"', "customer"), "though another of theirs is"),
        (REPORTS.replace("once(ledger)(report)", "report"), "for moa is made 2 times"),
        (
            REPORTS.replace("crontab(line)", "CronTrigger.from_crontab(line, KST)"),
            "Tue 2 Jun 09:00",
        ),
        (REPORTS.replace("crontab(line)", "CronTrigger.from_crontab(line)"), "TimezoneError"),
        (REPORTS.partition("        job = ")[0] + LATE, "Mon 1 Jun 08:30 a report for hanbit"),
        (
            REPORTS.replace('f"{customer} {line}"', "str(choices.index((customer, line)))"),
            "When B gets the table in another order: At Mon 1 Jun 09:00",
        ),
        (REPORTS.replace("args=[customer], ", ""), "missing a required argument"),
        (REPORTS.replace("choices:", "choices[:1]:"), "08:30 no report for moa is made"),
    ],
}
