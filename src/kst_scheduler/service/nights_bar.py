"""A progress bar for the nights of a rehearsal: for a person at a terminal, and for nobody else."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORM = "{n_fmt} of {total_fmt} nights |{bar:30}|"


@contextlib.contextmanager
def nights_bar(nights: int) -> Iterator[Callable[[int], object] | None]:
    """Show, in one line of standard error, how many nights are done; the line is gone at the end.

    Yields what is called with that number; None where nobody looks: standard error is not a
    terminal, ``CI`` is set, or TQDM_DISABLE.
    """
    if not sys.stderr.isatty() or any(os.environ.get(each) for each in ("CI", "TQDM_DISABLE")):
        yield None
        return
    from tqdm import tqdm  # noqa: PLC0415 - an extra

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # or tqdm starts a thread, which it never ends

    with Bar(total=nights, leave=False, file=sys.stderr, bar_format=FORM, disable=False) as bar:
        yield lambda done: bar.update(done - bar.n)
