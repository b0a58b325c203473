from __future__ import annotations

import builtins
import sys
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from lessons import NIGHT, hourly

from kst_scheduler.simulation import progress, simulate


@pytest.fixture(autouse=True)
def _bars_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the tests' own switch."""
    monkeypatch.setenv("TQDM_DISABLE", "")


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a bar from the first look on."""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "STEP", 0.0)


@pytest.mark.usefixtures("_at_once")
def test_bar_shows_on_long_simulations_and_vanishes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the patience is over; at the end its line is blank, and no thread is left."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    threads = threading.active_count()
    simulate(hourly, NIGHT, NIGHT + timedelta(days=60))
    said = capsys.readouterr().err
    assert "simulated" in said
    assert not said.rpartition("\r")[0].rpartition("\r")[2].strip()
    assert threading.active_count() == threads


def test_no_bar_on_short_simulations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below two seconds there is none."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    simulate(hourly, NIGHT, NIGHT + timedelta(hours=6))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_at_once")
def test_bar_can_be_turned_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """TQDM_DISABLE=1 turns it off, as in stored notebooks."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    simulate(hourly, NIGHT, NIGHT + timedelta(days=60))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_at_once")
def test_no_bar_in_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    """Where standard error is no terminal, nobody looks."""
    simulate(hourly, NIGHT, NIGHT + timedelta(days=60))
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_at_once")
def test_in_a_page_it_is_an_output_that_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown once, then updated; the last update shows nothing."""
    shown: list[dict[str, str]] = []

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        shown.append(data)
        return SimpleNamespace(update=lambda data, **_raw: shown.append(data))

    shell = SimpleNamespace(kernel=object())
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setattr(builtins, "display", display, raising=False)
    simulate(hourly, NIGHT, NIGHT + timedelta(days=60))
    hours = 60 * 24
    assert len(shown) > 2
    assert f'<progress max="{hours}" value=' in shown[0]["text/html"]
    assert shown[0]["text/plain"].endswith(" of 1,440 h")
    assert shown[-1] == {}
