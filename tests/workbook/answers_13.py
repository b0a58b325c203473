"""Typical wrong answers to the exercises of notebook 13, and a part of what each is told."""

from __future__ import annotations


def _test(body: str) -> str:
    """Return a test that simulates a day with a restart at 02:00, and then does this."""
    return (
        "def test_stock_sync(register):\n"
        '    restart = Crash("A", kst(2026, 5, 10, 2), timedelta(minutes=1))\n'
        "    span = kst(2026, 5, 10, 1), kst(2026, 5, 11, 1)\n"
        "    day = simulate(register, *span, incidents=[restart])\n"
        '    runs = day.runs[day.runs["job_id"] == "stock-sync"]\n'
        f"    {body}\n"
    )


_NO_RESTART = """
def test_stock_sync(register):
    day = simulate(register, kst(2026, 5, 10, 0, 0, 30), kst(2026, 5, 11))
    runs = day.runs[day.runs["job_id"] == "stock-sync"]
    assert [*runs["scheduled_at"].dt.hour] == [6, 12, 18]
"""

_ALL_JOBS = """
def test_stock_sync(register):
    day = simulate(register, kst(2026, 5, 10), kst(2026, 5, 11))
    assert [*day.runs["scheduled_at"].dt.hour] == [0, 6, 12, 18]
"""

_ASYNC = """
async def test_stock_sync(register):
    assert simulate(register, kst(2026, 5, 10), kst(2026, 5, 11)).runs is None
"""

_INSTANT = """
def test_stock_sync(register):
    day = simulate(register, "2026-05-10", "2026-05-11")
    assert len(day.runs) == 5
"""

WRONG = {
    "13.1": [
        ('fault = {"report": "KST008"}', "always at 09:00:00. Which job's rows"),
        ('fault = {"settlement": "KST006"}', "always at 03:00:00. Which job's rows"),
        ('fault = {"stock-sync": "KST012"}', "But KST012 error: Every replica"),
        ('fault = {"stock-sync": "KST023"}', "But KST023"),
        ('fault = {"stock-sync": "an interval"}', "is no code of a finding. REHEARSAL.md"),
        ('fault = {"crawl": "KST006"}', "The rows have"),
        ('fault = "KST006"', "Expected a dict of one job and one code"),
        ('fault = {"report": "KST006", "stock-sync": "KST006"}', "Expected a dict of one job"),
    ],
    "13.2": [
        (_NO_RESTART, "Your test passes on the hidden service, with its fault"),
        (_test("assert (runs['scheduled_at'].dt.hour % 6 == 0).all()"), "no job `stock-sync`"),
        (_test("assert len(runs) == 4 and not runs['scheduled_at'].dt.second.any()"), "is in UTC"),
        (_test("assert set(runs['scheduled_at'].dt.hour) <= {0, 6, 12, 18} and 2 < len(runs) < 5"),
         "Your test passes on a service that leaves 18:00 out"),
        (_test("assert [*runs['scheduled_at'].dt.hour] == [6, 12, 18, 0]"), "half an hour late"),
        (_test("return [*runs['scheduled_at'].dt.hour] == [6, 12, 18, 0]"), "looks at no result"),
        (_ALL_JOBS, "`every(hours=6)`, which is right"),
        (_INSTANT, "NaiveDatetimeError: start="),
        (_ASYNC, "is an `async def`"),
        ("def test_stock_sync():\n    assert False", "is called as `test_stock_sync(register)`"),
        ("test_stock_sync = True", "Expected a function"),
    ],
}  # fmt: skip
