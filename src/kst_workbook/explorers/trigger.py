"""When a crontab line or cron's fields fire: in Seoul, and as a host in UTC would read them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

import pandas as pd

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.timezone import KST, UTC, kst
from kst_scheduler.triggers.wording import describe
from kst_workbook.explorers.as_code import moment_as_code
from kst_workbook.explorers.explorer import Explorer, Subject, labelled
from kst_workbook.explorers.trigger_text import calls, in_seoul, on_utc_host
from kst_workbook.explorers.week import draw_week

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apscheduler.triggers.base import BaseTrigger

    from kst_workbook.explorers.drawing import Drawing

CAPTION: Final = (
    "Trigger explorer: type a crontab line or cron's fields to see a week of fire times in Seoul, "
    "the next ten of them, and when a host in UTC would fire instead."
)
MONDAY: Final = date(2026, 5, 4)
OURS: Final = "in KST"
THEIRS: Final = "on a UTC host"
"""The lesson's trigger, which is made without a zone."""
_TEN: Final = 10
_STYLE: Final = "text-align:left;line-height:1.4;border-spacing:12px 0"


@dataclass(frozen=True)
class Question:
    """A text to read, and the Korean date from which to look; None: the usual Monday."""

    text: str = "0 3 * * *"
    start: date | None = MONDAY

    @property
    def midnight(self) -> datetime:
        """The beginning of that date."""
        day = self.start or MONDAY
        return kst(day.year, day.month, day.day)


@dataclass(frozen=True)
class Fires:
    """When the text fires: as it is meant, and on a UTC host."""

    trigger: BaseTrigger
    warnings: list[str]
    on_host: BaseTrigger | None
    refused: str
    """Why APScheduler does not read the line; empty when it does."""


def trigger_explorer(text: str = "0 3 * * *") -> Explorer:
    """Return an explorer of what a crontab line, or fields such as ``hour=3``, fire at.

    While a text cannot be read, the last picture stays, and the error stands below it.

    Raises:
        WorkbookError: ipywidgets is not installed.

    """
    first = Question(text)
    return Explorer(
        Subject(Question, read, draw, say, write_code, CAPTION),
        {
            "text": labelled("Text", "crontab line or fields", value=first.text),
            "start": labelled("DatePicker", "week from (KST date)", value=first.start),
        },
    )


def read(question: Question) -> Fires:
    """Read the text as this package does, and as APScheduler does on a UTC host.

    Raises:
        InvalidArgumentError: the text is neither a crontab line nor fields.

    """
    _check_year(question.midnight)
    trigger, warnings = in_seoul(question.text)
    try:
        return Fires(trigger, warnings, on_utc_host(question.text), "")
    except InvalidArgumentError as error:
        return Fires(trigger, warnings, None, str(error))


def draw(question: Question, fires: Fires) -> Drawing:
    """Draw the week, a row a day, with a line for each reading."""
    start = question.midnight
    end = start + timedelta(days=7)
    theirs = pd.DatetimeIndex([], tz=KST)
    if fires.on_host is not None:
        theirs = fire_times(fires.on_host, start, end).tz_convert(KST)
    return draw_week({OURS: fire_times(fires.trigger, start, end), THEIRS: theirs}, start)


def say(question: Question, fires: Fires) -> str:
    """Return both readings in words, and a table of the next ten fire times."""
    parts = [f"<b>{html.escape(describe(fires.trigger))}</b>"]
    theirs = fires.refused or (describe(fires.on_host) if fires.on_host is not None else "")
    parts.append(f"{THEIRS}: {html.escape(theirs)}")
    parts += [f"Note: {html.escape(warning)}" for warning in fires.warnings]
    return "<br>".join(parts) + _table(question, fires)


def write_code(question: Question) -> str:
    """Return Python that draws the same fire times, as far as APScheduler reads the line."""
    start = question.midnight
    end = start + timedelta(days=7)
    ours, theirs = calls(question.text)
    refused = read(question).on_host is None
    second = "" if refused else f'    "{THEIRS}": {theirs},\n'
    return f"""\
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler import cron, crontab, kst, plot_fire_times

triggers = {{
    "{OURS}": {ours},
{second}}}
plot_fire_times(triggers, {moment_as_code(start)}, {moment_as_code(end)})
"""


def _table(question: Question, fires: Fires) -> str:
    ours = next_fires(fires.trigger, question.midnight)
    theirs = [] if fires.on_host is None else next_fires(fires.on_host, question.midnight)
    width = max(len(ours), len(theirs))
    columns = {
        "KST": [_clock(fire, KST) for fire in ours],
        "UTC": [_clock(fire, UTC) for fire in ours],
        f"{THEIRS}: KST": [_clock(fire, KST) for fire in theirs],
    }
    head = "".join(f"<th>{name}</th>" for name in ["next", *columns])
    rows = "".join(
        f"<tr><td>{number + 1}</td>"
        + "".join(f"<td>{(cells + [''] * width)[number]}</td>" for cells in columns.values())
        + "</tr>"
        for number in range(width)
    )
    return f'<table style="{_STYLE}"><tr>{head}</tr>{rows}</table>'


def next_fires(trigger: BaseTrigger, start: datetime) -> list[datetime]:
    """Return the first ten fire times from ``start`` on; fewer when there are no more."""
    return list(islice(_fires(trigger, start), _TEN))


def _fires(trigger: BaseTrigger, start: datetime) -> Iterator[datetime]:
    fire = trigger.get_next_fire_time(None, start)
    while fire is not None:
        yield fire
        fire = trigger.get_next_fire_time(fire, fire)


def _clock(fire: datetime, zone: object) -> str:
    local = pd.Timestamp(fire).tz_convert(zone)  # type: ignore[arg-type]
    return f"{local:%a} {local.day} {local:%b %Y %H:%M}" + (f":{local:%S}" if local.second else "")


def _check_year(start: datetime) -> None:
    if not 1970 <= start.year <= 2200:  # noqa: PLR2004
        raise InvalidArgumentError(
            f"the year {start.year} is not from 1970 to 2200; choose another"
        )
