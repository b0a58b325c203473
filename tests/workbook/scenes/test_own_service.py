from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.scenes.own_service import ServiceFile, lesson_service

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceFile:
    """Return the lesson's service in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lesson_service()


def test_the_lessons_service_is_a_file_that_shows_itself(
    service: ServiceFile, tmp_path: Path
) -> None:
    """As code, and in text without the address of an object."""
    assert {each.name for each in tmp_path.iterdir()} == {"my_service.py", "work.py"}
    assert service._repr_markdown_() == f"```python\n{service.text}```"
    assert repr(service) == "ServiceFile('my_service.py')"


def test_a_fix_is_written_once_however_often_its_cell_is_run(service: ServiceFile) -> None:
    """Also where the new text contains the old one."""
    for _ in range(2):
        service.replace("IntervalTrigger(hours=1)", "every(hours=1)")
        service.replace("async def nps_job", "@once(ledger)\nasync def nps_job")
    assert service.text.count("every(hours=1)") == 1
    assert service.text.count("@once(ledger)") == 1


def test_what_the_reader_has_edited_is_kept(service: ServiceFile, tmp_path: Path) -> None:
    """The file counts, and not what it held at first."""
    (tmp_path / "my_service.py").write_text("# 내 서비스\nhour = 3\n", encoding="utf-8")
    service.replace("hour = 3", "hour = 4")
    assert service.text == "# 내 서비스\nhour = 4\n"


@pytest.mark.parametrize(
    ("old", "times"), [("CronTrigger(hour=4)", "0 times"), ("send_report", "2 times")]
)
def test_what_is_not_there_once_is_refused(service: ServiceFile, old: str, times: str) -> None:
    """The message names the text and the file, and nothing is written."""
    before = service.text
    with pytest.raises(InvalidArgumentError, match=f"occurs {times} in my_service.py"):
        service.replace(old, "cron(hour=4)")
    assert service.text == before
