"""How APScheduler decides on a due job: coalesce, then max_instances, then the grace time.

In APScheduler 3.11.3, ``BaseScheduler._process_jobs`` keeps the last run time,
``BaseExecutor.submit_job`` counts the instances, and ``run_job`` checks the grace time when a run
starts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timeline.page import (
    GAP,
    MAX_HEIGHT,
    WIDE,
    Page,
    finished,
    left_margin,
    margins,
    own_page,
    page_on,
)
from kst_scheduler.timeline.style import (
    BLUE,
    INK,
    LINE,
    MARKS,
    QUIET,
    TEXT,
    THIN,
    house_style,
    tint,
)
from kst_scheduler.timeline.words import A_YEAR, Clock, count, digits_apart, duration, fitted
from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

_STAGES: Final = ("coalesce", "max_instances", "misfire_grace_time", "runs")
_STAGE: Final = {"coalesced": 0, "skipped": 1, "missed": 2, "ok": 3}
_ROW: Final = 24.0
_LOWEST: Final = TEXT * LINE + 1
"""No row is lower: each has its label."""
_ONE_DAY: Final = timedelta(days=1)
_BANDS: Final = (2 * TEXT * LINE + 4, 0.0)
_MARK: Final = 9.0
_WIDE: Final = 0.07
_ALL: Final = 4.05
"""The width of all stages."""
_LABELS: Final = 100
"""So many labels say how wide the widest of them is."""


class Decision(NamedTuple):
    """What becomes of one due run time, and why; ``status`` is one of the table of runs."""

    due: datetime
    status: str
    reason: str


def decide(
    due: Iterable[datetime],
    now: datetime,
    *,
    coalesce: bool = True,
    max_instances_free: int = 1,
    grace: timedelta | None = timedelta(seconds=1),
) -> list[Decision]:
    """Return what becomes of each run time that is due when the scheduler looks at ``now``.

    The runs are taken to start at ``now``: time that they spend in a queue would count against the
    grace time as well. The defaults are APScheduler's own, with one instance free.

    Raises:
        InvalidArgumentError: a run time is after ``now``, ``grace`` is not a timedelta, or
            ``max_instances_free`` is not a number of instances.
        NaiveDatetimeError: a time has no zone.

    """
    now = require_aware(now, "now").astimezone(KST)
    times = sorted(require_aware(moment, "due").astimezone(KST) for moment in due)
    if times and times[-1] > now:
        raise InvalidArgumentError(
            f"due={times[-1]:%Y-%m-%d %H:%M:%S} KST is after now={now:%Y-%m-%d %H:%M:%S} KST; "
            "a run time is due once it has come"
        )
    if grace is not None and not isinstance(grace, timedelta):
        raise InvalidArgumentError(
            f"grace={grace!r} is not a timedelta; "
            "write timedelta(seconds=300), or None for no limit"
        )
    if not isinstance(max_instances_free, int) or max_instances_free < 0:
        raise InvalidArgumentError(
            f"max_instances_free={max_instances_free!r} is not a number of instances; write 0 "
            "where none may start"
        )
    kept = times[-1:] if coalesce else times
    clock = _clock(times, now)
    folded = [
        Decision(moment, "coalesced", f"coalesced into {clock(times[-1])}")
        for moment in times[: len(times) - len(kept)]
    ]
    if max_instances_free < 1:
        reason = "skipped: none is free"
        return folded + [Decision(moment, "skipped", reason) for moment in kept]
    return folded + [_checked(moment, now, grace) for moment in kept]


def _clock(times: Sequence[datetime], now: datetime) -> Clock:
    """Return what tells these times apart, and ``now``."""
    length = now - times[0] if times else timedelta(0)
    return Clock(length >= _ONE_DAY, length >= A_YEAR, digits_apart([*times, now]))


def _checked(due: datetime, now: datetime, grace: timedelta | None) -> Decision:
    late = now - due
    if grace is not None and late > grace:
        return Decision(due, "missed", f"missed: {duration(late)} late")
    return Decision(due, "ok", f"runs, {duration(late)} late" if late else "runs on time")


def plot_pipeline(
    due: Sequence[datetime],
    now: datetime,
    *,
    coalesce: bool = True,
    max_instances_free: int = 1,
    grace: timedelta | None = timedelta(seconds=1),
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which stage each due run time reaches: coalesce, max_instances, grace time, or the run.

    If there are too many for one figure, those in the middle share a row, which counts their
    outcomes.

    Args:
        due: the run times since the scheduler last looked.
        now: when the scheduler looks. The runs that are left start at this moment.
        coalesce: the job's option: keep the last run time only.
        max_instances_free: how many more instances of the job may start. All run times that the
            scheduler submits at one look count as one instance.
        grace: the job's ``misfire_grace_time``; None: no limit.
        title: replaces the automatic one, which counts the outcomes.
        ax: axes to clear and draw on; they shrink to make room for the labels. None: a new figure.

    Raises:
        InvalidArgumentError: a run time is after ``now``, ``grace`` is not a timedelta, or
            ``max_instances_free`` is not a number of instances.
        NaiveDatetimeError: a time has no zone.

    """
    decisions = decide(
        due, now, coalesce=coalesce, max_instances_free=max_instances_free, grace=grace
    )
    now = now.astimezone(KST)
    clock = _clock([one.due for one in decisions], now)
    settings = (
        "True: the last one stays" if coalesce else "False: all stay",
        count(max_instances_free, "instance") + " free",
        "None: no limit" if grace is None else f"{duration(grace)}, checked at the start",
        f"at {clock(now)}",
    )
    title = _title(decisions, clock(now)) if title is None else title
    with house_style():
        page, shown = _page(decisions, clock, title, ax)
        _draw_stages(page, settings, max(1, len(shown)))
        labels = [_label(one, clock) for one in shown]
        page.ax.set_yticks(range(len(labels)), labels=labels)
        for row, one in enumerate(shown):
            if isinstance(one, Decision):
                _draw_way(page, row, one)
            else:
                _write_reason(page, row, _gate(0), _counted(one))
    return finished(page)


def _page(
    decisions: list[Decision], clock: Clock, title: str, ax: Axes | None
) -> tuple[Page, list[Decision | list[Decision]]]:
    """Return the page, and its rows."""
    if ax is not None:
        left = left_margin([_label(one, clock) for one in _fitted(decisions, _LABELS)])
        page = page_on(ax, title, left, (), _BANDS)
        return page, _fitted(decisions, int(page.height // _LOWEST))
    room = MAX_HEIGHT - sum(margins(title, bands=_BANDS)) - GAP
    shown = _fitted(decisions, int(room // _LOWEST))
    height = max(1, len(shown)) * min(_ROW, room / max(1, len(shown))) + GAP
    left = left_margin([_label(one, clock) for one in shown])
    return own_page(title, left, height, bands=_BANDS, full=WIDE), shown


def _fitted(decisions: list[Decision], max_rows: int) -> list[Decision | list[Decision]]:
    """Return the rows of the picture: those in the middle are one where there are too many."""
    if len(decisions) <= max_rows:
        return [*decisions]
    first, last = max_rows // 2, (max_rows - 1) // 2
    middle = decisions[first : len(decisions) - last]
    return [*decisions[:first], middle, *decisions[len(decisions) - last :]]


def _label(row: Decision | list[Decision], clock: Clock) -> str:
    if isinstance(row, Decision):
        return f"due {clock(row.due)}"
    return f"{len(row):,} more"


def _title(decisions: list[Decision], now: str) -> str:
    if not decisions:
        return f"nothing due at {now}"
    return f"{len(decisions):,} due at {now} KST: {_counted(decisions)}"


def _counted(decisions: list[Decision]) -> str:
    """Say how many run, were missed and so on."""
    statuses = [decision.status for decision in decisions]
    return ", ".join(
        f"{statuses.count(status):,} {'run' if status == 'ok' else status}"
        for status in ("ok", "missed", "skipped", "coalesced")
        if status in statuses
    )


def _draw_stages(page: Page, settings: Sequence[str], rows: int) -> None:
    """Draw the stages as gates across all ways, each with its name and how it is set."""
    page.ax.set_xlim(0, _ALL)
    page.ax.set_ylim(rows - 0.4, -0.6)
    page.ax.set_xticks([])
    page.ax.tick_params(axis="y", length=0, pad=8)
    page.ax.spines[:].set_visible(False)
    for stage, (name, setting) in enumerate(zip(_STAGES, settings, strict=True)):
        left = _gate(stage) - _WIDE
        page.ax.axvspan(left, left + 2 * _WIDE, color=tint(QUIET, 0.16), lw=0, zorder=0)
        room = min(_gate(stage + 1) if stage < len(_STAGES) - 1 else _ALL, _ALL) - _gate(stage)
        for words, height, weight in ((name, TEXT * LINE, "bold"), (setting, 0, "normal")):
            page.ax.annotate(
                fitted(words, room * page.width / _ALL - 4, 1, TEXT, bold=weight == "bold"),
                (left, 1),
                (0, height + 4),
                xycoords=page.ax.get_xaxis_transform(),
                textcoords="offset points",
                weight=weight,
                color=INK if weight == "bold" else QUIET,
                annotation_clip=False,
            )


def _gate(stage: int) -> float:
    return stage + 0.25 if stage < 3 else stage + 0.2  # noqa: PLR2004 - words follow the last one


def _draw_way(page: Page, row: int, decision: Decision) -> None:
    """Draw the way of one run time from the left to the stage at which it left, and say why."""
    mark, end = MARKS[decision.status], _gate(_STAGE[decision.status])
    runs = decision.status == "ok"
    page.ax.plot(
        [0, end], [row, row], color=BLUE if runs else THIN, lw=2 if runs else 1.4, zorder=1
    )
    page.ax.plot([end], [row], label=decision.status, **mark.line(_MARK))
    _write_reason(page, row, end, decision.reason)


def _write_reason(page: Page, row: int, stage: float, words: str) -> None:
    # Beside the last stage there is the margin as well.
    room = (_ALL - stage - _WIDE) * page.width / _ALL + page.right_margin - 4
    page.ax.annotate(
        fitted(words, room, 1),
        (stage + _WIDE, row),
        (4, 0),
        textcoords="offset points",
        va="center_baseline",
        # What has left does not reach the gates behind, so its words may cover them.
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )
