"""Put back what an answer changes around it, and say so."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def restore_surroundings(changed: list[str]) -> Iterator[None]:
    """Restore environment, folder, chance, warnings and log levels after the block.

    A sentence for each environment variable and for the folder is added to ``changed``.
    """
    environment, folder, chance = dict(os.environ), os.getcwd(), random.getstate()  # noqa: PTH109
    loggers = [logging.getLogger(name) for name in (None, "apscheduler", "kst_scheduler")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        random.setstate(chance)
        changed += _restore_folder(folder) + _restore_environment(environment)


def _restore_folder(folder: str) -> list[str]:
    if os.getcwd() == folder:  # noqa: PTH109 - as a string, which is compared
        return []
    os.chdir(folder)
    return ["Your answer changed the current folder; it is as before."]


def _restore_environment(before: dict[str, str]) -> list[str]:
    names = [
        name
        for name in sorted(before.keys() | os.environ.keys())
        if before.get(name) != os.environ.get(name)
    ]
    for name in names:
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]
    if "TZ" in names and hasattr(time, "tzset"):
        time.tzset()
    return [
        f"Your answer changed the environment variable `{name}`; it is as before." for name in names
    ]
