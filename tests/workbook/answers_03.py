"""Typical wrong answers to the exercises of notebook 03, and a part of what each is told."""

from __future__ import annotations


def _renewal(trigger: str, job: str = "renew-token") -> str:
    """Return code that registers the renewal with this trigger."""
    return f"""
def register_renewal(scheduler):
    scheduler.add_job(crawl_nps, {trigger}, id="{job}")
"""


def _payroll(
    transfer: str = 'on_business_days(cron(day=25, hour=10), otherwise="previous")',
    closing: str = "on_business_days(cron(hour=18), nth_of_month=-1)",
) -> str:
    """Return code with these triggers; each is right where it is left out."""
    return f'payroll = {{"transfer": {transfer}, "closing": {closing}}}'


_THROUGH_A_GLOBAL = """
first = []

def register_renewal(scheduler):
    first.append(datetime.now(KST))
    trigger = IntervalTrigger(minutes=90, start_date=first[0].replace(hour=0, minute=0, second=0))
    scheduler.add_job(crawl_nps, trigger, id="renew-token")
"""

WRONG = {
    "3.1": [
        ("trigger = cron(hour=8, minute=30)", "should not fire at Sat 9 May 08:30"),
        ('trigger = cron(day_of_week="mon-fri", hour=8, minute=30, timezone="UTC")', "17:30"),
        ('trigger = cron(day_of_week="mon-fri", hour=8)', "Mon 4 May 08:00"),
        ('trigger = cron(year="2026", day_of_week="mon-fri", hour=8, minute=30)', "year='2026'"),
        (
            'trigger = cron(year="2026,2028-2099", day_of_week="mon-fri", hour=8, minute=30)',
            "one of 2027 is not",
        ),
        (
            'trigger = cron(week="1-52", day_of_week="mon-fri", hour=8, minute=30)',
            "one of 2026 is not",
        ),
    ],
    "3.2": [
        ('moved = crontab("30 9 * * 0-4")', "at 09:30 in Korea"),
        ('moved = cron(day_of_week="0-4", hour=18, minute=30)', "on Mon, Tue, Wed, Thu, Fri"),
        ('moved = cron(day_of_week="tue-sat", hour=18, minute=30)', "on Tue, Wed, Thu, Fri, Sat."),
        ("moved = cron(hour=18, minute=30)", "on Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        ('moved = crontab("30 9 * * 0-4", timezone="UTC")', "writes them on another clock"),
        ('moved = crontab("30 3 * * 1-5")', "should not fire at Mon 4 May 03:30"),
        ("moved = cron(hour=3)", "should not fire at Mon 4 May 03:00"),
        ('moved = "30 18 * * 0-4"', "Expected a trigger"),
        ("moved = CronTrigger", "is the class `CronTrigger`"),
    ],
    "3.3": [
        (_renewal("IntervalTrigger(minutes=90)"), "Replica A has a run at Sun 10 May 03:07"),
        (_renewal("every(minutes=90, anchor=kst(2026, 5, 10, 0, 30))"), "30 minutes after"),
        (_renewal("every(hours=3)"), "Neither replica has a run at Sun 10 May 01:30"),
        (_renewal('cron(minute="*/45")'), "at Sun 10 May 00:45 KST, which is 45 minutes"),
        (_renewal('cron(hour="1-23/3", minute="*/30")'), "which is 60 minutes after"),
        (_renewal("every(minutes=90)", job="token"), "due are `token`"),
        (_renewal("every(minutes=90, jitter=60)"), "TypeError"),
        (_renewal('cron(minute="*/90")'), "90"),
        (_THROUGH_A_GLOBAL, "keeps something in `first`"),
        ("def register_renewal(scheduler):\n    return every(minutes=90)", "none at all"),
    ],
    "3.4": [
        ('meeting = cron(day="1-7", day_of_week="mon", hour=9)', "Mon 2 Mar 09:00"),
        (
            'meeting = on_business_days(cron(day="1-7", day_of_week="mon", hour=9))',
            "does not fire in March, October",
        ),
        ('meeting = crontab("0 9 1-7 * 1")', "times in 2026"),
        ('meeting = cron(day_of_week="mon", hour=9)', "It fires 52 times in 2026"),
        (
            'meeting = on_business_days(cron(day=1, hour=9), otherwise="next")',
            "should not fire at Fri 2 Jan 09:00",
        ),
        (
            """
mondays = cron(day="1-7", day_of_week="mon", hour=10)
meeting = on_business_days(mondays, otherwise="next")
            """,
            "should not fire at Mon 5 Jan 10:00",
        ),
    ],
    "3.5": [
        (_payroll("cron(day=25, hour=10)"), "fires on Sun 25 Jan 2026 at 10:00 KST, when banks"),
        (
            _payroll('on_business_days(cron(day=25, hour=10), otherwise="next")'),
            "fires on Mon 26 Jan 2026 at 10:00 KST: the money comes after",
        ),
        (
            _payroll("on_business_days(cron(day=25, hour=10))"),
            "does not fire in January 2026, nor in 14 more",
        ),
        (
            _payroll('on_business_days(cron(day="21-25", hour=10))'),
            "It should not fire on Wed 21 Jan 2026",
        ),
        (
            _payroll("on_business_days(cron(hour=10), nth_of_month=16)"),
            "fires on Thu 26 Feb 2026 at 10:00 KST: the money comes after",
        ),
        (_payroll(closing='cron(day="last", hour=18)'), "Sat 31 Jan 2026 at 18:00 KST, when banks"),
        (
            _payroll(closing='on_business_days(cron(day="last", hour=18))'),
            '"closing"` does not fire in January 2026',
        ),
        (
            _payroll(closing="on_business_days(cron(hour=18), nth_of_month=1)"),
            "It should not fire on Fri 2 Jan 2026",
        ),
        (
            _payroll(closing="on_business_days(cron(hour=18))"),
            '`"closing"` fires 7',
        ),
        (
            _payroll(closing='on_business_days(cron(day="last"), otherwise="previous")'),
            "It should not fire on Fri 30 Jan 2026 at 00:00",
        ),
        (_payroll(closing="cron(minute=0)"), "fires 744 times in January 2026 alone"),
        (
            "payroll = on_business_days(cron(day=25, hour=10))",
            "Expected a dictionary of two triggers",
        ),
        (
            _payroll('on_business_days(CronTrigger(day=25, hour=10), otherwise="previous")'),
            '`payroll["transfer"]` names no zone',
        ),
        (_payroll("25"), '`payroll["transfer"]` is `25`, an int'),
    ],
}
