"""Exercise 9.2: the success rate of each day."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.ledger.history import history_table
from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    png,
    require_function,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kst_workbook.exercises.exercise import Picture

GROUPBY: Final = "https://pandas.pydata.org/docs/user_guide/groupby.html"


def _row(
    due: datetime, status: str, late: int = 0, minutes: int = 20, trigger: str = "schedule"
) -> tuple[Any, ...]:
    """Return a record of a ledger's history."""
    ran = status not in {"missed", "skipped"}
    begin = due + timedelta(minutes=late) if ran else None
    end = begin + timedelta(minutes=minutes) if begin and status != "running" else None
    rows = 250 if status == "ok" else None
    return ("A", "nps", due, begin, end, status, "", int(ran), rows, trigger, minutes * 60_000)


DAYS: Final = history_table(
    [
        _row(kst(2026, 5, 10, 0, 30), "error"),
        _row(kst(2026, 5, 10, 3), "ok"),
        _row(kst(2026, 5, 10, 12), "ok"),
        _row(kst(2026, 5, 10, 23, 50), "ok", late=15),
        _row(kst(2026, 5, 11, 0, 30), "missed"),
        _row(kst(2026, 5, 11, 3), "missed"),
        _row(kst(2026, 5, 11, 12), "ok"),
        _row(kst(2026, 5, 12, 0, 30), "ok"),
        _row(kst(2026, 5, 12, 3), "cancelled"),
        _row(kst(2026, 5, 12, 12), "running"),
    ]
)
"""What the reader's function gets; they do not see it."""
ENDED: Final = DAYS[DAYS["status"] != "running"]
OTHER_DAYS: Final = history_table(
    [
        _row(kst(2026, 5, 10, 3), "error"),
        _row(kst(2026, 5, 11, 3), "ok"),
        _row(kst(2026, 6, 10, 3), "ok"),
        _row(kst(2026, 6, 11, 3), "missed"),
        _row(kst(2026, 6, 11, 12), "running"),
        _row(kst(2027, 5, 10, 3), "ok"),
    ]
)
"""Days of equal numbers in two months, and in two years."""
OTHER_ENDED: Final = OTHER_DAYS[OTHER_DAYS["status"] != "running"]
Rates = dict[date, float]


@exercise(
    "9.2",
    title="The success rate of each day",
    variable="success_rate",
    hints=(
        "9.6 does something like it in one line. Which rows do not count yet?",
        'The day is that of `history["scheduled_at"]`: a run that was missed has no other time.',
        'Group `history["status"] == "ok"` by the day, and take the mean.',
    ),
    solution="""
        def success_rate(history):
            ended = history[history["status"] != "running"]
            return (ended["status"] == "ok").groupby(ended["scheduled_at"].dt.date).mean()
    """,
    link=GROUPBY,
)
def rate_of_each_day(success_rate: Any) -> Right:
    """Return the share of each Korean day's runs that are ok."""
    require_function(success_rate, "success_rate", "history")
    mine, theirs = _rates(success_rate(DAYS.copy())), _rate(ENDED)
    drawn = _drawn_rates(mine, theirs)
    if set(mine) != set(theirs):
        days = ", ".join(f"{day:%d %B}" for day in sorted(mine)) or "none"
        why = (
            " In UTC a run of 00:30 belongs to the day before." if date(2026, 5, 9) in mine else ""
        )
        raise NotYetError(f"Runs were due on 10, 11 and 12 May. Your days: {days}.{why}", drawn)
    for day, rate in theirs.items():
        if not _alike(mine, {day: rate}):
            raise NotYetError(
                f"On {day:%d %B} your rate is {mine[day]:.3g}.{_mistake(mine)}", drawn
            )
    _refuse_what_knows_these_rows(success_rate)
    return Right(
        "A run that was missed counts, on the day on which it was due in Korea.", drawn[:1]
    )


def _refuse_what_knows_these_rows(success_rate: Any) -> None:
    """Refuse an answer that is right for one table only."""
    mine, theirs = _rates(success_rate(OTHER_DAYS.copy())), _rate(OTHER_ENDED)
    if set(mine) != set(theirs) or not _alike(mine, theirs):
        raise NotYetError(
            "Your rates of one table are right. Of another, which has a 10th of May and one of "
            "June, they are not.",
            _drawn_rates(mine, theirs),
        )


def _rates(answer: Any) -> Rates:
    """Return the reader's rates by date, from a Series, a frame of one column or a dict."""
    if isinstance(answer, pd.DataFrame) and answer.shape[1] == 1:
        answer = answer.iloc[:, 0]
    if not isinstance(answer, pd.Series | dict):
        raise NotYetError(f"`success_rate` returns {shown(answer)}. Expected a Series.")
    try:
        rates = {_day(day): float(rate) for day, rate in answer.items()}
    except (TypeError, ValueError) as error:
        raise NotYetError(
            f"`success_rate` returns {shown(dict(answer))}. Expected a number for each day."
        ) from error
    # A day without a run may have NaN, as that of `resample` has.
    return {day: rate for day, rate in rates.items() if not math.isnan(rate)}


def _day(label: Any) -> date:
    if not re.search(r"\d{4}", str(label)):
        raise NotYetError(
            f"Your Series has the day {shown(label)}, of no month or year. A table may have the "
            "10th of May and that of June."
        )
    return pd.Timestamp(str(label)).date()


def _rate(rows: pd.DataFrame, by: str = "scheduled_at") -> Rates:
    return dict((rows["status"] == "ok").groupby(rows[by].dt.date).mean())


def _alike(mine: Rates, theirs: Rates) -> bool:
    return all(abs(mine.get(day, -1) - rate) < 1e-3 for day, rate in theirs.items())  # noqa: PLR2004 - may be rounded


def _mistake(mine: Rates) -> str:
    """Say by what usual mistake the rates came about."""
    begun = ENDED[ENDED["started_at"].notna()]
    usual = {
        "It counts a run that has not ended.": _rate(DAYS),
        "Runs that were missed are not counted.": _rate(begun),
        "Runs that were missed are not counted, and one that has not ended is.": _rate(
            DAYS[DAYS["started_at"].notna()]
        ),
        "Runs that were cancelled are not counted.": _rate(ENDED[ENDED["status"] != "cancelled"]),
        "A run counts on the day on which it ended, and one that never began on none.": _rate(
            begun, "finished_at"
        ),
        "A run counts on the day on which it began, and one that never began on none.": _rate(
            begun, "started_at"
        ),
    }
    found = [why for why, rates in usual.items() if _alike(mine, rates)]
    if not found and max(mine.values()) > 1:
        found = ["A share lies between 0 and 1."]
    return f" {found[0]}" if found else ""


def _drawn_rates(mine: Rates, theirs: Rates) -> tuple[Picture, ...]:
    lanes = ("your answer", mine), ("expected", theirs)
    return tuple(partial(png, partial(_draw_rates, *lane)) for lane in lanes)


def _draw_rates(name: str, rates_of_days: Rates) -> Axes:
    rates = pd.DataFrame({name: rates_of_days}).sort_index()
    rates.index = [f"{day:%d %B}" for day in rates.index]
    ax = rates.plot.bar(rot=0, figsize=(8, 2.6), color=["#0072b2"], width=0.6)
    ax.set_ylabel("share of ok")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    ax.figure.get_figure(root=True).set_layout_engine("tight")
    return ax
