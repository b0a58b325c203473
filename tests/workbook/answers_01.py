"""Typical wrong answers to the exercise of notebook 01, and a part of what each is told."""

from __future__ import annotations

WRONG = {
    "1.1": [
        ('requirement = "apscheduler"', "It accepts `3.10.4`, `3.11.2`, `3.12.0`, `4.0.0a6`"),
        ('requirement = "apscheduler>=3.11.3"', "It accepts `3.12.0`, `4.0.0a6` and `4.0.0`"),
        ('requirement = "apscheduler>=3.11.3,<4"', "It accepts `3.12.0`, but should not"),
        ('requirement = "apscheduler>=3.11.3,!=3.12.0,<=4"', "It accepts `4.0.0a6` and `4.0.0`"),
        ('requirement = "apscheduler>=3.11.3,!=3.12.*,<4"', "It refuses `3.12.1`"),
        ('requirement = "apscheduler~=3.11.3"', "It refuses `3.12.1` and `3.13.0`"),
        ('requirement = "apscheduler~=3.11,!=3.12.0"', "It accepts `3.11.2`"),
        (
            "requirement = \"apscheduler>=3.11.3,!=3.12.0,<4; python_version < '3'\"",
            "is false here: installers skip the whole line",
        ),
        ('requirement = "apscheduler>=3.11.3,!=3.12.0,!=4.0.0,!=4.0.0a6"', "It accepts `4.0.0a1`"),
        ('requirement = "apscheduler>3.11.3,!=3.12.0,<4"', "you have tested"),
        ('requirement = ">=3.11.3,!=3.12.0,<4"', "cannot read"),
        ('requirement = "pytz>=3.11.3,!=3.12.0,<4"', "The package is `apscheduler`"),
        ('requirement = Requirement("apscheduler")', "Expected a line of text"),
    ]
}
