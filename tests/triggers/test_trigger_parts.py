from __future__ import annotations

from apscheduler.triggers.combining import AndTrigger, OrTrigger

from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import at, cron
from kst_scheduler.triggers.trigger_parts import own_zone, walk


def test_walk_goes_through_everything_in_order() -> None:
    """A trigger comes before its parts, and these as they were combined, however deep."""
    first, second, once = cron(hour=3), cron(hour=4), at(kst(2026, 5, 10))
    either = OrTrigger([first, second])
    kept = on_business_days(either)
    both = AndTrigger([kept, once])
    assert list(walk(both)) == [both, kept, either, first, second, once]


def test_own_zone_is_the_triggers_alone() -> None:
    """A date's zone is that of its moment; what only combines others has none."""
    assert own_zone(cron(hour=3)) is own_zone(at(kst(2026, 5, 10))) is KST
    assert own_zone(OrTrigger([cron(hour=3)])) is None
