from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from kst_workbook.exercises.exercise import find
from lab_page import write_notebook

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path
    from typing import Any

    from lab_page import Reader


def test_check_shows_its_three_outcomes(folder: Path, reader: Reader, loop: asyncio.Runner) -> None:
    """An answer that is not attempted, a wrong one and a right one, which is drawn and noted."""
    exercise = find("0.1")
    call = f'check("0.1", {exercise.variable})'
    write_notebook(
        folder / "checks.ipynb",
        "from kst_scheduler import kst\nfrom kst_workbook.exercises import check",
        f"{exercise.variable} = ...\n{call}",
        f"{exercise.variable} = [kst(2026, 5, 19, 3)]\n{call}",
        f"{exercise.solution}\n{call}",
    )
    _, shipped, wrong, right = loop.run(run(reader, "checks.ipynb"))
    assert "0.1: not attempted" in shipped["shown"]
    assert "0.1: not yet" in wrong["shown"]
    assert "0.1: right" in right["shown"]
    assert right["pictures"][0] > 0
    with closing(sqlite3.connect(folder.parent / "progress.sqlite3")) as kept:
        assert ("0.1", 1) in kept.execute("SELECT exercise, solved FROM answers").fetchall()


async def run(reader: Reader, name: str) -> list[dict[str, Any]]:
    """Run a notebook; return its cells, each with the text that it shows."""
    async with reader.open(name) as notebook:
        await notebook.run_all()
        await notebook.wait_for_pictures()
        assert await notebook.appeared() == []
        assert notebook.page_errors == []
        return await notebook.cells()
