"""The verb rehearse of the command: its options, and what it prints."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.choices import FORMS, LEVELS, UNITS
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_extra
from kst_scheduler.service.nights_bar import nights_bar
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    import argparse

    from kst_scheduler.rehearsal import Rehearsal

FOUND: Final = 1
"""The exit code where something was found."""
NOT_RUN: Final = 2
"""The exit code where the service could not be rehearsed, as argparse has it for wrong options."""
INTERRUPTED: Final = 130
"""The exit code of Ctrl-C, as shells have it: what was not seen to its end has not passed."""


def add_rehearse(verbs: Any) -> None:
    """Add the verb to those of the command."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "rehearse",
        help="run a service of yours through a programme of bad nights, and say what it gets wrong",
        description="Runs a service in virtual time, with stand-ins for its jobs, through a "
        "programme of nights in which something goes wrong. Exit code 1: something was found; 2: "
        "it could not be run.",
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="MODULE:NAME or FILE.py:NAME of a scheduler, of a function register(scheduler), of an "
        "ASGI application, or of a function that returns one of these",
    )
    parser.add_argument("--explain", metavar="CODE", help="say what a code such as KST012 means")
    parser.add_argument("--nodes", type=int, default=2, help="replicas (default %(default)s)")
    parser.add_argument("--days", type=int, default=14, help="nights (default %(default)s)")
    parser.add_argument(
        "--from", dest="start", metavar="DATE", help="the day of the first night (2026-05-04)"
    )
    parser.add_argument("--zone", default="UTC", help="the hosts' zone (default %(default)s)")
    parser.add_argument("--seed", type=int, help="another order of what is due at one moment")
    parser.add_argument(
        "--duration",
        action="append",
        default=[],
        metavar="[JOB=]TIME",
        help="how long the jobs last, or one of them: 20m, crawl=90s (default 1m)",
    )
    parser.add_argument("--run-jobs", action="store_true", help="run the jobs themselves")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the service"
    )
    parser.add_argument(
        "--stub",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="a function that does nothing, such as one that connects to a database",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NIGHT", help="one night of the programme"
    )
    parser.add_argument(
        "--incident",
        action="append",
        default=[],
        metavar="TEXT",
        help='what goes wrong in each night instead: "freeze B 02:50 20m", "clock A 02:00 -120s"',
    )
    parser.add_argument(
        "--each-node",
        action="append",
        default=[],
        metavar="JOB",
        help="a job that every replica should run for itself, such as one that refreshes a cache",
    )
    parser.add_argument("--format", choices=FORMS, default="text", help="(default %(default)s)")
    parser.add_argument(
        "--fail-on",
        choices=LEVELS,
        default="error",
        help="the lowest level of a finding that makes the exit code 1 (default %(default)s)",
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw the worst night as .png, .svg or .html"
    )
    parser.set_defaults(verb=rehearse_command, failed=NOT_RUN, interrupted=INTERRUPTED)


def rehearse_command(chosen: argparse.Namespace) -> int:
    """Rehearse, print what was found, and return the exit code."""
    with require_extra("simulation", "kst-scheduler rehearse"):
        from kst_scheduler.rehearsal import explain  # noqa: PLC0415 - an extra
        from kst_scheduler.rehearsal.report import WRITERS, as_text  # noqa: PLC0415

    if chosen.explain:
        sys.stdout.write(f"{explain(chosen.explain)}\n")
        return 0
    found = _rehearsed(chosen)
    if chosen.picture:
        _draw(found, chosen.picture)
    if chosen.format == "text":
        sys.stdout.write(f"{as_text(found, colour=_has_colour())}\n")
    else:
        sys.stdout.write(f"{WRITERS[chosen.format](found)}\n")
    return FOUND if found.at_level(chosen.fail_on) else 0


def _rehearsed(chosen: argparse.Namespace) -> Rehearsal:
    from kst_scheduler.rehearsal.asking import ask  # noqa: PLC0415 - an extra
    from kst_scheduler.rehearsal.rehearse import question_of, rehearsal_of  # noqa: PLC0415

    default, durations = _durations(chosen.duration)
    question = question_of(
        _named(chosen.target),
        nights=chosen.days,
        nodes=chosen.nodes,
        host_timezone=chosen.zone,
        duration=default,
        durations=durations,
        run_jobs=chosen.run_jobs,
        variables=dict(_pair(each, "--set NAME=VALUE") for each in chosen.set),
        stubs=chosen.stub,
        only=chosen.only,
        incidents=chosen.incident,
        each_node=chosen.each_node,
        seed=chosen.seed,
        **({"start": _day(chosen.start)} if chosen.start else {}),
    )
    with nights_bar(question.nights) as on_night:
        (answer,) = ask([question], on_night)
    return rehearsal_of(question, answer)


def _named(target: str | None) -> str:
    if not target:
        raise InvalidArgumentError("name what to rehearse, such as app.py:scheduler")
    return target


def _draw(found: Rehearsal, path: Path) -> None:
    with require_extra("plots", "--picture"):
        from kst_scheduler.rehearsal.picture import save_picture  # noqa: PLC0415 - an extra

    try:
        save_picture(found, path)
    except OSError as error:
        raise InvalidArgumentError(
            f"the picture {str(path)!r} cannot be written: {error.strerror or error}"
        ) from None


def _durations(given: list[str]) -> tuple[timedelta, dict[str, timedelta]]:
    default, durations = timedelta(minutes=1), {}
    for each in given:
        job, equals, text = each.rpartition("=")
        if equals:
            durations[job] = _span(text)
        else:
            default = _span(text)
    return default, durations


def _span(text: str) -> timedelta:
    number, unit = text[:-1], UNITS.get(text[-1:])
    try:
        seconds = float(number) * (unit or 0)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 7 * 24 * 3600:
        raise InvalidArgumentError(f"--duration {text!r} is no length of a run; write 20m, or 90s")
    return timedelta(seconds=seconds)


def _pair(text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidArgumentError(f"{text!r} is not {form}")
    return name, value


def _day(text: str) -> datetime:
    from kst_scheduler.rehearsal.nights import FIRST_NIGHT  # noqa: PLC0415 - an extra

    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=KST)
    except ValueError:
        raise InvalidArgumentError(f"--from {text!r} is no day; write 2026-05-04") from None
    return datetime.combine(day, FIRST_NIGHT.timetz())


def _has_colour() -> bool:
    """Tell whether a person reads it on a terminal (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
