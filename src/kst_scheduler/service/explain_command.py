"""The verb explain of the command: what the lines of a log mean, as text or JSON."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.choices import LOG_FORMS
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_extra
from kst_scheduler.service.rehearse_command import FOUND, NOT_RUN

if TYPE_CHECKING:
    import argparse

    from kst_scheduler.rehearsal.log_faults import LogReport

STANDARD_INPUT: Final = "-"


def add_explain(verbs: Any) -> None:
    """Add the verb to those of the command."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "explain",
        help="read a log, and say what APScheduler's lines in it mean",
        description="Reads a log with lines of APScheduler 3.11: text, JSON, with what journald, "
        "Docker or Kubernetes puts before a line; also compressed by gzip. Exit code 1: something "
        "was found; 2: it could not be read.",
    )
    parser.add_argument(
        "log",
        nargs="?",
        default=STANDARD_INPUT,
        metavar="FILE",
        help="the log; -, or none: standard input",
    )
    parser.add_argument("--format", choices=LOG_FORMS, default="text", help="(default text)")
    parser.set_defaults(verb=explain_command, failed=NOT_RUN)


def explain_command(chosen: argparse.Namespace) -> int:
    """Read the log, print what was found, and return the exit code."""
    with require_extra("simulation", "kst-scheduler explain"):
        from kst_scheduler.rehearsal.report import LOG_WRITERS  # noqa: PLC0415 - an extra

    report = _read(chosen.log)
    name = "standard input" if chosen.log == STANDARD_INPUT else chosen.log
    sys.stdout.write(f"{LOG_WRITERS[chosen.format](name, report)}\n")
    return FOUND if report.findings else 0


def _read(name: str) -> LogReport:
    from kst_scheduler.rehearsal.log_faults import explain_log  # noqa: PLC0415 - an extra

    try:
        if name == STANDARD_INPUT:
            return explain_log(sys.stdin.buffer)
        with open(name, "rb") as stream:  # noqa: PTH123 - a Path makes "." of ""
            return explain_log(stream)
    except (OSError, ValueError, EOFError, zlib.error) as error:  # also: NUL in its name
        reason = getattr(error, "strerror", None) or error
        raise InvalidArgumentError(
            f"{name!r} cannot be read: {reason}; write the name of a log, or - for standard input"
        ) from None
