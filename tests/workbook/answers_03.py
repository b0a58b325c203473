"""Typical wrong answers to the exercises of notebook 03, and a part of what each is told."""

from __future__ import annotations

WRONG = {
    "3.1": [
        ("trigger = cron(hour=8, minute=30)", "not asked for is Sat 9 May 08:30"),
        ('trigger = CronTrigger(day_of_week="mon-fri", hour=8, minute=30)', "17:30"),
        ('trigger = cron(day_of_week="mon-fri", hour=8)', "Mon 4 May 08:00"),
    ],
}
