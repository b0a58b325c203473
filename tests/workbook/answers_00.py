"""Typical wrong answers to the exercise of notebook 00, and a part of what each is told."""

from __future__ import annotations

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
    ]
}
