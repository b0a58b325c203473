from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.ledger.history import HISTORY_COLUMNS
from kst_scheduler.runs.table import check_runs, duplicates, lateness
from kst_scheduler.scheduler.stored_names import MAX_NAME_LENGTH
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import KST
from ledgers import (
    THREE,
    NewLedger,
    expire,
    occurrence,
    only_row,
    opened,
    outcome,
    request,
    with_ledger,
)

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger


async def fill(ledger: Ledger) -> None:
    """Write one night: a run of every kind."""
    ok = await ledger.claim(request(claimed_at=THREE + timedelta(seconds=1)))
    await ledger.finish(ok, outcome(rows=7))
    lost = await ledger.claim(request(occurrence(1), "B"))
    await expire(ledger, lost)
    await ledger.finish(
        await ledger.claim(request(occurrence(1), "C")), outcome("error", error="no")
    )
    await ledger.record_missed(occurrence(2), "0:10:00 late", "A")
    await ledger.finish(await ledger.claim(request(occurrence(3))), outcome("skipped"))
    await ledger.finish(
        await ledger.claim(request(occurrence(4, manual=True))), outcome("cancelled")
    )
    await ledger.claim(request(occurrence(5, "token")))


@with_ledger
async def test_rows_are_filtered(ledger: Ledger) -> None:
    """By job, status and time, the start of a span included and its end not."""
    await fill(ledger)
    minute = timedelta(minutes=1)

    async def minutes(source: str | None = None, **filters: object) -> list[int]:
        rows = await ledger.rows(source, **filters)  # type: ignore[arg-type]
        return [(row.scheduled_at - THREE) // minute for row in rows]

    assert await minutes() == [5, 4, 3, 2, 1, 0]
    assert await minutes("nps") == [4, 3, 2, 1, 0]
    assert await minutes("") == []
    assert await minutes(status="missed") == [2]
    assert await minutes(since=THREE + minute, until=THREE + 3 * minute) == [2, 1]
    assert await minutes("nps", since=THREE + 2 * minute, status="cancelled") == [4]
    assert await minutes(limit=0) == []


@with_ledger
async def test_rows_come_in_pages(ledger: Ledger) -> None:
    """A page begins before the last id of the one before; new rows do not shift it."""
    await fill(ledger)
    every = [row.id for row in await ledger.rows()]
    first = await ledger.rows(limit=4)
    await ledger.record_missed(occurrence(9), "late", "A")
    second = await ledger.rows(limit=4, before_id=first[-1].id)
    assert [row.id for row in first + second] == every


@with_ledger
async def test_bad_filters(ledger: Ledger) -> None:
    """They are refused by every store alike, before the database is asked."""
    naive = datetime(2026, 5, 10)  # noqa: DTZ001
    for name in ("since", "until"):
        with pytest.raises(NaiveDatetimeError, match=rf"{name}=.* has no time zone"):
            await ledger.rows(**{name: naive})  # type: ignore[arg-type]
        with pytest.raises(NaiveDatetimeError, match=rf"{name}=.* has no time zone"):
            await ledger.history(**{name: naive})  # type: ignore[arg-type]
    first = datetime(1, 1, 1, tzinfo=KST)
    with pytest.raises(InvalidArgumentError, match=r"since=0001-01-01T00:00:00.* is outside the y"):
        await ledger.rows(since=first)
    for number in (-1, 2**63):
        with pytest.raises(InvalidArgumentError, match=r"limit must be from 0 to 2\*\*63 - 1"):
            await ledger.rows(limit=number)
        with pytest.raises(InvalidArgumentError, match="before_id must be"):
            await ledger.rows(before_id=number)


@with_ledger
async def test_the_first_and_the_last_year(ledger: Ledger) -> None:
    """Every time that UTC can name may be asked for."""
    await fill(ledger)
    first = datetime(1, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
    last = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)  # noqa: UP017
    assert len(await ledger.rows(since=first, until=last)) == 6


@with_ledger
async def test_history_is_a_table_of_runs(ledger: Ledger) -> None:
    """It has the schema's dtypes, the ledger's own columns after them, in the order of runs."""
    await fill(ledger)
    table = await ledger.history()
    assert check_runs(table) is table
    assert tuple(table.columns) == HISTORY_COLUMNS
    assert table.dtypes.astype(str)[["attempt", "rows", "trigger", "duration_ms"]].tolist() == [
        "int64",
        "Int64",
        "str",
        "Int64",
    ]
    assert table["status"].tolist() == ["ok", "error", "missed", "skipped", "cancelled", "running"]
    assert table["node"].tolist() == ["A", "C", "A", "A", "A", "A"]
    assert table["rows"].tolist() == [7, *[pd.NA] * 5]
    assert table["duration_ms"].tolist() == [5_000, 5_000, pd.NA, 5_000, 5_000, pd.NA]
    assert table["attempt"].tolist() == [1, 2, 0, 1, 1, 1]
    assert table["detail"].tolist()[:3] == ["", "no", "0:10:00 late"]
    assert table["trigger"].tolist()[3:5] == ["schedule", "manual"]
    assert table["scheduled_at"].iloc[0] == THREE
    assert table.index.tolist() == list(range(6))


@with_ledger
async def test_history_serves_what_runs_serve(ledger: Ledger) -> None:
    """Lateness, duplicates and the picture take it as it is."""
    await fill(ledger)
    table = await ledger.history()
    assert lateness(table).iloc[0] == timedelta(seconds=1)
    assert duplicates(table).empty
    assert plot_timeline(table).get_title(loc="left").startswith("1 missed, 1 error")
    plt.close("all")


@with_ledger
async def test_history_is_filtered(ledger: Ledger) -> None:
    """By job and span; and what is empty has the same dtypes."""
    await fill(ledger)
    table = await ledger.history("nps", since=THREE, until=THREE + timedelta(minutes=2))
    assert table["status"].tolist() == ["ok", "error"]
    empty = await ledger.history("nobody")
    assert empty.empty
    assert empty.dtypes.equals(table.dtypes)


@with_ledger
async def test_names_are_parameters(ledger: Ledger) -> None:
    """What looks like SQL is a name like any other."""
    name = "x'; DROP TABLE crawl_runs; -- %s ? $1 :source \\"
    await ledger.finish(await ledger.claim(request(occurrence(job_id=name), name)), outcome())
    (row,) = await ledger.rows(name)
    assert (row.source, row.instance) == (name, name)


@with_ledger
async def test_the_longest_names(ledger: Ledger) -> None:
    """500 characters of any plane fit every index, also where they cannot be compressed."""
    name = "".join(chr(0x1F000 + n * 7919 % 0x8000) for n in range(MAX_NAME_LENGTH))
    await ledger.claim(request(occurrence(job_id=name), name))
    await ledger.advance_watermark(name, THREE)
    assert [row.source for row in await ledger.rows(name)] == [name]


@with_ledger
async def test_any_name_comes_back_as_it_was_written(ledger: Ledger) -> None:
    """Control characters, spaces at the ends, marks that turn text around: all but NUL."""
    points = [*range(1, 0x3100), *range(0x3100, 0xD800, 97), *range(0xE000, 0x110000, 997)]
    text = "".join(map(chr, points))
    names = [text[start : start + 400] for start in range(0, len(text), 400)] + [" nps", "nps ", ""]
    for name in names:
        await ledger.claim(request(occurrence(job_id=name), name))
    assert [row.source for row in reversed(await ledger.rows())] == names
    assert {row.instance for row in await ledger.rows()} == set(names)


@in_loop
async def test_ledgers_share_their_rows(new_ledger: NewLedger) -> None:
    """What one replica writes, another one reads; and a ledger opens again after its close."""
    async with opened(new_ledger()) as first, opened(new_ledger()) as second:
        claim = await first.claim(request())
        assert (await only_row(second)).id == claim.row_id
        await first.close()
        await first.open()
        assert (await only_row(first)).id == claim.row_id
