"""The verb explain of the command: files, standard input, exit codes, and both forms."""

from __future__ import annotations

import gzip
import io
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.service.cli import main

if TYPE_CHECKING:
    from pathlib import Path

LOG = (
    "2026-05-10 03:00:05,001 WARNING apscheduler.executors.default: Run time of job "
    "\"crawl (trigger: cron[hour='3'], next run at: 2026-05-11 03:00:00 KST)\" was missed by "
    "0:00:05.001\n"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of two nights with the same fault."""
    path = tmp_path / "app.log"
    path.write_text(f"hello\n{LOG}{LOG.replace('05-10', '05-11')}", encoding="utf-8")
    return path


def test_a_finding_has_count_times_and_what_to_write(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the exit code is 1."""
    assert main(["explain", str(log)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{log}, 3 lines, 2 of APScheduler: 1 finding"
    assert lines[1] == (
        "KST008 error   crawl  2 times, 2026-05-10 03:00:05,001 to 2026-05-11 03:00:05,001: was "
        "missed by 0:00:05.001"
    )
    assert "misfire_grace_time=300" in lines[2]
    assert lines[2].endswith("; notebook 4.1")
    assert "A log does not show:" in lines
    assert any("never fires" in line for line in lines)
    assert any("coalesced" in line for line in lines)
    assert any("a weekday that is counted from another day (KST003)" in line for line in lines)


def test_json_has_the_same(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the numbers of the lines."""
    assert main(["explain", "--format", "json", str(log)]) == 1
    found = json.loads(capsys.readouterr().out)
    (each,) = found["findings"]
    assert found["lines"] == 3
    assert found["not_shown"]
    assert (each["code"], each["job"], each["count"]) == ("KST008", "crawl", 2)
    assert (each["first"], each["last"]) == ("2026-05-10 03:00:05,001", "2026-05-11 03:00:05,001")
    assert (each["first_line"], each["last_line"]) == (2, 3)


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "-"]])
@pytest.mark.parametrize(("text", "code"), [(LOG, 1), ("hello\n", 0), ("", 0)])
def test_standard_input_is_read(
    arguments: list[str],
    text: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With - and without a name; an empty log has no finding."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert main(arguments) == code
    assert capsys.readouterr().out.startswith("standard input, ")


@pytest.mark.parametrize("name", ["app.log.1.gz", "app.log"])
def test_a_compressed_log_is_read(
    log: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As logrotate lets it, of two parts that are the same, and whatever its name is."""
    part = gzip.compress(log.read_bytes())
    (tmp_path / name).write_bytes(part + part)
    assert main(["explain", str(tmp_path / name)]) == 1
    assert ", 6 lines, 2 of APScheduler: 1 finding" in capsys.readouterr().out


def test_a_compressed_log_on_standard_input_is_read(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``kst-scheduler explain < app.log.1.gz`` gives it."""
    compressed = io.BytesIO(gzip.compress(log.read_bytes()))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=compressed))
    assert main(["explain"]) == 1
    assert ", 3 lines, 2 of APScheduler: 1 finding" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["cut off", "changed", "no more"])
def test_a_compressed_log_that_is_broken_is_one_line(
    broken: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as one that is still being written."""
    whole = gzip.compress(log.read_bytes() * 50)
    log.write_bytes(
        {
            "cut off": whole[:-20],
            "changed": whole[:20] + b"\xff" * 20 + whole[40:],
            "no more": whole + b"more",
        }[broken]
    )
    assert main(["explain", str(log)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "cannot be read: " in printed.err
    assert "None" not in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["nowhere.log", ".", "", "a\0b"])
def test_what_cannot_be_read_is_one_line_and_exit_code_2(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed on standard output."""
    assert main(["explain", name]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kst-scheduler: ")
    assert "cannot be read" in printed.err
    assert printed.err.count("\n") == 1
    assert "\0" not in printed.err


@pytest.mark.parametrize("name", ["KST014", "kst014"])
def test_codes_that_only_a_log_shows_are_explained(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the same option as the others."""
    assert main(["rehearse", "--explain", name]) == 0
    assert "Seen in a log" in capsys.readouterr().out


def test_a_job_of_the_log_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters are shown as such."""
    path = tmp_path / "app.log"
    path.write_text(LOG.replace("crawl", "cra\x07\x1b]0;wl"), encoding="utf-8")
    assert main(["explain", str(path)]) == 1
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\\x07" in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_half_a_character_can_be_printed(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON can name one, and UTF-8 has none."""
    path = tmp_path / "app.log"
    path.write_text(
        json.dumps({"message": LOG[LOG.index("Run ") :].replace("crawl", "\ud83d")}),
        encoding="utf-8",
    )
    assert main(["explain", "--format", form, str(path)]) == 1
    text = capsys.readouterr().out
    assert "ud83d" in text.encode().decode()
