"""The verb init of the command: writes a folder with a service to begin with."""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import PathFinder
from importlib.metadata import version
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import InvalidArgumentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

TEMPLATE: Final = "my_service"
"""The name of the service in the files of the folder ``starter``."""
TEMPLATE_WHEEL: Final = "kst_scheduler-0.0.0"
"""The beginning of the name of this package's wheel in them."""
FILES: Final = {
    "my_service.py": "the service: one job, every night",
    "test_schedule.py": "tests of its schedule, in virtual time",
    "README.md": "how to try it and to deploy it",
    "pyproject.toml": "what it needs",
    ".env.example": "its variables",
    "Dockerfile": "an image",
    "compose.yaml": "Docker on one host",
    "deployment.yaml": "Kubernetes",
    "my_service.service": "systemd",
}
NAME: Final = re.compile(r"[a-z]([a-z0-9_]{0,38}[a-z0-9])?")
"""A module, and with hyphens a label of Kubernetes."""
NAMES_OF_PYTEST: Final = frozenset(("conftest", "test_schedule"))


def add_init(verbs: Any) -> None:
    """Add the verb to those of the command."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "init",
        help="write a folder with a service to begin with",
        description="Writes a folder with a service of one job, its tests, and what deploys it: "
        "Docker, Kubernetes, systemd. Overwrites nothing.",
    )
    parser.add_argument(
        "name", metavar="NAME", help="of the folder and of the module in it, such as my_service"
    )
    parser.set_defaults(verb=init_command)


def init_command(chosen: argparse.Namespace) -> int:
    """Write the folder, and print what is in it and what to type next."""
    name: str = chosen.name
    try:
        _check_name(name)
        _write(name, {_named(file, name): _text(file, name) for file in FILES})
    except OSError as error:
        exists = os.path.lexists(name)
        reason = "it exists, and init overwrites nothing" if exists else error.strerror or error
        raise InvalidArgumentError(
            f"the folder {name} was not written: {reason}; write another name, or change to "
            "another folder"
        ) from None
    lines = [f"  {_named(file, name):20} {what}" for file, what in FILES.items()]
    run = "uv run " if os.environ.get("UV") else ""  # uv names itself to what it runs
    jobs = f"{name}/{name}.py:register"
    sys.stdout.write(
        "\n".join(
            (
                f"The folder {name} has a service:",
                *lines,
                "Rehearse it, then start it:",
                f"  {run}kst-scheduler rehearse {jobs}",
                f"  DATABASE_URL=sqlite:///{name}/runs.db {run}kst-scheduler serve --jobs {jobs}\n",
            )
        )
    )
    return 0


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"{name!r} is not a name for a service; write a name such as my_service, with up to 40 "
            "lower-case letters, digits and underscores"
        )
    if iskeyword(name):
        taken = "a keyword of Python"
    elif name in sys.stdlib_module_names:
        taken = "a module of Python's standard library"
    elif name in NAMES_OF_PYTEST:
        taken = "a file that pytest reads"
    elif PathFinder.find_spec(name, _installed()):
        taken = "an installed package"
    else:
        return
    raise InvalidArgumentError(
        f"{name!r} is the name of {taken}, which the service would hide; write another name"
    )


def _installed() -> list[str]:
    """Return where modules are found, without the current folder."""
    here = Path.cwd()
    return [folder for folder in sys.path if Path(folder).resolve() != here]


def _named(text: str, name: str) -> str:
    """Put the name of the service into a text, and with hyphens where the template has those."""
    return text.replace(TEMPLATE, name).replace(TEMPLATE.replace("_", "-"), name.replace("_", "-"))


def _text(file: str, name: str) -> str:
    text = files("kst_scheduler.service").joinpath("starter", file).read_text(encoding="utf-8")
    return _named(text, name).replace(TEMPLATE_WHEEL, f"kst_scheduler-{version('kst-scheduler')}")


def _write(name: str, texts: Mapping[str, str]) -> None:
    """Write all files or none: the folder gets its name when it is complete."""
    with TemporaryDirectory(prefix=".kst-scheduler-init-", dir=".") as work:
        folder = Path(work, name)
        folder.mkdir()
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
        # It fails where there is a file or a folder with content, also one that was made just now.
        folder.rename(name)
