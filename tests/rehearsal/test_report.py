"""The forms of a rehearsal, by that of the lesson as it is written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from matplotlib.figure import Figure

from kst_scheduler import InvalidArgumentError
from kst_scheduler.rehearsal import explain, rehearse
from kst_scheduler.rehearsal.findings import CODES
from kst_scheduler.rehearsal.picture import save_picture
from kst_scheduler.rehearsal.report import WRITERS, as_text
from kst_scheduler.service.cli import main

if TYPE_CHECKING:
    from kst_scheduler.rehearsal import Rehearsal

LESSON = Path(__file__).parent / "services" / "lesson.py"
NAME = "services/lesson.py"
"""From the folder that is current when it is rehearsed."""


@pytest.fixture(scope="module")
def lesson() -> Rehearsal:
    """Rehearse the lesson once, from the folder above."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(LESSON.parents[1])
        return rehearse(f"{NAME}:app")


def test_the_lesson_as_written_has_many_faults(lesson: Rehearsal) -> None:
    """Its first is the noon."""
    codes = {each.code for each in lesson.findings}
    numbers = (1, 6, 11, 12, 13, 15, 21, 23)
    assert codes == {f"KST{number:03}" for number in numbers}
    assert lesson.findings[0].code == "KST001"
    assert "12:00 KST (03:00 UTC)" in as_text(lesson)
    assert not lesson


def test_text_names_line_and_repair(lesson: Rehearsal) -> None:
    """Two lines a finding."""
    lines = as_text(lesson).splitlines()
    assert lines[0].endswith(f"14 nights, 9 of them bad: {len(lesson.findings)} findings")
    assert len(lines) == 1 + 2 * len(lesson.findings)
    for finding, what, write in zip(lesson.findings, lines[1::2], lines[2::2], strict=True):
        assert what.startswith(f"{finding.code} {finding.level}")
        assert f" {NAME}:{finding.place.line} " in what
        assert write.startswith("       ")
        assert write.endswith(f"; notebook {finding.section}")
    assert repr(lesson) == as_text(lesson)
    assert "\033[31merror" in as_text(lesson, colour=True)


def test_a_failing_assert_prints_every_finding(
    lesson: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pytest cuts what it shows of the value itself; outside of a test nothing is printed."""
    assert not lesson
    printed = capsys.readouterr().out
    assert all(each.what in printed and each.write in printed for each in lesson.findings)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert not lesson
    assert not capsys.readouterr().out


def test_json_has_the_rows(lesson: Rehearsal) -> None:
    """That prove each finding."""
    found = json.loads(WRITERS["json"](lesson))
    assert len(found["findings"]) == len(lesson.findings)
    twice = next(each for each in found["findings"] if each["code"] == "KST012")
    assert [row["node"] for row in twice["rows"]] == ["A", "B"]
    assert twice["file"] == NAME


def test_github_and_sarif_name_file_and_line(
    lesson: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the root of the repository, which need not be the folder of the target."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(LESSON.parents[1]))
    start = ("::error file=services/lesson.py,line=", "::warning file=services/lesson.py,line=")
    lines = WRITERS["github"](lesson).splitlines()
    assert len(lines) == len(lesson.findings)
    assert all(line.startswith(start) for line in lines)
    sarif = json.loads(WRITERS["sarif"](lesson))
    (run,) = sarif["runs"]
    assert sarif["version"] == "2.1.0"
    rules = {each["id"] for each in run["tool"]["driver"]["rules"]}
    assert {each["ruleId"] for each in run["results"]} == rules
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "services/lesson.py"
    assert place["region"]["startLine"] == lesson.findings[0].place.line
    monkeypatch.delenv("GITHUB_WORKSPACE")
    monkeypatch.chdir(LESSON.parent)
    assert WRITERS["github"](lesson).startswith("::error file=lesson.py,line=")


@pytest.mark.parametrize("name", ["night.png", "night.svg", "night.html"])
def test_the_worst_night_is_drawn(lesson: Rehearsal, tmp_path: Path, name: str) -> None:
    """The page has the findings beside it."""
    path = tmp_path / name
    save_picture(lesson, path)
    if name.endswith("html"):
        text = path.read_text(encoding="utf-8")
        assert text.count("<tr>") == 1 + len(lesson.findings)
        assert "<svg" in text
    assert path.stat().st_size > 1000


def test_a_notebook_shows_the_findings_as_a_table(lesson: Rehearsal) -> None:
    """With what was rehearsed above it, and nothing that HTML would take for a tag."""
    found = replace(lesson, target="<b>app</b>")._repr_html_()
    assert found.startswith("<p>&lt;b&gt;app&lt;/b&gt;, 2 replicas on UTC hosts")
    assert found.count("<tr>") == 1 + len(lesson.findings)
    assert "Nothing was found" in replace(lesson, findings=[])._repr_html_()


def test_the_picture_names_the_findings_of_its_night(lesson: Rehearsal) -> None:
    """A quiet night, in which the lesson's jobs run at noon, and twice."""
    title = lesson.plot(Figure().subplots()).get_title(loc="left")
    assert re.fullmatch(r"Night 1, nothing goes wrong, and yet KST001, (KST\d+, )*KST012.*", title)


def test_another_ending_is_refused(lesson: Rehearsal, tmp_path: Path) -> None:
    """Before anything is drawn."""
    with pytest.raises(InvalidArgumentError, match=r"\.png, \.svg or \.html"):
        save_picture(lesson, tmp_path / "night.pdf")


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it is, and what to write."""
    assert main(["rehearse", "--explain", code.lower()]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{code} {CODES[code].level}: {CODES[code].title}\n")
    assert CODES[code].write in text
    assert len(CODES[code].explanation) > 40


def test_a_code_that_is_none_is_refused() -> None:
    """With those that are."""
    with pytest.raises(InvalidArgumentError, match="KST001, KST002"):
        explain("KST999")
