from __future__ import annotations

import re
import time
from base64 import b64decode
from datetime import UTC, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kst_scheduler import kst
from kst_scheduler.ledger import LedgerRow
from kst_scheduler.service.page import MAX_JOBS, MAX_LISTED, MAX_REASON_LENGTH, draw_page

START, END = kst(2026, 5, 9, 12), kst(2026, 5, 10, 12)


def row(**fields: Any) -> LedgerRow:
    """Return a row that ran well at 03:00 KST, but for these fields."""
    due = fields.get("scheduled_at", kst(2026, 5, 10, 3)).astimezone(UTC)
    usual = {
        "id": 1,
        "source": "nightly",
        "scheduled_at": due,
        "attempt": 1,
        "instance": "a-17",
        "status": "ok",
        "rows": 594_000,
        "duration_ms": 2_400_000,
        "error": None,
        "trigger": "schedule",
        "claimed_at": due,
        "lease_until": None,
        "started_at": due,
        "finished_at": due + timedelta(minutes=40),
    }
    return LedgerRow(**(usual | fields))


def pictures(page: str) -> list[str]:
    """Return the SVGs in a page: the narrow one, then the wide one."""
    found = re.findall(r'"data:image/svg\+xml;base64,([^"]+)"', page)
    return [b64decode(text).decode() for text in found]


def words(svg: str) -> list[str]:
    """Return the words that stand in a picture."""
    return [text.text or "" for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own


def test_a_run_is_in_the_table_and_in_both_pictures() -> None:
    """One picture for screens, one for phones, and the verdict as the heading."""
    page = draw_page([row()], START, END)
    assert (
        '<tr class="ok"><td>05-10 03:00:00<td>nightly<td>ok<td>40 min<td>594,000<td>a-17<td>'
        in page
    )
    assert "<h1>1 ok</h1>" in page
    narrow, wide = pictures(page)
    for svg, points in ((narrow, "268pt"), (wide, "720pt")):
        assert ET.fromstring(svg).attrib["width"] == points  # noqa: S314 - our own
        assert {"nightly", "ok", "KST", "UTC"} <= set(words(svg))
        assert "1 ok" not in words(svg)


def test_replicas_share_a_lane() -> None:
    """A restart, which changes the process id, does not double a picture's lanes."""
    rows = [row(instance="a-17"), row(id=2, scheduled_at=kst(2026, 5, 10, 4), instance="b-3")]
    assert words(pictures(draw_page(rows, START, END))[1]).count("nightly") == 1


def test_what_jobs_write_is_text() -> None:
    """An id, an instance and an error may hold anything; nothing of it is markup."""
    evil = "<script>alert(1)</script>&\"'<b>"
    page = draw_page([row(source=evil, error=evil, instance=evil, status="error")], START, END)
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;&lt;b&gt;") == 3
    for svg in pictures(page):
        assert "<script" not in svg


def test_a_dollar_sign_is_no_placeholder() -> None:
    """The page is made from a template, and so are its rows."""
    page = draw_page([row(source="$title ${rows} $x")], START, END)
    assert "<td>$title ${rows} $x<td>" in page


def test_hangul_is_drawn_by_the_reader_s_fonts() -> None:
    """A server has no Korean font, as a rule, and that is worth no warning."""
    page = draw_page([row(source="사업장-수집")], START, END)
    assert all("사업장-수집" in words(svg) for svg in pictures(page))


def test_without_rows_the_page_says_so() -> None:
    """The axis stands for the hours that were asked for."""
    page = draw_page([], START, END)
    assert "<h1>no runs</h1>" in page
    assert "The ledger has no row of that time." in page
    assert "2026-05-09 12:00 to 2026-05-10 12:00 KST" in page


def test_many_runs_are_cut_and_said_so() -> None:
    """The table ends at the latest 200; where the picture has not all either, that is said too."""
    rows = [row(id=number, scheduled_at=START + timedelta(minutes=number)) for number in range(300)]
    page = draw_page(rows, START, END, complete=False)
    assert page.count("<tr class=") == MAX_LISTED
    assert "The picture shows the latest 300 runs only. The table lists the latest 200." in page
    assert page.index("05-09 16:59:00") < page.index("05-09 16:58:00")
    assert "latest" not in draw_page(rows[:MAX_LISTED], START, END)


def test_a_hundred_jobs_have_a_lane_and_a_label_each() -> None:
    """The picture grows rather than lose their names."""
    rows = [row(id=number, source=f"job-{number}") for number in range(100)]
    for svg in pictures(draw_page(rows, START, END)):
        assert {f"job-{number}" for number in range(100)} <= set(words(svg))


def test_the_same_rows_give_the_same_page() -> None:
    """To the byte, so that a test of it can be trusted."""
    rows = [row(), row(id=2, status="missed", started_at=None, finished_at=None, error="down")]
    assert draw_page(rows, START, END) == draw_page(rows, START, END)


@pytest.mark.parametrize(
    "name",
    ["국민연금-사업장-가입자-수집-매일-세시", "가" * 24, "W" * 24, "가" * 500, "\U0001f600" * 24],
)
def test_a_wide_name_leaves_room_for_the_picture(name: str) -> None:
    """Letters of Hangul are an em wide: 24 of them are wider than half a phone."""
    for svg in pictures(draw_page([row(source=name)], START, END)):
        axes = re.search(r'<clipPath id="[^"]+">\s*<rect [^>]*width="([0-9.]+)"', svg)
        assert axes is not None
        assert float(axes[1]) > 60
        assert any(word and word[0] == name[0] for word in words(svg))


def test_two_thousand_jobs_give_a_bounded_page() -> None:
    """All are counted in the title; those that went wrong are drawn, and the latest."""
    rows = [
        row(
            id=number,
            source=f"job-{number}",
            scheduled_at=START + timedelta(seconds=number),
            status="error" if number % 100 == 7 else "ok",
            error="why " * 500 if number % 100 == 7 else None,
        )
        for number in range(2_000)
    ]
    before = time.process_time()
    page = draw_page(rows, START, END)
    assert time.process_time() - before < 5
    assert len(page) < 600_000
    assert "<h1>20 errors; 1,980 ok</h1>" in page
    assert f"It shows {MAX_JOBS} of 2,000 jobs: first those with a run that went wrong." in page
    for svg in pictures(page):
        drawn = {word for word in words(svg) if word.startswith("job-")}
        assert len(drawn) == MAX_JOBS
        assert {f"job-{number}" for number in range(7, 2_000, 100)} <= drawn
        assert "job-1999" in drawn


def test_a_long_reason_is_cut_in_the_table() -> None:
    """The admin API has all of it."""
    page = draw_page([row(status="error", error="why " * 500)], START, END)
    (reason,) = re.findall(r"<td>(why [^<]*)", page)
    assert len(reason.strip()) == MAX_REASON_LENGTH
    assert reason.strip().endswith("…")
