from __future__ import annotations

from typing import Any

from kst_workbook.explorers.drawing import Box, Lines, Words
from kst_workbook.explorers.replica_night import NO_LOCK, REDIS_LOCK, WAITS, Night, replay
from kst_workbook.explorers.replica_picture import draw


def shapes(night: Night, kind: Any) -> list[Any]:
    """Return the shapes of a kind in the picture of a night."""
    return [shape for shape in draw(night, replay(night)).shapes if isinstance(shape, kind)]


def words_of(night: Night) -> list[str]:
    """Return what is written in the picture of a night."""
    return [words.text for words in shapes(night, Words)]


def held(night: Night) -> list[str]:
    """Return what the boxes of the lock's lane say."""
    return [box.hover for box in shapes(night, Box) if "held the lock" in box.hover]


def test_the_lock_has_a_lane_that_names_its_holders() -> None:
    """Each waits for the one before, and works after it."""
    night = Night(lock=WAITS, job=90)
    assert [words.split()[0] for words in held(night)] == ["A", "B", "C", "A", "B", "C"]
    assert held(night)[0].split("\n") == [
        "A held the lock",
        "from 10 May 03:00 to 10 May 03:01:30",
        "released; its lease would have ended at 10 May 03:02",
    ]
    assert "lock held" in words_of(night)
    assert "its lease ended" not in words_of(night)


def test_the_end_of_a_lease_is_drawn_where_the_holder_still_worked() -> None:
    """The picture says why two work at once."""
    night = Night(lock=WAITS, job=240, lease=60)
    assert held(night)[0].endswith("then its lease ended, and it had not released the lock")
    assert "its lease ended" in words_of(night)
    ends, _legend = (line for line in shapes(night, Lines) if line.width == 2)
    assert len(ends.strokes) == len(held(night))


def test_a_frozen_holder_loses_its_lease() -> None:
    """A renews its lock until 03:02 and is frozen; the lease ends after that."""
    night = Night(lock=REDIS_LOCK, job=240, lease=60, freeze=9)
    assert held(night)[0].startswith("A held the lock\nfrom 10 May 03:00 to 10 May 03:02:")
    assert "A frozen 9 min" in words_of(night)


def test_each_clock_is_named_and_shows_when_it_reads_the_due_time() -> None:
    """A late clock fires late, at a line of its own."""
    night = Night(skew=30)
    words = words_of(night)
    assert {"clock right", "clock 30 s late", "clock 1 min late"} <= set(words)
    lines = [line.hover for line in shapes(night, Lines) if "clock reads" in line.hover]
    assert lines[0] == "B's clock reads 10 May 03:00 here"
    assert len(lines) == 4
    assert "due by its own clock" not in words_of(Night())


def test_without_a_lock_its_lane_is_empty() -> None:
    """It stays, so that the picture keeps its size."""
    night = Night(lock=NO_LOCK)
    assert not held(night)
    assert "no lock" in words_of(night)
    assert draw(night, replay(night)).height == draw(Night(), replay(Night())).height
