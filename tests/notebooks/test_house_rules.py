"""What every notebook of the workbook keeps to; CONTRIBUTING.md says it in prose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from kst_workbook.jupyter.refresh import (
    CELL_METADATA,
    MACHINE_PATH,
    METADATA,
    name_cell,
    output_texts,
)

Rule = Callable[[nbformat.NotebookNode, Path], Iterator[str]]

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

MAX_CELLS: Final = 45
MAX_LINES: Final = 12
OPENING: Final = ("**What you'll do.**", "**What you'll learn.**", "**What you'll need.**")
"""What the first cell holds beneath its title, in this order; the last names minutes."""
CLOSING: Final = ("## On your own", "## In production", "## Next")
"""The last headings, in this order; between the opening and these stand sections 3.1, 3.2, ..."""
SIDE_TOPICS: Final = "## More"
"""What a notebook may have before the last heading."""

REGISTRY_HOST: Final = re.compile(r"py[p]i\.org|python[h]osted|registry\.npm[j]s|debian\.[o]rg")
HEADING: Final = re.compile(r"^## .*", re.MULTILINE)
LINK: Final = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
KOREAN: Final = re.compile("[가-힣]")


def the_size(notebook: nbformat.NotebookNode, _path: Path) -> Iterator[str]:
    """At most 45 cells, and at most 12 lines in a code cell."""
    if len(notebook.cells) > MAX_CELLS:
        yield f"{len(notebook.cells)} cells; at most {MAX_CELLS}"
    for name, cell in code_cells(notebook):
        if (lines := len(cell.source.strip().splitlines())) > MAX_LINES:
            yield f"{name}: {lines} lines; at most {MAX_LINES}, so move logic to src/"


def the_execution_counts(notebook: nbformat.NotebookNode, _path: Path) -> Iterator[str]:
    """Every code cell was run, in order: nbval does not check a cell without a count."""
    for expected, (name, cell) in enumerate(code_cells(notebook), start=1):
        if cell.execution_count != expected:
            yield f"{name}: execution count {cell.execution_count}, not {expected}; refresh it"


def the_errors(notebook: nbformat.NotebookNode, _path: Path) -> Iterator[str]:
    """A stored error is announced by the tag raises-exception, and the tag by a stored error."""
    for name, cell in code_cells(notebook):
        raised = any(output.output_type == "error" for output in cell.outputs)
        if raised != ("raises-exception" in tags(cell)):
            what = "a stored error without" if raised else "no stored error despite"
            yield f"{name}: {what} the tag raises-exception"


def the_tags(notebook: nbformat.NotebookNode, _path: Path) -> Iterator[str]:
    """No cell is skipped, and one whose output is ignored says why."""
    for name, cell in code_cells(notebook):
        if skipping := tags(cell) & {"nbval-skip", "skip-execution"}:
            yield f"{name}: {', '.join(skipping)}; every cell is run"
        if "nbval-ignore-output" in tags(cell) and not cell.metadata.get("reason"):
            yield f'{name}: nbval-ignore-output without a "reason" in the cell\'s metadata'
        if re.search(r"^\s*#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source, re.MULTILINE):
            yield f"{name}: a comment that steers nbval; use a tag, which readers do not see"


def the_last_line(notebook: nbformat.NotebookNode, _path: Path) -> Iterator[str]:
    """No cell ends in a semicolon: nbval would miss the output that it hides."""
    for name, cell in code_cells(notebook):
        if cell.source.rstrip().endswith(";"):
            yield f"{name}: ends in a semicolon; end a picture with plt.show()"


def the_places(notebook: nbformat.NotebookNode, _path: Path) -> Iterator[str]:
    """Neither text nor output names a path of one machine, or the host of a registry."""
    for number, cell in enumerate(notebook.cells, start=1):
        for text in [cell.source, *output_texts(cell.get("outputs", []))]:
            for pattern in (MACHINE_PATH, REGISTRY_HOST):
                if found := pattern.search(text):
                    yield f"{name_cell('', number, cell)}: {found.group()}"


def the_metadata(notebook: nbformat.NotebookNode, _path: Path) -> Iterator[str]:
    """The kernel is python3, and nothing is recorded that only one editor knows."""
    if dict(notebook.metadata) != METADATA:
        yield f"metadata {dict(notebook.metadata)}; kst-workbook refresh sets it"
    for number, cell in enumerate(notebook.cells, start=1):
        if others := cell.metadata.keys() - CELL_METADATA:
            name = name_cell("", number, cell)
            yield f"{name} has metadata {', '.join(sorted(others))}; kst-workbook refresh drops it"


def the_opening(notebook: nbformat.NotebookNode, path: Path) -> Iterator[str]:
    """The first cell: a numbered title, what the reader will do, learn and need, in Korean too."""
    first = notebook.cells[0].source
    if not re.match(rf"# {int(path.stem[:2])}\. \w", first):
        yield f"title {first.splitlines()[0]!r}; write '# {int(path.stem[:2])}. Verb ...'"
    yield from out_of_order(OPENING, re.findall(r"^\*\*What you'll \w+\.\*\*", first, re.MULTILINE))
    if not re.search(r"What you'll need\.\*\*.*\d+ minutes", first, re.DOTALL):
        yield "what you'll need does not say how many minutes"
    korean = [line for line in first.splitlines() if line.startswith("> ") and KOREAN.search(line)]
    if len(korean) != 2:
        yield f"{len(korean)} lines of Korean summary; two, each beginning with '> '"


def the_sections(notebook: nbformat.NotebookNode, path: Path) -> Iterator[str]:
    """Sections are numbered 3.1, 3.2, ... and the closing headings follow them."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = HEADING.findall(text)
    if SIDE_TOPICS in headings[-2:-1]:
        headings.remove(SIDE_TOPICS)
    yield from out_of_order(CLOSING, headings[-len(CLOSING) :])
    for number, heading in enumerate(headings[: -len(CLOSING)], start=1):
        if not heading.startswith(expected := f"## {int(path.stem[:2])}.{number} "):
            yield f"heading {heading!r}; it should begin with {expected!r}"


def the_links(notebook: nbformat.NotebookNode, path: Path) -> Iterator[str]:
    """Linked files exist, pictures have a description, and Next leads to the next notebook."""
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    targets = []
    for picture, text, target in LINK.findall("\n".join(markdown)):
        targets.append(target.partition("#")[0])
        if picture and not text.strip():
            yield f"the picture {target} has no description"
    for target in targets:
        if target and "://" not in target and not (path.parent / target).exists():
            yield f"the link to {target} leads nowhere"
    following = [other.name for other in NOTEBOOKS if other.name > path.name][:1]
    if missing := set(following) - set(targets):
        yield f"no link to the next notebook, {missing.pop()}"


RULES: Final = [
    the_size,
    the_execution_counts,
    the_errors,
    the_tags,
    the_last_line,
    the_places,
    the_metadata,
    the_opening,
    the_sections,
    the_links,
]


def code_cells(notebook: nbformat.NotebookNode) -> Iterator[tuple[str, nbformat.NotebookNode]]:
    """Yield each code cell with what messages call it."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            yield f"cell {number} ({cell.source.partition(chr(10))[0]!r})", cell


def tags(cell: nbformat.NotebookNode) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def out_of_order(expected: tuple[str, ...], found: list[str]) -> Iterator[str]:
    """Yield a complaint where the fixed parts are not these, in this order."""
    if list(expected) != found:
        yield f"expected {', '.join(expected)}; found {', '.join(found) or 'none'}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_house_rules(path: Path, rule: Rule) -> None:
    """Each rule, on each notebook; a failure lists what to change, cell by cell."""
    complaints = list(rule(nbformat.read(path, as_version=4), path))
    assert not complaints, f"{path.name}:\n" + "\n".join(complaints)


def code(source: str, *outputs: nbformat.NotebookNode, **metadata: object) -> nbformat.NotebookNode:
    """Return a code cell that was run first."""
    cell: nbformat.NotebookNode = new_code_cell(source, execution_count=1, metadata=metadata)
    cell.outputs = list(outputs)
    return cell


def text(*lines: str) -> nbformat.NotebookNode:
    """Return a Markdown cell."""
    cell: nbformat.NotebookNode = new_markdown_cell("\n".join(lines))
    return cell


OPEN: Final = text("# 99. Choose a trigger", *OPENING, "15 minutes", "> 한 줄", "> 두 줄")
CLOSE: Final = text(*CLOSING)
ERROR: Final = new_output("error", ename="ValueError", evalue="x", traceback=[])
PATH: Final = Path("99_last.ipynb")
HOME: Final = "/home/minji/nps.py"

BROKEN: Final = [
    (the_size, [OPEN] * 46, "46 cells; at most 45"),
    (the_size, [code("x\n" * 13)], r"cell 1 \('x'\): 13 lines; at most 12"),
    (the_execution_counts, [code("x"), new_code_cell("y")], r"cell 2 .*count None, not 2"),
    (the_errors, [code("x", ERROR)], "a stored error without the tag"),
    (the_errors, [code("x", tags=["raises-exception"])], "no stored error despite the tag"),
    (the_tags, [code("x", tags=["nbval-skip"])], "nbval-skip; every cell is run"),
    (the_tags, [code("x", tags=["nbval-ignore-output"])], 'without a "reason"'),
    (the_tags, [code("# NBVAL_IGNORE_OUTPUT\nx")], "a comment that steers nbval"),
    (the_last_line, [code("plt.plot();\n")], "ends in a semicolon"),
    (the_metadata, [code("x", jupyter={"source_hidden": True})], "has metadata jupyter; kst-"),
    (the_places, [text(f"See {HOME}")], re.escape(HOME)),
    (the_places, [code("x", new_output("stream", text=f"in {HOME}"))], re.escape(HOME)),
    (the_places, [text("https://py" + "pi.org/x")], r"py[p]i\.org"),
    (the_opening, [text("# Triggers", *OPEN.source.splitlines()[1:])], "write '# 99. Verb ...'"),
    (the_opening, [text("# 99. Choose", *OPENING[:2], "> 한 줄", "> 두 줄")], r"expected .*need"),
    (the_opening, [text("# 99. Choose", *OPENING, "> 한 줄", "> 두 줄")], "how many minutes"),
    (the_opening, [text("# 99. Choose", *OPENING, "15 minutes", "> 한 줄")], "1 lines of Korean"),
    (the_sections, [OPEN, text("## 99.2 Two"), CLOSE], r"should begin with '## 99\.1 '"),
    (the_sections, [OPEN, text(*CLOSING[:2])], "expected ## On your own"),
    (the_sections, [OPEN, text(*CLOSING, SIDE_TOPICS)], "expected ## On your own"),
    (the_links, [text("[gone](02_gone.ipynb#section)")], "link to 02_gone.ipynb leads nowhere"),
    (the_links, [text("![](https://example.com/x.png)")], "x.png has no description"),
]


@pytest.mark.parametrize(("rule", "cells", "complaint"), BROKEN)
def test_each_rule_notices_what_breaks_it(
    rule: Rule, cells: list[nbformat.NotebookNode], complaint: str
) -> None:
    """A rule that cannot fail would prove nothing."""
    notebook = nbformat.from_dict({"cells": cells, "metadata": METADATA})
    assert re.search(complaint, "\n".join(rule(notebook, PATH)))


@pytest.mark.parametrize("close", [CLOSE, text(*CLOSING[:2], SIDE_TOPICS, CLOSING[2])])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_notebook_of_the_fixed_shape_breaks_no_rule(
    rule: Rule, close: nbformat.NotebookNode
) -> None:
    """The shape that CONTRIBUTING.md describes passes, with and without side topics."""
    cells = [OPEN, text("## 99.1 A trigger carries its own clock"), code("1 + 1"), close]
    assert list(rule(nbformat.from_dict({"cells": cells, "metadata": METADATA}), PATH)) == []


def test_a_notebook_that_is_not_the_last_leads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next must link to the notebook that follows."""
    monkeypatch.setitem(globals(), "NOTEBOOKS", [PATH, PATH.with_name("99_next.ipynb")])
    notebook = nbformat.from_dict({"cells": [CLOSE], "metadata": METADATA})
    assert list(the_links(notebook, PATH)) == ["no link to the next notebook, 99_next.ipynb"]
