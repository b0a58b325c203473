"""One family of errors: each message names the value, what is wrong, and what to write instead."""

from __future__ import annotations


class KSTSchedulerError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidArgumentError(KSTSchedulerError, ValueError):
    """Raised when an argument has the wrong value; the message says what to write instead."""


class NaiveDatetimeError(InvalidArgumentError):
    """Raised when a datetime has no zone, or a zone that pytz has not resolved."""


class TimezoneError(InvalidArgumentError):
    """Raised when a zone is unknown, or is not the one that the scheduler keeps."""
