"""The corpus: each small service shows its one fault first, and the good ones show none."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.rehearsal.asking import ask
from kst_scheduler.rehearsal.nights import NIGHTS
from kst_scheduler.rehearsal.rehearse import Rehearsal, question_of, rehearsal_of

if TYPE_CHECKING:
    from kst_scheduler.rehearsal.question import Question

MARK = "the fault"
"""On the line that a finding must name, where a service has it."""
WITHOUT_ONCE = {"KST015", "KST023"}
"""Warnings about any job that nobody repeats or catches up."""
FOLDER = Path(__file__).parent / "services"
SERVICES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "lesson")


def header_of(path: Path) -> dict[str, str]:
    """Return what the docstring of a service says: its target, and what must be found."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return dict(re.findall(r"(?m)^(\w+): (.+)$", text))


def question_about(path: Path, nights: int | None = None) -> Question:
    """Return the question about a service."""
    header = header_of(path)
    return question_of(
        f"{path}:{header['target']}",
        nights=nights or int(header.get("nights", NIGHTS)),
        nodes=int(header.get("nodes", 2)),
        duration=timedelta(minutes=int(header.get("minutes", 1))),
    )


SHORTENED = [path for path in SERVICES if "nights" in header_of(path)]


@pytest.fixture(scope="module")
def rehearsals() -> dict[Path, Rehearsal]:
    """Rehearse all of them in one process: its start is most of the cost of a small service."""
    questions = [question_about(path) for path in SERVICES]
    answers = zip(questions, ask(questions), strict=True)
    return {path: rehearsal_of(*each) for path, each in zip(SERVICES, answers, strict=True)}


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_its_fault_comes_first_and_is_the_only_error(
    path: Path, rehearsals: dict[Path, Rehearsal]
) -> None:
    """A false alarm is as bad as a missed fault."""
    check(path, rehearsals[path])


@pytest.mark.long
@pytest.mark.parametrize("path", SHORTENED, ids=lambda path: path.stem)
def test_all_nights_show_the_same(path: Path) -> None:
    """Of services that take long: by default they are rehearsed for fewer nights."""
    question = question_about(path, NIGHTS)
    check(path, rehearsal_of(question, ask([question])[0]))


def check(path: Path, found: Rehearsal) -> None:
    """Compare what was found with the header of the service."""
    code, _, job = header_of(path).get("finds", "").partition(" ")
    if code in {"", "none"}:
        assert {each.code for each in found.findings} <= (WITHOUT_ONCE if code else set()), found
        return
    first = found.findings[0]
    assert first.code == code, found
    assert first.job == job or not job, found
    assert {each.code for each in found.at_level("error")} <= {code}, found
    assert first.place.file == str(path)
    line = path.read_text(encoding="utf-8").splitlines()[first.place.line - 1]
    assert MARK in line or MARK not in path.read_text(encoding="utf-8"), line
