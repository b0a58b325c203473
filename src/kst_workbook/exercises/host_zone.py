"""Judge an answer on a host in another zone than the reader's own.

A trigger that names no zone takes that of its host. In Seoul it fires on Korean time, and nothing
about it looks wrong; on a server in UTC the same line is nine hours late.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import tzlocal

from kst_scheduler.errors import TimezoneError
from kst_scheduler.simulation.host import set_host_timezone
from kst_scheduler.triggers.trigger_parts import own_zone, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE: Final = "America/New_York"
"""Neither Korean time nor UTC, and as many hours from Korea as no multiple of three or eight."""


def _of_its_own() -> ZoneInfo:
    """Let tzlocal return the host's zone as an object that nothing else returns.

    ``ZoneInfo("Asia/Seoul")`` is one object for the whole process, so on a host in Seoul a trigger
    that names the zone and one that does not would be the same. ``_cache_tz`` is what tzlocal 5.4.5
    remembers of the host; ``simulate`` puts it back.
    """
    zone = ZoneInfo.no_cache(getattr(tzlocal.get_localzone(), "key", None) or "UTC")
    sys.modules[tzlocal.get_localzone.__module__]._cache_tz = zone  # type: ignore[attr-defined] # noqa: SLF001 - tests/workbook/exercises/test_host_zone.py watches it
    return zone


THIS_HOST: Final = _of_its_own()


@contextlib.contextmanager
def another_host() -> Iterator[None]:
    """Let the block run on a host in ELSEWHERE; where the machine lacks its data, on this one."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(TimezoneError):
            stack.enter_context(set_host_timezone(ELSEWHERE))
        yield


def takes_zone_of_host(trigger: Any) -> bool:
    """Tell whether a trigger, or a part of it, was made here without a zone."""
    return any(own_zone(part) is THIS_HOST for part in walk(trigger))


def as_on_host(trigger: Any, zone: str = ELSEWHERE) -> Any:
    """Return a trigger as the same code makes it on a host in that zone."""
    if not takes_zone_of_host(trigger):
        return trigger
    # A copy takes what stands in its memo for the copy of an object.
    return copy.deepcopy(trigger, {id(THIS_HOST): ZoneInfo(zone)})


def move_jobs(scheduler: Any, zone: str = ELSEWHERE) -> None:
    """Give the jobs of a scheduler that has not started their triggers as on that host."""
    for job in scheduler.get_jobs():
        if takes_zone_of_host(job.trigger):
            job.modify(trigger=as_on_host(job.trigger, zone))
