from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = ROOT / "notebooks" / "pictures" / "one_bad_night.png"


def blocks(language: str) -> list[str]:
    """Return the code blocks of the README in this language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_ten_lines_print_what_the_readme_says() -> None:
    """The example runs as it stands, and prints the output below it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(blocks("python")[0], {})  # noqa: S102 - the README's own code
    expected = [line.rstrip() for line in blocks("text")[0].splitlines()]
    assert [line.rstrip() for line in printed.getvalue().splitlines()] == expected


def test_service_example_runs() -> None:
    """The example for the reader's own service registers its job."""
    names: dict[str, Any] = {}
    exec(blocks("python")[1], names)  # noqa: S102 - the README's own code
    assert [job.id for job in names["scheduler"].get_jobs()] == ["nightly-crawl"]


def test_links_lead_somewhere() -> None:
    """Every file that the README names is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_picture_is_the_notebooks() -> None:
    """The picture on the first screen is the one that notebook 00 stores.

    REDRAW_PICTURES=1 copies it from there.
    """
    notebook = json.loads((ROOT / "notebooks" / "00_start_here.ipynb").read_text("utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    first = next(o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {}))
    if os.environ.get("REDRAW_PICTURES"):
        PICTURE.write_bytes(base64.b64decode(first))
    assert PICTURE.read_bytes() == base64.b64decode(first)
