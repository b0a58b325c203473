"""The progress bar of a rehearsal: on a terminal only, and nothing is left of it."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

import fcntl
import pty
import termios

from kst_scheduler.rehearsal import rehearse
from kst_scheduler.rehearsal.asking import wait_for
from kst_scheduler.rehearsal.question import NIGHTS_DONE
from kst_scheduler.service.nights_bar import nights_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextlib.contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Let standard error be a terminal of 80 columns; yield what returns all that it was sent."""
    for name in ("CI", "TQDM_DISABLE"):
        monkeypatch.delenv(name, raising=False)
    reader, writer = pty.openpty()
    os.set_blocking(reader, False)
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with os.fdopen(writer, "w", 1, encoding="utf-8") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        yield lambda: b"".join(_chunks(reader)).decode()
    os.close(reader)


def _chunks(reader: int) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):  # there is no more
        while True:
            yield os.read(reader, 1000)


def test_it_counts_nights_in_one_line_and_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is left either."""
    threads = threading.active_count()
    with terminal(monkeypatch) as shown:
        with nights_bar(14) as on_night:
            assert on_night is not None
            for night in range(1, 14):
                on_night(night)
        text = shown()
    assert "0 of 14 nights" in text
    assert "\n" not in text
    *_, last, end = text.split("\r")
    assert (last.strip(), end) == ("", "")
    assert threading.active_count() == threads


def test_it_vanishes_where_the_rehearsal_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by Ctrl-C."""
    with terminal(monkeypatch) as shown:
        with pytest.raises(KeyboardInterrupt), nights_bar(14):
            raise KeyboardInterrupt
        *_, last, end = shown().split("\r")
    assert (last.strip(), end) == ("", "")


@pytest.mark.parametrize("name", ["CI", "TQDM_DISABLE"])
def test_there_is_none_where_nobody_looks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI, though it may have a terminal, and where it is not wanted."""
    with terminal(monkeypatch):
        monkeypatch.setenv(name, "1")
        with nights_bar(14) as on_night:
            assert on_night is None


def test_there_is_none_in_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    """Nor in a file."""
    with nights_bar(14) as on_night:
        assert on_night is None
    assert capfd.readouterr().err == ""


def test_the_nights_are_counted_while_the_service_runs(tmp_path: Path) -> None:
    """The process that rehearses writes the number of each night that is over."""
    done, nights = tmp_path / NIGHTS_DONE, list[int]()
    texts = iter([None, "", "1", "2"])

    class Process:
        returncode = 0

        def communicate(self, timeout: float) -> tuple[str, str]:
            text = next(texts, "over")
            if text == "over":
                return "", "a warning"
            if text is not None:
                done.write_text(text, encoding="ascii")
            raise subprocess.TimeoutExpired("python", timeout)

    ended = wait_for(cast("Any", Process()), done, "app.py:scheduler", nights.append)
    assert (ended, nights) == ((0, "a warning"), [1, 2])


def test_a_service_is_in_its_second_night_when_one_is_over(tmp_path: Path) -> None:
    """The number is there from the begin of the next night on."""
    (tmp_path / "app.py").write_text(
        "import os\nfrom pathlib import Path\nfrom kst_scheduler import KSTScheduler, cron\n"
        "scheduler = KSTScheduler()\n"
        f"file = Path(os.environ['TMPDIR'], {NIGHTS_DONE!r})\n"
        "async def look(): raise OSError(file.read_text())\n"
        "scheduler.add_job(look, cron(day=6, hour=3), id='look')\n",
        encoding="utf-8",
    )
    target, quiet = f"{tmp_path / 'app.py'}:scheduler", ["quiet"]
    found = rehearse(target, nights=3, nodes=1, run_jobs=True, only=quiet)
    assert found.runs["detail"].tolist() == ["OSError('1')"]
