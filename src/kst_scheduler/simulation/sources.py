"""Tell modules of the user from those of libraries, which all simulated nodes may share."""

from __future__ import annotations

import os
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

PROGRAMS: Final = {"__main__", "__mp_main__"}
"""The script itself, or a session: to execute it once more would simulate once more."""

_INSTALLED: Final = {"site-packages", "dist-packages"}
_LIBRARIES: Final = tuple(
    f"{Path(folder).resolve()}{os.path.sep}"
    for folder in (
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        Path(__file__).parents[2],  # this package, and those beside it
    )
)


def is_user_module(module: Any, folder: str = "") -> bool:
    """Tell whether a module's source is below a folder, and not that of a library."""
    spec = spec_of(module)
    if spec is None:
        return False
    # A package without __init__.py has no file, and one folder or more.
    places = [_file_of(spec)] if spec.origin else list(spec.submodule_search_locations or [""])
    return all(
        place and place.startswith(folder) and not is_library_path(place) for place in places
    )


@lru_cache(maxsize=4096)
def is_library_path(place: str) -> bool:
    """Tell whether a file is installed, or a part of Python or of this package."""
    place = os.path.realpath(place)
    return place.startswith(_LIBRARIES) or bool(_INSTALLED & set(place.split(os.path.sep)))


def folder_of(module: Any) -> str:
    """Return the folder of a module's outermost package; empty: it is not one of the reader's."""
    spec = spec_of(module)
    if spec is None or not _file_of(spec) or not is_user_module(module):
        return ""
    levels = spec.name.count(".") + (spec.submodule_search_locations is not None)
    return f"{Path(_file_of(spec)).parents[levels]}{os.path.sep}"


def spec_of(module: Any) -> ModuleSpec | None:
    """Return how a module was found; None: it is not a module, or was made in another way."""
    if not isinstance(module, ModuleType):
        return None
    # Not getattr: a module that is loaded lazily would load now.
    spec: ModuleSpec | None = object.__getattribute__(module, "__dict__").get("__spec__")
    return spec


def _file_of(spec: ModuleSpec) -> str:
    """Return the source file of a module; empty: it has none."""
    origin = spec.origin if spec.has_location and spec.loader is not None else None
    return origin if origin and origin.endswith(".py") else ""
