"""Which leases an attempt may have had, by the calls that gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linear.history import Call, Clocks


class Leases:
    """The leases of one attempt: the one of its claim, and those of its renewals.

    Each counts from a moment between its call and its return. A lease whose answer is unknown may
    have been given at any moment after the call, or never.
    """

    def __init__(self, claims: list[Call], renewals: list[Call], clocks: Clocks) -> None:
        self._offset, self._slack = clocks
        sure = [call for call in (*claims, *renewals) if call.is_known]
        # Of several claims that were asked for again, nobody knows which one gave a lease.
        self._sure = sure if len(claims) > 1 else [*claims, *(c for c in sure if c not in claims)]
        self._all = [*claims, *renewals]

    def surely_given(self) -> Iterator[tuple[Call, float]]:
        """Yield each call that gave a lease, and the first moment at which that can be over."""
        for call in self._sure:
            yield call, call.called + call.lease - self._slack

    def may_hold(self, called: float, returned: float) -> bool:
        """Return whether a lease may hold at some moment of a call."""
        return any(
            each.called <= returned and each.returned + each.lease + self._slack >= called
            for each in self._all
        )

    def may_be_over(self, called: float, returned: float) -> bool:
        """Return whether each lease given before a call may be over in it."""
        return all(over <= returned for each, over in self.surely_given() if each.returned < called)

    def can_be_over(self, lease: float, by: float) -> bool:
        """Return whether a lease that a call saw can be over by a moment."""
        return self._moment(lease) - self._slack <= by

    def can_hold(self, lease: float, at: float) -> bool:
        """Return whether a lease that a call saw can hold at a moment."""
        return self._moment(lease) + self._slack >= at

    def can_be_last(self, lease: float) -> bool:
        """Return whether a lease that a call saw can be over as late as each that was given."""
        return all(over <= self._moment(lease) + self._slack for _, over in self.surely_given())

    def can_be_seen(self, lease: float, called: float, returned: float) -> bool:
        """Return whether a call can see a lease: it was given, and none came surely after it."""
        before = [each.called for each in self._sure if each.returned < called]
        current = max(before, default=float("-inf"))
        return any(
            each.called <= returned and each.returned >= current and self._may_be(each, lease)
            for each in self._all
        )

    def may_have_changed(self, lease: float, by: float) -> bool:
        """Return whether another lease may have come after one that was seen, by a moment.

        The call that gave the one that was seen is among those that may have.
        """
        later = [
            each
            for each in self._all
            if each.called <= by and each.returned + each.lease + self._slack >= self._moment(lease)
        ]
        return len(later) > 1

    def _may_be(self, call: Call, lease: float) -> bool:
        given = self._moment(lease) - call.lease
        return call.called - self._slack <= given <= call.returned + self._slack

    def _moment(self, lease: float) -> float:
        """Return the moment of the monotonic clock for one of the ledger's."""
        return lease - self._offset
