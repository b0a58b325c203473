"""Typical wrong answers to the exercises of notebook 01, and a part of what each is told."""

from __future__ import annotations


def _korean(returned: str) -> str:
    """Return code of a function that returns this."""
    return f"def korean(text):\n    return {returned}"


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
    ],
    "1.2": [
        (_korean("datetime.fromisoformat(text).replace(tzinfo=KST)"), "is Sun 10 May 03:32 in"),
        (_korean("datetime.fromisoformat(text).astimezone(KST)"), "is Sun 10 May 16:00 in"),
        (_korean("datetime.fromisoformat(text)"), "which is in no zone"),
        (_korean("datetime.fromisoformat(text + '+00:00')"), "is Sun 10 May 12:00 in Korea"),
        (_korean("KST.localize(datetime(2026, 5, 10, 3))"), 'korean("2026-12-31 23:59")`'),
        (_korean("KST.localize(datetime.strptime(text, '%Y-%m-%d'))"), "unconverted data"),
        (_korean("text"), "a str. Expected a moment"),
        ("def korean():\n    return 1", "is called as `korean(text)`"),
        ("korean = KST", "Expected a function"),
    ],
}
