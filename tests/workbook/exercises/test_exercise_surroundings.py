from __future__ import annotations

import contextlib
import logging
import os
import random
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

from kst_workbook.exercises.surroundings import restore_surroundings


def test_environment_and_zone_are_put_back_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set, changed and deleted, each named; nothing else is."""
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("LOST", "1")
    zone, changed = time.strftime("%Z", time.localtime(0)), list[str]()
    with restore_surroundings(changed):
        os.environ.update(TZ="Asia/Tokyo", KEPT="2", NEW="3")
        del os.environ["LOST"]
        time.tzset()
    assert (os.environ["KEPT"], os.environ["LOST"], "NEW" in os.environ) == ("1", "1", False)
    assert time.strftime("%Z", time.localtime(0)) == zone
    assert [note.split("`")[1] for note in changed] == ["KEPT", "LOST", "NEW", "TZ"]


def test_the_folder_is_put_back_and_told(tmp_path: Path) -> None:
    """Also when the block ends by an error."""
    before, changed = os.getcwd(), list[str]()  # noqa: PTH109
    with contextlib.suppress(ValueError), restore_surroundings(changed):
        os.chdir(tmp_path)
        raise ValueError
    assert os.getcwd() == before  # noqa: PTH109
    assert changed == ["Your answer changed the current folder; it is as before."]


def test_chance_warnings_and_levels_are_put_back_in_silence() -> None:
    """They are changed by much, and of no interest."""
    state, filters, changed = random.getstate(), list(warnings.filters), list[str]()
    level = logging.getLogger("apscheduler").level
    with restore_surroundings(changed):
        random.seed(1)
        warnings.simplefilter("ignore")
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    assert random.getstate() == state
    assert list(warnings.filters) == filters
    assert logging.getLogger("apscheduler").level == level
    assert changed == []
