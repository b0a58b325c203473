"""What is imported only where it is used, and the error when its extra is not installed."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kst_scheduler.caller import OWN_PACKAGES
from kst_scheduler.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def require_extra(extra: str, what: str) -> Iterator[None]:
    """Name the extra to install where an import in the block finds a package missing.

    Blocks nest, and the outermost one decides: the service needs a ledger in a database, and its
    extra brings that too.

    Args:
        extra: the name in ``pip install 'kst-scheduler[extra]'``.
        what: the subject of the message: what cannot be used without it.

    Raises:
        MissingExtraError: a package is missing, or lacks what is imported from it.

    """
    try:
        yield
    except ImportError as error:
        cause = error.__cause__ if isinstance(error, MissingExtraError) else error
        if str(error.name).partition(".")[0] in OWN_PACKAGES:
            raise  # our own fault, which no installation repairs
        reason = str(cause).partition("\n")[0]
        raise MissingExtraError(
            f"{what} cannot be used here: {reason}; write pip install 'kst-scheduler[{extra}]'",
            name=error.name,
        ) from cause


def require_tables(what: str) -> None:
    """Load pandas and NumPy, which are slow to load, or name the extra that brings them.

    Raises:
        MissingExtraError: one of them is not installed.

    """
    with require_extra("tables", what):
        import pandas  # noqa: F401, ICN001, PLC0415


def are_installed(*modules: str) -> bool:
    """Return whether all of these top-level modules can be found; none is imported."""
    return all(find_spec(module) is not None for module in modules)
