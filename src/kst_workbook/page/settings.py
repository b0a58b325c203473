"""Explorers without a kernel: a handful of their settings, drawn when the site is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from kst_workbook.explorers import misfire_explorer, replica_explorer, trigger_explorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_workbook.explorers.explorer import Explorer

_LATER: Final = 120
"""Seconds from one clock to the next: more than a run takes, so its lock is free again."""

_SETTINGS: Final[dict[str, tuple[Callable[[], Explorer], dict[str, dict[str, Any]]]]] = {
    "Trigger explorer": (
        trigger_explorer,
        {
            "30 7 * * 1": {"text": "30 7 * * 1"},
            "0 3 * * *": {"text": "0 3 * * *"},
            "0 9 1 * 1": {"text": "0 9 1 * 1"},
            "0 8-18/2 * * 1-5": {"text": "0 8-18/2 * * 1-5"},
        },
    ),
    "Misfire explorer": (
        misfire_explorer,
        {
            "15 min grace": {"grace": 900, "coalesce": False},
            "1 h grace": {"grace": 3600, "coalesce": False},
            "1 h grace, coalesce": {"grace": 3600, "coalesce": True},
            "runs of 25 min": {"coalesce": False, "freeze": 0, "job": 25},
            "runs of 25 min, 3 instances": {"max_instances": 3},
        },
    ),
    "Replica explorer": (
        replica_explorer,
        {
            "a lock that waits": {"lock": "a lock that waits", "skew": 0},
            "no lock": {"lock": "no lock"},
            "a lock that refuses": {"lock": "a lock that refuses"},
            f"redis_lock, clocks {_LATER} s apart": {"lock": "redis_lock", "skew": _LATER},
            "redis_lock + ledger, the same clocks": {"lock": "redis_lock + ledger"},
        },
    ),
}
"""By the name of an explorer. Each setting changes the one before; the first is the notebook's."""


@dataclass(frozen=True)
class Setting:
    """What an explorer shows with its controls set so."""

    label: str
    picture: str
    """An SVG."""
    said: str
    """The explorer's words, as HTML."""


@cache
def settings_of(caption: str) -> list[Setting]:
    """Return settings of the explorer with that caption; none where it is no explorer's.

    The first one is that of the notebook.
    """
    name = caption.partition(":")[0]
    if name not in _SETTINGS:
        return []
    make, settings = _SETTINGS[name]
    explorer = make()
    return [_set(explorer, label, values) for label, values in settings.items()]


def _set(explorer: Explorer, label: str, values: dict[str, Any]) -> Setting:
    for name, value in values.items():
        explorer.controls[name].value = value
    return Setting(label, explorer.picture.value, explorer.sentence.value)
