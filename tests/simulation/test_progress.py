from __future__ import annotations

from datetime import timedelta

import pytest
from lessons import NIGHT, hourly

from kst_scheduler.simulation import progress, simulate


@pytest.fixture(autouse=True)
def _bars_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the tests' own switch."""
    monkeypatch.setenv("TQDM_DISABLE", "")


def test_bar_shows_on_long_simulations(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After the patience is over a bar says how many simulated days have passed."""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    simulate(hourly, NIGHT, NIGHT + timedelta(days=60))
    assert "simulated" in capfd.readouterr().err


def test_no_bar_on_short_simulations(capfd: pytest.CaptureFixture[str]) -> None:
    """Below a second there is none."""
    simulate(hourly, NIGHT, NIGHT + timedelta(hours=6))
    assert capfd.readouterr().err == ""


def test_bar_can_be_turned_off(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """TQDM_DISABLE=1 turns it off, as in stored notebooks."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    simulate(hourly, NIGHT, NIGHT + timedelta(days=60))
    assert capfd.readouterr().err == ""
