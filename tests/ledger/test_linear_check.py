from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linear.check import NotLinearizableError, check_row
from linear.history import RESOLUTION, Call, Clocks, History, Locked, Notes, Seen
from linear.model import Row

if TYPE_CHECKING:
    from collections.abc import Callable

LEASE = 10.0
EXACT = Clocks(0, 0)
ANY_LEASE = Clocks(0, 1e9)
"""As if the ledger's clock might show anything, so that no answer contradicts a lease."""


def is_legal(calls: list[Call], clocks: Clocks = EXACT) -> bool:
    """Return whether the calls about one row are linearizable."""
    try:
        check_row(calls, clocks)
    except NotLinearizableError:
        return False
    return True


# Histories by hand. Each call is made and answered at the times that stand first.


def claim(called: float, returned: float, who: str, answer: Any, **asked: Any) -> Call:
    """Return a claim with a lease of ten seconds."""
    return Call(f"{who}.claim", "r", "claim", called, returned, answer, who, lease=LEASE, **asked)


def renew(called: float, returned: float, who: str, attempt: int, answer: bool | None) -> Call:
    """Return a renewal for ten seconds."""
    return Call(f"{who}.renew", "r", "renew", called, returned, answer, who, attempt, LEASE)


def finish(
    called: float,
    returned: float,
    who: str,
    attempt: int,
    answer: bool | None,
    status: str = "error",
) -> Call:
    """Return the end of a run; each claim has one outcome."""
    call = Call(f"{who}.finish", "r", "finish", called, returned, answer, who, attempt)
    call.status, call.finished = status, float(attempt)
    return call


def look(called: float, returned: float, answer: Seen | None) -> Call:
    """Return a look at the row."""
    return Call("look", "r", "look", called, returned, answer)


def close(called: float, returned: float, attempt: int, lease: float, answer: Seen | None) -> Call:
    """Return an attempt to close a row whose lease was seen to end so."""
    return Call("close", "r", "close", called, returned, answer, "", attempt, lease)


def miss(called: float, returned: float, who: str, *, is_written: bool) -> Call:
    """Return a write of the row as missed."""
    answer = Seen(0, who, "missed", None, None, "") if is_written else None
    return Call(f"{who}.miss", "r", "miss", called, returned, answer, who)


def closed(who: str, attempt: int, lease: float) -> Seen:
    """Return a row that was closed."""
    return Seen(attempt, who, "error", None, lease, "closed")


NEVER = math.inf
BY_A = Locked("A", "running", is_over=False)
A_RUNS = claim(0, 1, "A", 1)
LEGAL = {
    "nothing": [],
    "a whole run": [A_RUNS, renew(3, 4, "A", 1, True), finish(5, 6, "A", 1, True)],
    "one is locked out": [A_RUNS, claim(0, 1, "B", BY_A)],
    "a takeover after the lease": [A_RUNS, claim(10, 11, "B", 2), renew(12, 13, "A", 1, False)],
    "a takeover that may be late enough": [claim(0, 5, "A", 1), claim(9, 10, "B", 2)],
    "a renewal before a takeover that overlaps it": [
        A_RUNS,
        renew(2, 30, "A", 1, True),
        claim(12, 20, "B", 2),
    ],
    "a lost claim that others see": [
        claim(0, NEVER, "A", None),
        claim(5, 6, "B", BY_A),
        claim(20, 21, "C", 2),
    ],
    "a lost claim that comes late": [
        claim(0, NEVER, "A", None),
        look(5, 6, None),
        claim(7, 8, "B", BY_A),
    ],
    "a claim that is asked for again": [
        claim(0, NEVER, "A", None),
        claim(2, 3, "A", 1),
        claim(11, 11.5, "B", BY_A),
    ],
    "a lost end, and a retry": [
        A_RUNS,
        finish(2, NEVER, "A", 1, None),
        claim(3, 4, "B", 2, retry=True),
    ],
    "an end that is written again": [
        A_RUNS,
        finish(2, NEVER, "A", 1, None),
        finish(3, 4, "A", 1, True),
    ],
    "missed once": [miss(0, 1, "A", is_written=True), miss(0, 1, "B", is_written=False)],
    "closed": [A_RUNS, close(11, 12, 1, 11, closed("A", 1, 11)), finish(13, 14, "A", 1, False)],
    "not closed, as it was renewed": [
        A_RUNS,
        renew(5, 6, "A", 1, True),
        close(12, 13, 1, 10.5, None),
    ],
    "not closed, as its lease holds": [A_RUNS, close(5, 6, 1, 10.5, None)],
    "a renewal that is late, and nobody was quicker": [A_RUNS, renew(50, 51, "A", 1, True)],
}
ILLEGAL = {
    "two claim the first attempt": [A_RUNS, claim(0, 1, "B", 1)],
    "locked out by nobody": [claim(0, 1, "B", BY_A)],
    "locked out by one who has ended": [
        A_RUNS, finish(2, 3, "A", 1, True), claim(4, 5, "B", BY_A)
    ],
    "locked out by a lease that is over": [A_RUNS, claim(11.5, 12, "B", BY_A)],
    "a takeover before the lease is over": [A_RUNS, claim(8, 9.5, "B", 2)],
    "a takeover although it was renewed": [
        A_RUNS, renew(5, 6, "A", 1, True), claim(11, 12, "B", 2)
    ],
    "a retry that is none": [A_RUNS, finish(2, 3, "A", 1, True), claim(4, 5, "B", 2)],
    "a retry of what is done": [
        A_RUNS, finish(2, 3, "A", 1, True, "ok"), claim(4, 5, "B", 2, retry=True)
    ],
    "one who was taken over renews": [
        A_RUNS, claim(12, 13, "B", 2), renew(14, 15, "A", 1, True)
    ],
    "one who was taken over finishes": [
        A_RUNS, claim(12, 13, "B", 2), finish(14, 15, "A", 1, True)
    ],
    "one who holds the row cannot renew": [A_RUNS, renew(2, 3, "A", 1, False)],
    "one who holds the row cannot finish": [A_RUNS, finish(2, 3, "A", 1, False)],
    "an end that is forgotten": [
        A_RUNS, finish(2, 3, "A", 1, True), look(4, 5, Seen(1, "A", "running", 10.5, None, ""))
    ],
    "a renewal that is forgotten": [
        A_RUNS, renew(5, 6, "A", 1, True), look(7, 8, Seen(1, "A", "running", 10.5, None, ""))
    ],
    "a lease that nobody gave": [A_RUNS, look(2, 3, Seen(1, "A", "running", 17, None, ""))],
    "a row that vanishes": [A_RUNS, look(2, 3, None)],
    "missed twice": [miss(0, 1, "A", is_written=True), miss(0, 1, "B", is_written=True)],
    "missed although it was claimed": [A_RUNS, miss(2, 3, "B", is_written=True)],
    "not missed although there is no row": [miss(0, 1, "B", is_written=False)],
    "closed while its lease holds": [A_RUNS, close(5, 6, 1, 10.5, closed("A", 1, 10.5))],
    "closed although it was renewed": [
        A_RUNS, renew(5, 6, "A", 1, True), close(12, 13, 1, 10.5, closed("A", 1, 10.5))
    ],
    "closed twice": [
        A_RUNS, *[close(12, 13, 1, 10.5, closed("A", 1, 10.5)) for _ in range(2)]
    ],
    "closed, and finished": [
        A_RUNS, close(12, 13, 1, 10.5, closed("A", 1, 10.5)), finish(12, 13, "A", 1, True)
    ],
    "not closed although its lease is over": [A_RUNS, close(12, 13, 1, 10.5, None)],
    "an attempt that a lost claim cannot have": [
        claim(5, NEVER, "A", None), claim(0, 1, "B", BY_A)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_history_is_accepted(name: str) -> None:
    """By hand, each with a reason of its own."""
    check_row(LEGAL[name], EXACT)


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_history_is_refused(name: str) -> None:
    """By hand, each with one contradiction."""
    with pytest.raises(NotLinearizableError):
        check_row(ILLEGAL[name], EXACT)


# Histories by the model


def orders(calls: list[Call]) -> bool:
    """Search for an order of the calls that the model allows: the definition, and slow.

    A call comes before another that was made after its return. An unknown one may be left out.
    """
    failed: set[tuple[frozenset[int], Row]] = set()

    def search(left: frozenset[int], row: Row) -> bool:
        if all(not calls[each].is_known for each in left):
            return True
        if (left, row) in failed:
            return False
        first_return = min(calls[each].returned for each in left)
        for each in left:
            call = calls[each]
            if call.called > first_return:
                continue
            for answer, after in row.answers(call, None):
                if (not call.is_known or call.answer == answer) and search(left - {each}, after):
                    return True
        failed.add((left, row))
        return False

    return search(frozenset(range(len(calls))), Row())


class Maker:
    """Makes histories of one row by the model, one moment after the other.

    Every call is made at a moment before the one at which it takes effect, and returns after it;
    so they overlap. A renewal, an end or a close comes after the answer that it needs.
    """

    def __init__(self, random: Random, *, width: float, moments: bool) -> None:
        self.random = random
        self.width = width
        """How long a call takes, at most."""
        self.moments = moments
        """Whether leases are over in their time, or whenever the model likes."""
        self.row = Row()
        self.now = 0.0
        self.calls: list[Call] = []
        self.lost: list[Call] = []
        """Claims without an answer, that are asked for again."""

    def make(self, count: int, unknown: float) -> list[Call]:
        """Return so many calls, of which some have no answer."""
        for _ in range(count):
            self.now += self.random.choice([0.5, 1, 2, LEASE])
            self._add(self._next(), unknown)
        return self.calls

    def look_at_the_end(self) -> None:
        """Add a look after all calls that return."""
        end = max([self.now, *(call.returned for call in self.calls if call.is_known)])
        self.calls.append(look(end + 1, end + 2, self.row.seen if self.row.status else None))

    def _next(self) -> Call:
        name = f"{len(self.calls)}"
        held = [call for call in self._answered("claim") if not isinstance(call.answer, Locked)]
        seen = [
            call for call in self._answered("look") if call.answer and call.answer.lease is not None
        ]
        call = Call(
            name, "r", self.random.choice(["claim", "claim", "look", "miss"]), 0, holder=name
        )
        if call.kind == "claim":
            call.lease = LEASE
            call.retry, call.take_over = self.random.random() < 0.7, self.random.random() < 0.9
        if call.kind == "miss" and self.random.random() < 0.7:
            call.kind = "look"
        chosen = self.random.random()
        if held and chosen < 0.6:
            of = self.random.choice(held[-3:])
            kind = self.random.choice(["renew", "renew", "finish"])
            call = Call(name, "r", kind, 0, holder=of.holder, attempt=of.answer)
            if kind == "renew":
                call.lease = LEASE
            else:
                call.status = self.random.choice(["error", "error", "ok", "cancelled"])
                call.finished = 1000.0 + int(of.name) + 0.5 * (call.status == "ok")
        elif seen and chosen < 0.75:
            row = self.random.choice(seen[-2:]).answer
            call = Call(name, "r", "close", 0, holder=name, attempt=row.attempt, lease=row.lease)
        return call

    def _answered(self, kind: str) -> list[Call]:
        return [c for c in self.calls if c.kind == kind and c.is_known and c.returned < self.now]

    def _add(self, call: Call, unknown: float) -> None:
        needed = [c.returned for c in self.calls if c.is_known and c.returned < self.now]
        earliest = max([self.now - self.width, *needed]) if call.attempt else self.now - self.width
        call.called = self.random.uniform(earliest, self.now)
        call.returned = self.random.uniform(self.now, self.now + self.width)
        at = self.now if self.moments else None
        call.answer, after = self.random.choice(list(self.row.answers(call, at)))
        if self.random.random() < unknown:
            call.answer, call.returned = None, NEVER
            if self.random.random() < 0.5:  # it never reached the row
                after = self.row
        self.row = after
        self.calls.append(call)


SEEDS = st.integers(0, 2**32)


@settings(max_examples=300)
@given(SEEDS, st.sampled_from([0.0, 1.0, 8.0]), st.sampled_from([0.0, 0.1, 0.4]))
def test_what_the_model_does_is_accepted(seed: int, width: float, unknown: float) -> None:
    """With leases that are over in their time, calls that overlap, and answers that are lost."""
    random = Random(seed)  # noqa: S311 - no secret
    maker = Maker(random, width=width, moments=True)
    check_row(maker.make(40, unknown), EXACT)


def changed(call: Call, calls: list[Call], random: Random) -> Call:
    """Return the call with another answer, of those that its kind has."""
    others = [each.answer for each in calls if each.kind == call.kind and each.is_known]
    pools: dict[str, list[Any]] = {
        "claim": [1, 2, 3, *others],
        "renew": [True, False],
        "finish": [True, False],
        "miss": [None, Row(0, call.holder, "missed").seen],
        "look": [None, *others],
        "close": [None, *others, closed("A", call.attempt, call.lease)],
    }
    pool = [answer for answer in pools[call.kind] if answer != call.answer]
    return replace(call, answer=random.choice(pool)) if pool else call


@settings(max_examples=300)
@given(SEEDS)
def test_a_changed_answer_is_refused(seed: int) -> None:
    """Where no calls overlap, each answer is the only one that the row could give."""
    random = Random(seed)  # noqa: S311 - no secret
    calls = Maker(random, width=0, moments=True).make(12, 0)
    place = random.randrange(len(calls))
    before = calls[place]
    calls[place] = changed(before, calls, random)
    assert is_legal(calls) == (calls[place] == before)


@settings(max_examples=1_000)
@given(SEEDS, st.sampled_from([0.0, 0.2]))
def test_it_agrees_with_a_search_of_all_orders(seed: int, unknown: float) -> None:
    """Where leases say nothing: it accepts a history if, and only if, the model has an order."""
    random = Random(seed)  # noqa: S311 - no secret
    maker = Maker(random, width=random.choice([1.0, 3.0]), moments=False)
    calls = maker.make(7, unknown)
    known = [place for place, call in enumerate(calls) if call.is_known]
    maker.look_at_the_end()
    if known and random.random() < 0.7:
        place = random.choice(known)
        calls[place] = changed(calls[place], calls, random)
    assert is_legal(calls, ANY_LEASE) == orders(calls)


# Notes


def noted(write: Callable[[Notes], object]) -> list[bytes]:
    """Return the lines that a process notes."""
    lines: list[bytes] = []
    write(Notes(lines.append, "p1"))
    return lines


def call_and_answer(notes: Notes) -> None:
    """Note a claim that is answered, one that is refused, a look, and one without an answer."""
    asked = {"holder": "p1.1", "lease": 0.5}
    notes.answer(notes.call("r", "claim", asked), 1)
    notes.answer(notes.call("r", "claim", asked), ["p1.1", "running", False])
    notes.answer(notes.call("s", "look", {}), Seen(1, "p1.1", "running", 5.5, None, ""))
    notes.call("r", "renew", {"holder": "p1.1", "attempt": 1})


def test_notes_become_calls() -> None:
    """With names of their own, by the row that they are about; what has no answer is unknown."""
    history = History()
    history.add(noted(call_and_answer), "p1")
    assert [call.name for call in history.rows["r"]] == ["p1.1", "p1.2", "p1.4"]
    first, second, third = history.rows["r"]
    assert (first.answer, second.answer) == (1, Locked("p1.1", "running", is_over=False))
    assert first.called <= first.returned < NEVER
    assert (third.is_known, third.attempt, third.holder) == (False, 1, "p1.1")
    (look_at_s,) = history.rows["s"]
    assert look_at_s.answer == Seen(1, "p1.1", "running", 5.5, None, "")


def test_a_note_that_was_cut_is_no_note() -> None:
    """The process was killed before its line was whole: no statement came after that."""
    lines = noted(call_and_answer)
    history = History()
    history.add([*lines[:-1], lines[-1][:-1]], "p1")
    assert [call.is_known for call in history.calls] == [True, True, True]


def test_a_clock_that_was_moved_widens_every_bound() -> None:
    """It was set ahead by two seconds between two answers."""
    clocks = Clocks.of([(1, 101, 1), (2, 102, 2), (3, 105, 3)])
    assert clocks == (101, 2 + RESOLUTION)
    assert Clocks.of([(1, 101, 1.5), (2, 102.25, 2.5)]) == (99.875, 0.25 + RESOLUTION)
