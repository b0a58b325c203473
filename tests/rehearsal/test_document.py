"""REHEARSAL.md against the programme and the codes."""

from __future__ import annotations

from pathlib import Path

from kst_scheduler.rehearsal import explain
from kst_scheduler.rehearsal.findings import CODES
from kst_scheduler.rehearsal.nights import PROGRAMME

TEXT = Path(__file__).parents[2].joinpath("REHEARSAL.md").read_text(encoding="utf-8")


def test_each_night_has_its_row() -> None:
    """In order; the quiet ones at the end have one row."""
    bad = [night for night in PROGRAMME if night.name != "quiet"]
    rows = [f"| {number} | {night.what} |" for number, night in enumerate(PROGRAMME[:10], 1)]
    assert "\n".join([*rows, "| 11 to 14 | nothing goes wrong |"]) in TEXT
    assert len(bad) == 9


def test_each_code_has_its_row() -> None:
    """With its level, its title and its section."""
    rows = [
        f"| {each.code} | {each.level} | {each.title} | {each.section} |" for each in CODES.values()
    ]
    assert "\n".join(rows) in TEXT
    assert all(explain(name).startswith(name) for name in CODES)
