"""Typical wrong answers to the exercises of notebook 00, and a part of what each is told."""

from __future__ import annotations


def _report(*calls: str) -> str:
    """Return code of a register function that makes these calls."""
    return "\n    ".join(["def register_report(scheduler, send_report):", *calls])


def _job(trigger: str, job: str = "send_report", grace: str = "3600") -> str:
    """Return a call that adds the job."""
    options = f'id="morning-report", misfire_grace_time={grace}'
    return f"scheduler.add_job({job}, {trigger}, {options})"


_HALF_PAST_NINE = "cron(hour=9, minute=30)"

WRONG = {
    "0.1": [
        ("starts = [kst(2026, 5, 19, 3), kst(2026, 5, 20, 3)]", "shows 18:00 then"),
        ("starts = [kst(2026, 5, 19, 12), kst(2026, 5, 20, 12)]", "once on Wednesday, 20 May"),
        (
            "starts = 2 * [kst(2026, 5, 19, 12), kst(2026, 5, 20, 12)]",
            "2 times on Tuesday, 19 May. Is each replica awake",
        ),
        (
            "starts = [kst(2026, 5, 19, 12), kst(2026, 5, 19, 12, 5), *2 * [kst(2026, 5, 20, 12)]]",
            "on waking up, Tue 19 May 12:05",
        ),
        ("starts = [kst(2026, 5, 19, 12)]", "no start on Wednesday, 20 May"),
        ("starts = 3 * [kst(2026, 5, 20, 12)]", "no start on Tuesday, 19 May"),
        (
            "starts = [kst(2026, 5, 19, 12), *3 * [kst(2026, 5, 20, 12)]]",
            "3 times on Wednesday, 20 May",
        ),
        ("starts = [kst(2026, 5, 18, 12), kst(2026, 5, 19, 12)]", "has Mon 18 May 12:00 KST, and"),
        ("starts = [kst(2026, 5, 19, 12).replace(tzinfo=None)]", "is in no zone"),
        ('starts = ["2026-05-19 12:00"]', "a str. Expected a moment"),
        ("starts = kst(2026, 5, 19, 12)", "Expected a list of moments"),
        ("starts = []", "is empty"),
    ],
    "0.2": [
        (
            _report(_job("CronTrigger(hour=9, minute=30)")),
            "On a host in UTC: a report is sent at Sun 10 May 18:30 KST",
        ),
        (
            _report(_job("CronTrigger(hour=0, minute=30)")),
            "On a host in Asia/Seoul: a report is sent at Sun 10 May 00:30 KST",
        ),
        (
            _report(f'scheduler.add_job(send_report, {_HALF_PAST_NINE}, id="morning-report")'),
            "11 May until 10:29:58. That is less than an hour late",
        ),
        (_report(_job(_HALF_PAST_NINE, grace="None")), "12 May until 10:30:02. Your report"),
        (_report(_job("cron(hour=9)")), "a report is sent at Sun 10 May 09:00 KST"),
        (_report(_job("cron(hour=9, minute=30, day=11)")), "no report is sent on 10 May"),
        (
            _report(
                _job(_HALF_PAST_NINE),
                _job(_HALF_PAST_NINE).replace("morning-report", "second"),
            ),
            "2 reports are sent at one time",
        ),
        (
            _report(_job(_HALF_PAST_NINE).replace("morning-report", "report")),
            'No job has the id "morning-report". Registered: `report`',
        ),
        (_report("scheduler.get_jobs()"), "Registered: none"),
        (_report(_job(_HALF_PAST_NINE, job="lambda: 1 / 0")), "your job raises `ZeroDivision"),
        ("register_report = 1", "Expected a function"),
    ],
}
