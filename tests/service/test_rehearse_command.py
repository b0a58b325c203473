"""The verb rehearse of the command: options, exit codes, and one line where it cannot run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.service.cli import main

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from apscheduler.schedulers.asyncio import AsyncIOScheduler
scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})

async def crawl(): ...

scheduler.add_job(crawl, "cron", hour=3, id="crawl")
"""
WRONG = {
    "": "name what to rehearse",
    "app.py:scheduler --only tuesday": "the programme has quiet, deployment",
    "app.py:scheduler --incident freeze": "cannot be read",
    "app.py:scheduler --days 0": "nights=0",
    "app.py:scheduler --nodes 0": "nodes=0",
    "app.py:scheduler --duration 5": "is no length of a run",
    "app.py:scheduler --duration crawl=0m": "is no length of a run",
    "app.py:scheduler --set X": "is not --set NAME=VALUE",
    "app.py:scheduler --stub connect": "names no function",
    "app.py:scheduler --from yesterday": "is no day",
    "app.py:scheduler --zone Asia/Soul": "Asia/Soul",
    "nowhere.py:scheduler": "there is no file",
    "app.py:nothing": "has no 'nothing'",
    "app.py:scheduler --each-node craw --days 1": "has no job 'craw'; its jobs are crawl",
    "--explain KST999": "there is no code",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, in which a service lies."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("incident", "text"),
    {
        "freeze C 02:50 20m": "unknown node 'C'",
        "freeze B 2:50 20m": "cannot be read",
        "freeze B 25:50 20m": "is no time of day",
        "freeze B 02:50 0m": "lasts no time",
        "freeze B 02:50 -5m": "lasts no time",
        "sleep B 02:50 5m": "cannot be read",
    }.items(),
)
@pytest.mark.usefixtures("folder")
def test_an_incident_that_is_none_is_refused(
    incident: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    assert main(["rehearse", "app.py:scheduler", "--incident", incident]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_incidents_of_each_night_and_single_nights(capsys: pytest.CaptureFixture[str]) -> None:
    """In place of the programme, or of the rest of it."""
    options = ["app.py:scheduler", "--nodes", "1", "--days", "4", "--format", "json"]
    assert main(["rehearse", *options, "--incident", "freeze A 02:58 4m"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    main(["rehearse", *options, "--incident", "freeze A 02:55 20m"])
    (lost,) = json.loads(capsys.readouterr().out)["findings"]
    assert lost["code"] == "KST023"
    main(["rehearse", *options, "--incident", "deploy A 02:59 2m"])
    (lost,) = json.loads(capsys.readouterr().out)["findings"]
    assert lost["code"] == "KST023"
    assert lost["what"].startswith("lost, and not caught up: 4 runs due while the service")
    main(["rehearse", *options, "--only", "deployment"])
    (lost,) = json.loads(capsys.readouterr().out)["findings"]
    assert lost["what"].startswith("lost, and not caught up: 1 run due while the service")


@pytest.mark.parametrize(("arguments", "text"), WRONG.items(), ids=[*WRONG])
@pytest.mark.usefixtures("folder")
def test_what_cannot_run_is_one_line_and_exit_code_2(
    arguments: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed on standard output."""
    assert main(["rehearse", *arguments.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kst-scheduler: ")
    assert text in printed.err
    assert printed.err.count("\n") == 1


def test_exit_code_1_says_that_something_was_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the level that is asked for; two replicas run the job twice."""
    options = ["app.py:scheduler", "--days", "3", "--format", "json"]
    assert main(["rehearse", *options, "--picture", "night.svg"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [each["code"] for each in found if each["level"] == "error"] == ["KST012"]
    assert (folder / "night.svg").stat().st_size > 1000
    assert main(["rehearse", *options, "--nodes", "1", "--duration", "crawl=10s"]) == 0
    assert main(["rehearse", *options, "--nodes", "1", "--fail-on", "warning"]) == 1


@pytest.mark.usefixtures("folder")
def test_ctrl_c_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rehearsal that was not seen to its end has found nothing out."""

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kst_scheduler.rehearsal.asking.ask", interrupted)
    assert main(["rehearse", "app.py:scheduler"]) == 130
    assert capsys.readouterr() == ("", "")
