"""The worst night of a rehearsal as a picture, or as a page with the findings beside it."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_extra
from kst_scheduler.rehearsal.nights import DAY, PROGRAMME
from kst_scheduler.rehearsal.report import as_table

with require_extra("plots", "the picture of a rehearsal"):
    from matplotlib.figure import Figure

    from kst_scheduler.timeline import plot_timeline
    from kst_scheduler.timeline.inline import inline_svg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from kst_scheduler.rehearsal.nights import Trouble
    from kst_scheduler.rehearsal.rehearse import Rehearsal

MARGIN: Final = timedelta(minutes=10)
"""Before what goes wrong, and after it."""
KINDS: Final = {"freeze": "freeze", "block": "freeze", "crash": "crash", "deploy": "crash"}
"""What a trouble is drawn as; a clock is set in a moment."""

_PAGE: Final = """<!doctype html>
<meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 70rem; margin: 2rem auto; padding: 0 1rem }}
figure {{ background: white; margin: 0 0 1rem; overflow-x: auto }}
figure svg {{ max-width: 100%; height: auto }}
td, th {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0 }}
code {{ white-space: nowrap }}
.error {{ color: #c03000; font-weight: bold }}
</style>
<h1>{title}</h1>
<figure>{svg}</figure>
{table}
"""


def save_picture(rehearsal: Rehearsal, path: Path) -> None:
    """Write the picture of the worst night to a file: .png, .svg, or .html with the findings.

    Raises:
        InvalidArgumentError: the file has another ending.

    """
    kind = path.suffix.lower()
    if kind not in {".png", ".svg", ".html"}:
        raise InvalidArgumentError(
            f"{str(path)!r} is no picture; write a name in .png, .svg or .html"
        )
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    plot_night(rehearsal, ax=figure.subplots())
    if kind != ".html":
        figure.savefig(path, dpi=150)
        return
    path.write_text(
        _PAGE.format(
            title=html.escape(f"Rehearsal of {rehearsal.target}"),
            svg=inline_svg(figure),
            table=as_table(rehearsal),
        ),
        encoding="utf-8",
    )


def plot_night(rehearsal: Rehearsal, ax: Axes | None = None) -> Axes:
    """Draw the night that shows the most errors, around what went wrong."""
    runs, start = rehearsal.runs, rehearsal.start
    nights = (runs["scheduled_at"] - start) // DAY
    number, codes = _worst(rehearsal, nights)
    what = PROGRAMME[number % len(PROGRAMME)].what
    shown = runs[nights == number]
    troubles = [each for each in rehearsal.troubles if each.night == number]
    begin, end = start + number * DAY, start + (number + 1) * DAY
    night = f"Night {number + 1}, {what}"
    if troubles:
        begin = min(each.at for each in troubles) - MARGIN
        end = max(each.end for each in troubles) + MARGIN
    return plot_timeline(
        shown,
        incidents=_incidents(troubles),
        start=begin,
        end=end,
        title=(": " if troubles else ", and yet ").join(filter(None, (night, ", ".join(codes)))),
        ax=ax,
    )


def _worst(rehearsal: Rehearsal, nights: pd.Series) -> tuple[int, list[str]]:
    """Return the night that shows the most errors, then the most runs not ok; and its codes."""
    shown: dict[int, set[tuple[str, bool]]] = {each: set() for each in range(rehearsal.nights)}
    for each in rehearsal.findings:
        rows = rehearsal.runs[:0] if each.rows is None else each.rows
        for number in ((rows["scheduled_at"] - rehearsal.start) // DAY).unique():
            shown.setdefault(int(number), set()).add((each.code, each.level == "error"))
    bad = nights[~rehearsal.runs["status"].isin(["ok", "locked_out"])].value_counts()

    def rank(number: int) -> tuple[int, int]:
        return sum(is_error for _, is_error in shown[number]), bad.get(number, 0)

    number = max(shown, key=rank)
    return number, sorted({code for code, _ in shown[number]})


def _incidents(troubles: Sequence[Trouble]) -> pd.DataFrame:
    known = [each for each in troubles if each.kind in KINDS]
    return pd.DataFrame(
        {
            "node": [each.node for each in known],
            "kind": [KINDS[each.kind] for each in known],
            "start": pd.DatetimeIndex([each.at for each in known]),
            "end": pd.DatetimeIndex([each.end for each in known]),
            "detail": ["" for _ in known],
        }
    )
