"""Where in the reader's code this package was called, for a warning that points there."""

from __future__ import annotations

import sys
from typing import Final

OWN_PACKAGES: Final = {__name__.partition(".")[0]}
"""Packages of this distribution; what is built on the library adds itself."""
_LIBRARIES: Final = {"apscheduler", "contextlib"}


def stack_level() -> int:
    """Return the ``stacklevel`` by which the caller's warning points outside the libraries.

    The same check is reached through ``cron``, ``add_job``, the decorator ``scheduled_job`` and
    ``Job.reschedule``, each of them another number of calls deep.
    """
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - of CPython since 2.1
    libraries = OWN_PACKAGES | _LIBRARIES
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in libraries:
        level, frame = level + 1, frame.f_back
    return level
