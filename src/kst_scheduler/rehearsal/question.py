"""What a rehearsal asks of the process in which the service runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

NIGHTS_DONE: Final = "nights_done"
"""The file in which that process writes how many nights have been run."""


@dataclass
class Question:
    """What to rehearse."""

    target: str
    folder: str
    module: str
    name: str
    file: str
    """That of the module; empty: the target does not name it."""
    current: str
    """The reader's current folder, whose files the service finds beside it."""
    start: int
    """When the first night begins, in microseconds since 1970 in UTC."""
    nights: int = 14
    nodes: int = 2
    zone: str = "UTC"
    seed: int | None = None
    duration: float = 60.0
    durations: dict[str, float] = field(default_factory=dict)
    run_jobs: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    only: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    stubs: list[str] = field(default_factory=list)
    each_node: list[str] = field(default_factory=list)
    """The jobs that each replica should run for itself."""
