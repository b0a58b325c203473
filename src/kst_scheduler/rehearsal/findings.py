"""What a rehearsal finds: a code, a job, a line, a sentence, and the rows that prove it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kst_scheduler.choices import LEVELS
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times.instants import SECOND, microseconds, moment_at
from kst_scheduler.rehearsal.place import NOWHERE, Place
from kst_scheduler.timezone import KST, UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from kst_scheduler.rehearsal.nights import Trouble
    from kst_scheduler.rehearsal.notes import JobNote, Notes
    from kst_scheduler.rehearsal.reading import Reading


@dataclass(frozen=True)
class Evidence:
    """That something was found: which job, what happened, and the rows that show it."""

    job: str
    what: str
    rows: pd.DataFrame | None = None
    place: Place = NOWHERE
    write: str = ""
    """What to write instead, where the code's own line can be more exact."""
    level: str = ""
    """Another level than the code's."""


@dataclass(frozen=True)
class Finding:
    """One finding of a rehearsal."""

    code: str
    level: str
    """error, warning or note."""
    job: str
    """Empty: it is about the service."""
    what: str
    write: str
    section: str
    """What explains it, such as "7.8"."""
    place: Place
    is_read: bool
    """Whether only the source shows it, and no run did."""
    rows: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        about = " ".join(each for each in (self.job, str(self.place)) if each)
        return f"{self.code} {self.level:7} {about}  {self.what}"


@dataclass(frozen=True)
class Facts:
    """All that the checks look at."""

    notes: Notes
    runs: pd.DataFrame
    zones: Mapping[str, Mapping[str, int | None]]
    """The first fire of each job by the zone of the host."""
    host: str
    troubles: Sequence[Trouble]
    start: int
    nodes: int
    """How many replicas there are."""
    reading: Reading
    each_node: frozenset[str] = frozenset()
    """The jobs that each replica should run for itself."""

    @cached_property
    def started(self) -> pd.DataFrame:
        """The runs that began and were not locked out."""
        runs = self.runs
        return runs[runs["started_at"].notna() & (runs["status"] != "locked_out")]

    def runs_of(self, job: str) -> pd.DataFrame:
        """Return the rows of a job."""
        return self.runs[self.runs["job_id"] == job]

    def note(self, job: str) -> JobNote | None:
        """Return what is known of a job."""
        return self.notes.jobs.get(job)

    def during(self, *kinds: str, before: float = 900, after: float = 900) -> pd.Series[bool]:
        """Tell for each row whether it was due around such a trouble of its node."""
        import numpy as np  # noqa: PLC0415 - slow to load
        import pandas as pd  # noqa: PLC0415 - slow to load

        due, nodes = self.runs["scheduled_at"].astype("int64").to_numpy(), self.runs["node"]
        found = np.zeros(len(due), dtype=bool)
        for node in nodes.unique():
            spans = sorted(
                (
                    microseconds(each.at) - round(before * SECOND),
                    microseconds(each.end) + round(after * SECOND),
                )
                for each in self.troubles
                if each.kind in kinds and each.node == node
            )
            if spans:
                begins, ends = np.array(spans).T
                latest = np.maximum.accumulate(ends)  # of those that have begun
                place = np.searchsorted(begins, due, side="right") - 1
                found |= (nodes == node).to_numpy() & (place >= 0) & (due <= latest[place])
        return pd.Series(found, index=self.runs.index, dtype=bool)


Check: TypeAlias = "Callable[[Facts], Iterator[Evidence]]"


@dataclass(frozen=True)
class Code:
    """A kind of finding."""

    code: str
    level: str
    title: str
    write: str
    section: str
    is_read: bool
    is_logged: bool
    """Whether only a log shows it (``kst-scheduler explain``)."""
    check: Check

    explanation: str


CODES: Final[dict[str, Code]] = {}
"""All codes, in their order."""


def code(
    number: int,
    level: str,
    *,
    write: str,
    section: str,
    is_read: bool = False,
    is_logged: bool = False,
) -> Callable[[Check], Check]:
    """Make a check the one of a code; its docstring is the title and the explanation."""

    def keep(check: Check) -> Check:
        name = f"KST{number:03}"
        title, _, text = (check.__doc__ or "").partition("\n")
        explanation = " ".join(text.split())
        CODES[name] = Code(
            name, level, title.rstrip("."), write, section, is_read, is_logged, check, explanation
        )
        for each in sorted(CODES):
            CODES[each] = CODES.pop(each)
        return check

    return keep


def explain(name: str) -> str:
    """Return what a code means, and what to write instead.

    Raises:
        InvalidArgumentError: there is no such code.

    """
    found = CODES.get(name.upper())
    if found is None:
        raise InvalidArgumentError(f"there is no code {name!r}; the codes are {', '.join(CODES)}")
    seen = "Seen in a run or in a fire time."
    if found.is_read:
        seen = "Read in the source."
    elif found.is_logged:
        seen = "Seen in a log, by kst-scheduler explain."
    return (
        f"{found.code} {found.level}: {found.title}\n\n{found.explanation}\n\n"
        f"Instead: {found.write}.\n{seen} Explained in section {found.section}."
    )


def findings(facts: Facts) -> list[Finding]:
    """Return all that the checks find: errors first, then by code and job."""
    found = [
        Finding(
            code=each.code,
            level=evidence.level or each.level,
            job=evidence.job,
            what=evidence.what,
            write=evidence.write or each.write,
            section=each.section,
            place=evidence.place if evidence.place.file else _place_of(facts, evidence.job),
            is_read=each.is_read,
            rows=evidence.rows,
        )
        for each in CODES.values()
        for evidence in each.check(facts)
    ]
    return sorted(found, key=lambda each: (-LEVELS.index(each.level), each.code, each.job))


def _place_of(facts: Facts, job: str) -> Place:
    note = facts.note(job)
    return note.place if note else Place()


def in_zone(instant: int, zone: Any = KST) -> str:
    """Return an instant as "03:00 KST"."""
    moment = moment_at(instant).astimezone(zone)
    second = f":{moment:%S}" if instant // SECOND % 60 else ""
    return f"{moment:%H:%M}{second} {'KST' if zone is KST else 'UTC' if zone is UTC else zone}"
