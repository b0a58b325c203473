"""Questions about a service, answered by a process in which it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import TargetError
from kst_scheduler.rehearsal.question import NIGHTS_DONE, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MAX_SECONDS: Final = 600
_LOOK_SECONDS: Final = 0.2
"""From one look at how many nights have been run to the next."""


def ask(
    questions: Sequence[Question], on_night: Callable[[int], object] | None = None
) -> list[dict[str, Any]]:
    """Let a process of its own answer questions, one after the other, and leave nothing of it.

    Args:
        questions: what to ask.
        on_night: called several times a second with how many nights have been run.

    Raises:
        TargetError: the process died, or was not through in time.

    """
    targets = ", ".join(each.target for each in questions)
    with tempfile.TemporaryDirectory(prefix="kst-rehearsal-") as folder:
        asked, answer = Path(folder, "questions.json"), Path(folder, "answers.json")
        asked.write_text(json.dumps([asdict(each) for each in questions]), encoding="utf-8")
        code, errors = _answered_in(folder, targets, on_night)
        if not answer.is_file():
            last = (errors.strip().splitlines() or ["it said nothing"])[-1]
            raise TargetError(
                f"the process that rehearsed {targets} ended with exit code {code}: {last}"
            )
        found: list[dict[str, Any]] = json.loads(answer.read_text(encoding="utf-8"))
        return found


def _answered_in(
    folder: str, targets: str, on_night: Callable[[int], object] | None
) -> tuple[int, str]:
    """Run the process that answers; return its exit code, and what it wrote to standard error."""
    command = [sys.executable, "-m", "kst_scheduler.rehearsal.child", folder]
    path = os.pathsep.join(each for each in sys.path if each)
    own = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TQDM_DISABLE": "1"}
    own |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)  # what is kept there is gone, too
    # The process ends when this end of the pipe is closed, be it by a SIGKILL.
    theirs, ours = os.pipe()
    try:
        with subprocess.Popen(  # noqa: S603 - this Python
            command,
            env={**os.environ, **own},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                return wait_for(process, Path(folder, NIGHTS_DONE), targets, on_night)
            except BaseException:  # Ctrl-C, too
                process.kill()
                raise
    finally:
        os.close(theirs)
        os.close(ours)


def wait_for(
    process: subprocess.Popen[str],
    done: Path,
    targets: str,
    on_night: Callable[[int], object] | None,
) -> tuple[int, str]:
    """Wait for the end of a process, and say meanwhile how far it is."""
    deadline = time.monotonic() + _MAX_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            _, errors = process.communicate(timeout=min(left, _LOOK_SECONDS) if on_night else left)
        except subprocess.TimeoutExpired:
            text = done.read_text(encoding="ascii") if done.is_file() else ""
            if on_night is not None and text:
                on_night(int(text))
        else:
            return process.returncode, errors
    raise TargetError(f"{targets} was not through after {_MAX_SECONDS} s; rehearse fewer nights")
