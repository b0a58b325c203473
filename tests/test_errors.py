import pytest

from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    NaiveDatetimeError,
    TimezoneError,
)


@pytest.mark.parametrize("error", [InvalidArgumentError, NaiveDatetimeError, TimezoneError])
def test_one_except_clause_catches_the_whole_family(error: type[Exception]) -> None:
    """Every error for bad input is a KSTSchedulerError, and a ValueError as Python has it."""
    assert issubclass(error, KSTSchedulerError)
    assert issubclass(error, ValueError)


def test_naive_datetimes_and_zones_can_be_caught_apart() -> None:
    """A naive datetime and a wrong zone are both invalid arguments, and not each other."""
    assert issubclass(NaiveDatetimeError, InvalidArgumentError)
    assert issubclass(TimezoneError, InvalidArgumentError)
    assert not issubclass(NaiveDatetimeError, TimezoneError)
