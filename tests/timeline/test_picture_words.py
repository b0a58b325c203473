from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from kst_scheduler.timeline.style import TEXT, text_width
from kst_scheduler.timeline.words import duration, fitted, incident, incidents_in_short, short, wrap
from kst_scheduler.timezone import kst


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(hours=2, minutes=20), "2 h 20 min"),
        (timedelta(minutes=12), "12 min"),
        (timedelta(hours=2, seconds=20), "2 h 20 s"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
        (timedelta(seconds=59.7), "1 min"),
        (timedelta(milliseconds=250), "0.25 s"),
        (timedelta(0), "0 s"),
        (-180.0, "-3 min"),
    ],
)
def test_a_duration_is_said_by_its_two_largest_units(span: timedelta | float, words: str) -> None:
    """As exact as a reader needs, in units that they read."""
    assert duration(span) == words


@pytest.mark.parametrize(
    ("kind", "detail", "words"),
    [
        ("clock_jump", "180", "B clock +3 min"),
        ("clock_jump", -75.0, "B clock -1 min 15 s"),
        ("clock_jump", "+0.5 s", "B clock +0.5 s"),
        ("clock_jump", "clock +180 s", "B clock +3 min"),
        ("clock_jump", "set by hand", "B clock set by hand"),
        ("clock_jump", "", "B clock jumped"),
        ("clock_jump", None, "B clock jumped"),
        ("freeze", "", "B frozen 2 h"),
        ("crash", "", "B down 2 h"),
    ],
)
def test_an_incident_is_said_in_words(kind: str, detail: object, words: str) -> None:
    """The jump of a clock may come as seconds, as their text, or in words."""
    start, end = pd.Timestamp(kst(2026, 5, 10, 5)), pd.Timestamp(kst(2026, 5, 10, 7))
    assert incident("B", kind, start, end, detail) == words


def test_an_incident_of_a_node_without_a_name_says_what_was_struck() -> None:
    """Where lanes compare job stores, say, it was the process that was down.

    What is not over at the end of the picture has no length.
    """
    start, end = pd.Timestamp(kst(2026, 5, 10, 5)), pd.Timestamp(kst(2026, 5, 10, 7))
    assert incident("", "crash", start, end, "") == "process down 2 h"
    never: Any = pd.NaT
    assert incident("", "freeze", start, never, "") == "process frozen from 05:00 on"
    assert incident("B", "crash", start, end, "", last=end) == "B down from 05:00 on"
    assert incidents_in_short("", ["crash", "crash"]) == "process: down 2x"


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    """Names that differ at either end stay different."""
    assert short("web-7f9c5d8b6-x2x9k.seoul.internal") == "web-7f9c5d8b6-x…internal"
    assert short("a" * 24) == "a" * 24


def test_a_title_is_broken_before_it_leaves_the_page() -> None:
    """No line is wider than asked for; a single long word stays whole."""
    lines = wrap("16 occurrences ran twice, 1 missed, 2 coalesced", 120).split("\n")
    assert len(lines) == 2
    assert max(map(text_width, lines)) <= 120
    assert wrap("unbreakable", 10) == "unbreakable"
    assert wrap("up to 2 h 25 min late", 1).split("\n") == ["up", "to", "2 h", "25 min", "late"]
    assert wrap("a min 3 seconds", 1).split("\n") == ["a", "min", "3", "seconds"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("daily-nps-crawl", "daily-nps-crawl"),
        ("a-very-long-name-of-a-job-2026-05", "a-very-long-nam…-2026-05"),
        ("가" * 12, "가" * 12),
        ("가" * 24, f"{'가' * 8}…{'가' * 8}"),
        ("W" * 24, f"{'W' * 8}…{'W' * 8}"),
        ("a\nb\0c", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"),
    ],
)
def test_a_label_is_cut_by_its_width(name: str, label: str) -> None:
    """Letters of Hangul are an em wide, whether or not a font here has them."""
    assert short(name) == label
    assert text_width(short(name)) <= 24 * 0.75 * TEXT
    assert text_width("가나다", size=10.0) == 30


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("Labor Day", 1, "Labor Day"),
        ("Substitute for Buddha's Birthday", 2, "Substitute for\nBuddha's…"),
        ("Substitute for Buddha's Birthday", 1, "Substitute for…"),
        ("W" * 30, 2, "WWWWWWWW\nWWWWWWW…"),
        ("W" * 8 + " a", 2, "WWWWWWWW\na"),
        ("가" * 20, 2, "가" * 8 + "\n" + "가" * 7 + "…"),
        ("Labor Day", 0, ""),
    ],
)
def test_words_are_fitted_into_lines(text: str, lines: int, expected: str) -> None:
    """Broken at spaces, or within a word that is too wide; what is left out shows as a mark."""
    assert fitted(text, 76, lines) == expected
    assert all(text_width(line) <= 76 for line in fitted(text, 76, lines).split("\n"))
    assert fitted(text, 2, lines) == ""
