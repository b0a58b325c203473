"""The corpus: each small service shows its one fault first, and the good ones show none."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

from kst_scheduler.rehearsal import rehearse

FOLDER = Path(__file__).parent / "services"
SERVICES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "lesson")


def header_of(path: Path) -> dict[str, str]:
    """Return what the docstring of a service says: its target, and what must be found."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return dict(re.findall(r"(?m)^(\w+): (.+)$", text))


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_its_fault_comes_first_and_is_the_only_error(path: Path) -> None:
    """A false alarm is as bad as a missed fault."""
    header = header_of(path)
    found = rehearse(
        f"{path}:{header['target']}",
        nodes=int(header.get("nodes", 2)),
        duration=timedelta(minutes=int(header.get("minutes", 1))),
    )
    code, _, job = header.get("finds", "").partition(" ")
    if not code:
        assert found.findings == [], found
        return
    first = found.findings[0]
    assert first.code == code, found
    assert first.job == job or not job, found
    assert {each.code for each in found.at_level("error")} <= {code}, found
    assert first.place.file == str(path)
