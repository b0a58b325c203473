"""Which module a file is, as a command is given it: "app", "app.py", "my_service/" or its path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kst_scheduler.errors import InvalidArgumentError

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class ModuleFile:
    """A file that is imported as a module of its outermost package."""

    path: Path
    module: str
    folder: str
    """From which the module is imported."""


def is_file_name(name: str) -> bool:
    """Tell whether a name is that of a file, and not of a module."""
    return name.endswith(".py") or "/" in name or os.sep in name


def check_module_name(name: str, what: str) -> None:
    """Refuse what is neither a module's name nor a file's.

    Raises:
        InvalidArgumentError: a part of it is not a name.

    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise InvalidArgumentError(
            f"{what}: {name!r} is not the name of a module; write module:function, such as "
            "my_service.jobs:register, or the path of a file, such as ./my_jobs.py:register"
        )


def module_file(name: str, what: str) -> ModuleFile:
    """Return which module a file is; a folder is that of a package, and the ending may be missing.

    Args:
        name: the path.
        what: what to say of it in an error, such as "jobs='./jobs.py:add'".

    Raises:
        InvalidArgumentError: there is no such file, or it cannot be imported by its name.

    """
    path = _path(name, what)
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():  # a package, whose modules import one another
        parts.insert(0, folder.name)
        folder = folder.parent
    module = ".".join(parts)
    if not parts or not all(part.isidentifier() for part in parts):
        raise InvalidArgumentError(
            f"{what}: a file whose name is {module!r} cannot be imported; rename it to letters, "
            "digits and underscores"
        )
    return ModuleFile(path, module, str(folder))


def check_is_of_file(module: ModuleType, path: Path, what: str) -> None:
    """Refuse a module that has another file: an installed one may have the same name.

    Raises:
        InvalidArgumentError: it has.

    """
    here = getattr(module, "__file__", None)
    if here is None or Path(here).resolve() != path:
        raise InvalidArgumentError(
            f"{what}: another module has the name {module.__name__!r}"
            f"{f', {here}' if here else ''}; rename the file"
        )


def _path(name: str, what: str) -> Path:
    try:
        path = Path(name).expanduser().resolve()
        path = path / "__init__.py" if path.is_dir() else path
        is_file = path.is_file()
        if not is_file and path.suffix != ".py":
            path = path.with_name(f"{path.name}.py")
            is_file = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # NUL, a loop of links, no such home
        raise InvalidArgumentError(f"{what} is not a path: {error}") from None
    if not is_file:
        raise InvalidArgumentError(f"{what}: there is no file {str(path)!r}")
    return path
