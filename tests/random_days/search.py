"""Play the day of a number, and shrink it when something does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, reject, seed, settings

from kst_scheduler.ledger import MemoryLedger
from random_days.invariants import faults
from random_days.play import play
from random_days.strategies import KINDS_OF_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from random_days.plan import Day
    from random_days.play import Story


@dataclass
class Failure:
    """A day on which something did not hold."""

    number: int
    story: Story
    faults: list[str]


class BrokenDayError(AssertionError):
    """Raised for a day on which something did not hold, for hypothesis to shrink it."""


def search(
    number: int,
    kind: type[MemoryLedger] = MemoryLedger,
    *,
    days: str = "all faults",
    shrink: bool = True,
    seen: Callable[[Story], object] = lambda _story: None,
) -> Failure | None:
    """Play the day that a number stands for; return the simplest day that fails, if it does.

    Hypothesis begins with the simplest day of all, which is passed over: a number is one day.

    Args:
        number: of the day; the same number is the same day.
        kind: a ledger, perhaps without one of its safeguards.
        days: a kind of ``KINDS_OF_DAYS``.
        shrink: whether to look for the simplest day that fails; that takes a minute.
        seen: called with each day that was played.

    """
    failures: list[Failure] = []
    is_simplest = True
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]

    @seed(number)
    @settings(
        max_examples=1,
        database=None,
        deadline=None,
        derandomize=False,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(day=KINDS_OF_DAYS[days])
    def test(day: Day) -> None:
        nonlocal is_simplest
        if is_simplest:
            is_simplest = False
            reject()
        story = play(day, kind)
        seen(story)
        if found := faults(story):
            failures.append(Failure(number, story, found))
            raise BrokenDayError(found[0])

    try:
        test()
    except BrokenDayError:
        return failures[-1]
    return None
