"""The words of the pictures: durations, clock times, incidents and titles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.timeline.style import DOWN, DOWN_MARK, TEXT, text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from kst_scheduler.timeline.not_run import NotRun

_FEW_SECONDS: Final = 9.95
"""Below them two digits say more than whole seconds."""
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_SECONDS: Final = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*s?")

_BREAKS: Final = re.compile(r" (?!(?:d|h|min|s)\b)|(?<!\d) ")
"""Where a line may be broken."""
_TAIL: Final = 8
"""Letters of the end that a label keeps: names of one kind often differ there."""
_WIDE_LETTER: Final = 0.75 * TEXT
"""Points a letter of a label may take on average; of most names it takes less."""

A_YEAR: Final = timedelta(days=365)
"""What spans more has a day of the same name twice."""
_LATE: Final = timedelta(minutes=1)
_PROCESS: Final = "process"

# The order in which a title tells what went wrong: the worst first.
_WRONG: Final = ("missed", DOWN, "error", "cancelled", "skipped", "coalesced")


def duration(span: timedelta | float) -> str:
    """Return a length of time by its two largest units: 2 h 20 min, 2 h 20 s, 45 s, 0.25 s.

    A number is seconds.
    """
    seconds = span if isinstance(span, (int, float)) else span.total_seconds()
    if abs(seconds) < _FEW_SECONDS:
        return f"{seconds:.2g} s"
    left = round(abs(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
    return ("-" if seconds < 0 else "") + " ".join(parts[:2])


@dataclass(frozen=True)
class Clock:
    """Writes times as short as they are told apart: 03:00, 03:00:05, 10 May 03:00.

    ``digits`` are those of the fraction of a second.
    """

    dated: bool = False
    with_year: bool = False
    digits: int = 0

    def __call__(self, moment: datetime) -> str:
        """Return the time of day, and its date where times need one."""
        time = f"{moment:%H:%M:%S}" if moment.second or self.digits else f"{moment:%H:%M}"
        time += f".{moment.microsecond:06}"[: self.digits + 1] if self.digits else ""
        return f"{self.date(moment)} {time}" if self.dated else time

    def date(self, moment: datetime) -> str:
        """Return the day, and its year where the days of several years are written."""
        return f"{moment.day} {moment:%b}" + (f" {moment.year}" if self.with_year else "")


def digits_apart(moments: Iterable[datetime]) -> int:
    """Return how many digits of a second's fraction tell these moments apart: 0, 3 or 6."""
    instants = {microseconds(moment) for moment in moments}
    return next(
        digits
        for digits in (0, 3, 6)
        if len({instant // 10 ** (6 - digits) for instant in instants}) == len(instants)
    )


def short(name: object, max_length: int = 24) -> str:
    """Return a name fit for a label: printable, on one line, its middle left out when long.

    It has at most ``max_length`` letters, and is no wider than as many that are rather wide: 24
    letters of Hangul would be wider than a phone has room for.
    """
    text = str(name)
    text = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for letter in (text if len(text) <= max_length else f"{text[:max_length]}{text[-_TAIL:]}")
    )
    room = max_length * _WIDE_LETTER
    if len(str(name)) <= max_length and text_width(text) <= room:
        return text
    for tail in range(_TAIL, -1, -1):
        end = text[len(text) - tail :]
        for head in range(max_length - 1 - _TAIL, 0, -1):
            label = f"{text[:head]}…{end}"
            if text_width(label) <= room:
                return label
    return "…"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: 1 run, 2 runs."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def wrap(text: str, width: float, size: float = TEXT, *, bold: bool = False) -> str:
    """Break ``text`` at spaces so that no line is wider than ``width`` points.

    A number stays with its unit.
    """
    lines = [""]
    for word in _BREAKS.split(text):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(longer, size, bold=bold) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def fitted(text: str, width: float, lines: int, size: float = TEXT, *, bold: bool = False) -> str:
    """Wrap ``text`` into at most so many ``lines``, also within a word that is too wide.

    What is left out shows as an ellipsis. It is empty where not even a letter has room.
    """
    rest = text
    fitting: list[str] = []
    while rest and len(fitting) < lines:
        line = wrap(rest, width, size, bold=bold).split("\n")[0]
        cut = len(line) < len(rest) and len(fitting) + 1 == lines
        if cut or text_width(line, size, bold=bold) > width:
            end = "…" if len(fitting) + 1 == lines else ""
            while line and text_width(line.rstrip() + end, size, bold=bold) > width:
                line = line[:-1]
            if not line:
                return ""
            fitting.append(line.rstrip() + end)
        else:
            fitting.append(line)
        rest = rest[len(line) :].lstrip(" ")
    return "\n".join(fitting)


def incident(
    node: str,
    kind: str,
    start: pd.Timestamp,
    end: pd.Timestamp,
    detail: Any,
    *,
    last: pd.Timestamp | None = None,
    clock: Clock = Clock(),
) -> str:
    """Say what befell a node: "B frozen 2 h 20 min", "A down from 04:10 on", "B clock +3 min".

    A node without a name, where the lanes stand for something else, is "process". ``last`` is the
    end of the picture: what is not over there has no length yet.
    """
    name = short(node) or _PROCESS
    if kind == "clock_jump":
        return f"{name} clock {_jump(detail)}"
    state = {"freeze": "frozen", "crash": "down"}[kind]
    if pd.isna(end) or (last is not None and end >= last):
        return f"{name} {state} from {clock(start)} on"
    return f"{name} {state} {duration(end - start)}"


def incidents_in_short(node: str, kinds: Iterable[str]) -> str:
    """Say how often a node was struck, where there is no room to say when."""
    said = {"freeze": "frozen", "crash": "down", "clock_jump": "clock jumped"}
    kinds = list(kinds)
    parts = [f"{words} {kinds.count(kind)}x" for kind, words in said.items() if kind in kinds]
    return f"{short(node) or _PROCESS}: {', '.join(parts)}"


def verdict(
    statuses: Mapping[str, int],
    repeated: Iterable[int],
    not_run: list[NotRun],
    jobs: int,
    latest: timedelta,
    *,
    overlapping: int = 0,
    clock: Clock = Clock(),
) -> str:
    """Return the title of a timeline: what went wrong, counted, then how much went well.

    ``statuses`` counts the rows of each outcome, ``repeated`` holds how often each occurrence ran
    that ran more than once, ``jobs`` is how many jobs the picture shows, ``latest`` is by how much
    the latest run was late, ``overlapping`` how many runs started before another of their job and
    node had ended, and ``clock`` writes times.
    """
    wrong = [*_not_run(not_run, jobs, clock), *_repeated(list(repeated))]
    nouns = {name: (name, name) for name in _WRONG}
    nouns |= {"error": ("error", "errors"), DOWN: (DOWN_MARK.words, DOWN_MARK.words)}
    wrong += [count(statuses[name], *nouns[name]) for name in _WRONG if statuses.get(name)]
    others = {"locked_out": "locked out", "running": "still running"}
    fine = [f"{statuses[name]:,} {words}" for name, words in others.items() if statuses.get(name)]
    fine += [f"{overlapping:,} overlapping"] * bool(overlapping)
    fine += [f"up to {duration(latest)} late"] if latest > _LATE else []
    ok = statuses.get("ok", 0)
    if wrong:
        return "; ".join([", ".join(wrong), ", ".join([f"{ok:,} ok" if ok else "none ok", *fine])])
    if not ok and not fine:
        return "no runs"
    every = "all " if ok > 1 and not overlapping and "running" not in statuses else ""
    return ", ".join([f"{every}{ok:,} ok"] * bool(ok) + fine)


def _not_run(not_run: list[NotRun], jobs: int, clock: Clock) -> list[str]:
    if not not_run:
        return []
    if len(not_run) > 1:
        return [f"{len(not_run):,} expected runs did not happen"]
    who = "nothing ran" if jobs <= 1 else f"{short(not_run[0].job_id)} did not run"
    return [f"{who} at {clock(not_run[0].moment)}"]


def _repeated(runs: list[int]) -> list[str]:
    if not runs:
        return []
    same = runs[0] if len(set(runs)) == 1 else 0
    often = {0: "more than once", 2: "twice"}.get(same, f"{same} times")
    return [f"{count(len(runs), 'occurrence')} ran {often}"]


def _jump(detail: Any) -> str:
    if isinstance(detail, str):
        said = detail.removeprefix("clock ").strip()
        found = _SECONDS.fullmatch(said)
        if not found:
            return said or "jumped"
        detail = float(found[1])
    if pd.isna(detail):
        return "jumped"
    said = duration(detail)
    return said if said.startswith("-") else f"+{said}"
