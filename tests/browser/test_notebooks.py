from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import nbformat
import pytest

from kst_workbook.jupyter.folder import all_notebooks
from lab_page import write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_page import Reader

NOTEBOOKS: Final = [path.name for path in all_notebooks()]
SCREENSHOTS: Final = Path(__file__).parent / "screenshots"


@dataclass(frozen=True)
class Visit:
    """What a reader has seen who opened a notebook and ran all of its cells."""

    stored: list[nbformat.NotebookNode]
    cells: list[dict[str, Any]]
    appeared: list[str]
    page_errors: list[str]


async def visit(reader: Reader, path: Path) -> Visit:
    """Open the notebook, run all of its cells, and keep a picture of it."""
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError

    stored = nbformat.read(path, as_version=4).cells
    async with reader.open(path.name) as notebook:
        with suppress(PlaywrightTimeoutError, TimeoutError):  # what is missing is seen in the cells
            await notebook.run_all()
            await notebook.wait_for_pictures()
        cells, appeared = await notebook.cells(), await notebook.appeared()
        made = Visit(stored, cells, appeared, notebook.page_errors)
        # The whole takes a second, and is worth it where there is something to find out.
        await notebook.save_picture(SCREENSHOTS / f"{path.stem}.jpg", whole=any(complaints(made)))
        return made


@pytest.fixture(scope="module")
def visits(
    request: pytest.FixtureRequest, folder: Path, reader: Reader, loop: asyncio.Runner
) -> dict[str, Visit | BaseException]:
    """Return a visit to each notebook that is asked for; they are made at the same time."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    here = [item for item in items if item.getparent(pytest.Module) is request.node]
    asked = [item.callspec.params["name"] for item in here if "name" in item.fixturenames]
    names = [str(name) for name in asked]

    async def make_them() -> list[Visit | BaseException]:
        # The last first: the later ones take longer, and none of those shall be left to the end.
        each = (visit(reader, folder / name) for name in reversed(names))
        return await asyncio.gather(*each, return_exceptions=True)

    return dict(zip(reversed(names), loop.run(make_them()), strict=True))


def complaints(visit: Visit) -> Iterator[str]:
    """Yield what is not as a reader would want it."""
    yield from (f"a dialog or a toast: {text}" for text in visit.appeared)
    yield from (f"an error in JupyterLab: {text}" for text in visit.page_errors)
    for number, (cell, before) in enumerate(zip(visit.cells, visit.stored, strict=True), start=1):
        name = f"cell {number} ({cell['source'].partition(chr(10))[0]!r})"
        yield from (f"{name}: {complaint}" for complaint in about_cell(cell, before))


def about_cell(cell: dict[str, Any], stored: nbformat.NotebookNode) -> Iterator[str]:
    """Yield what is not right with one cell."""
    if cell["type"] == "code" and not cell["prompt"].strip("[]:").isdecimal():
        yield f"its prompt is {cell['prompt']}, so it has not run to its end"
    for output in cell["outputs"]:
        if output.get("ename") and "raises-exception" not in cell["tags"]:
            yield f"{output['ename']}: {output['evalue']}"
    wanted = sum(map(shows_picture, stored.get("outputs", [])))
    if len(cell["pictures"]) < wanted or 0 in cell["pictures"]:
        yield f"pictures of the widths {cell['pictures']}; {wanted} are stored"


def shows_picture(output: nbformat.NotebookNode) -> bool:
    """Return whether JupyterLab shows an output as a picture."""
    return bool({"image/png", "image/svg+xml"} & output.get("data", {}).keys())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_run_all_ends_well(name: str, visits: dict[str, Visit | BaseException]) -> None:
    """Each cell has run, none has failed unannounced, and each stored picture is there anew."""
    made = visits[name]
    if isinstance(made, BaseException):
        raise made
    found = list(complaints(made))
    assert not found, f"{name}:\n" + "\n".join(found)


def test_a_notebook_that_fails_is_noticed(
    folder: Path, reader: Reader, loop: asyncio.Runner
) -> None:
    """The error is complained of, and the cells that have not run because of it."""
    write_notebook(folder / "broken.ipynb", "1 / 0", "'never run'")
    found = "\n".join(complaints(loop.run(visit(reader, folder / "broken.ipynb"))))
    assert "cell 1 ('1 / 0'): ZeroDivisionError: division by zero" in found
    assert "cell 2 (\"'never run'\"): its prompt is [ ]:, so it has not run to its end" in found
