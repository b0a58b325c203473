"""Count what was broken on purpose, and what ran."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from random_days.marks import Mark
from random_days.sightings import sightings

if TYPE_CHECKING:
    from random_days.play import Story


DAYS_FOR_ALL_MARKS: Final = 1_000
"""So many days on which everything can go wrong reach each mark, or the search is at fault."""


@dataclass
class Tally:
    """Counts over many days."""

    days: int = 0
    nodes: int = 0
    jobs: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    """Incidents and outages, by their kind."""
    rows: Counter[str] = field(default_factory=Counter)
    """The ledgers' rows, by their status."""
    works: int = 0
    """Runs that began to work."""
    taken_over: int = 0
    """Attempts after one that lost its lease."""
    marks: Counter[str] = field(default_factory=Counter)
    """On how many days each rare state was reached."""

    def add(self, story: Story) -> None:
        """Count a day."""
        day = story.day
        self.days += 1
        self.nodes += len(day.offsets)
        self.jobs += len(day.jobs)
        self.broken["clock that is off"] += sum(map(bool, day.offsets))
        self.broken.update(type(each).__name__ for each in day.incidents)
        self.broken.update(f"{each.server} {each.kind}" for each in day.outages)
        self.broken["pause"] += len(day.pauses)
        self.broken["ledger clock wrong"] += len(day.wrong_clocks)
        self.broken.update(f"{each.kind} in a step" for each in day.strikes)
        self.marks.update(sightings(story))
        rows = asyncio.run(story.ledger.rows())
        self.rows.update(row.status for row in rows)
        self.works += len(story.witness.works)
        self.taken_over += sum(max(0, row.attempt - 1) for row in rows)

    def unreached(self) -> list[str]:
        """Return the marks that so many days have to reach and have not."""
        if self.days < DAYS_FOR_ALL_MARKS:
            return []
        return [mark for mark in Mark if not self.marks[mark]]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.days:,} days, {self.nodes:,} nodes, {self.jobs:,} jobs",
                f"broken on purpose: {_told(self.broken)}",
                f"runs that began: {self.works:,}; attempts after the first: {self.taken_over:,}",
                f"rows: {_told(self.rows)}",
                "days that reached a rare state:",
                *(f"{self.marks[mark]:8,}  {mark}" for mark in Mark),
            ]
        )


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
