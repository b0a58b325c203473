"""Exercise 1.2: A Korean time from a text."""

from __future__ import annotations

from typing import Any, Final

from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.host_zone import another_host
from kst_workbook.exercises.judging import moment, require_function, require_moment

TIMES: Final = {
    "2026-05-10 03:00": kst(2026, 5, 10, 3),
    "2026-12-31 23:59": kst(2026, 12, 31, 23, 59),
    "2027-01-01 00:30": kst(2027, 1, 1, 0, 30),
}


@exercise(
    "1.2",
    title="A Korean time from a text",
    variable="korean",
    hints=(
        "`datetime.fromisoformat` reads such a text, and gives it no zone.",
        "1.3 shows ways to give a datetime its zone. One of them is 32 minutes off.",
    ),
    solution="""
        def korean(text):
            return KST.localize(datetime.fromisoformat(text))
    """,
    link="https://docs.python.org/3/library/datetime.html#aware-and-naive-objects",
)
def korean_time_from_a_text(korean: Any) -> Right:
    """Write a function that reads a text as a time in Korea, on a host in any zone."""
    read = require_function(korean, "korean", "text")
    for text, expected in TIMES.items():
        with another_host():
            returned = require_moment(read(text), f'`korean("{text}")`')
        if returned != expected:
            raise NotYetError(
                f'`korean("{text}")` returns a moment that is {moment(returned)} in Korea.'
            )
    return Right("Each text is the same time in Korea, wherever the host is: +09:00, not +08:28.")
