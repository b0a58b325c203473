"""The templates of what stands around a text, and around a picture."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER: Final = Path(__file__).parent / "templates"


def fill(template: str, **values: Any) -> str:
    """Return a template of this folder with these values in it, escaped for HTML."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
