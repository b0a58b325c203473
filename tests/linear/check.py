"""Check whether the calls about a row are linearizable: as if each took effect at one moment.

For calls of any kind that question takes exponential time (Wing and Gong 1993; Gibbons and Korach
1997). A row of the ledger is an easier object: a compare-and-set register. Its *versions* follow
each other in one order that the answers name::

    nothing  ->  attempt 1 runs  ->  it ended as error  ->  attempt 2 runs  ->  attempt 3 runs ...

Each claim has an instance of its own, and each outcome a time of its own, so an answer says which
version it saw or wrote. What is left to find is a moment for each version's write. The answers
bound it: a version that a call saw was written before the call returned, and the next one after it
was called. So the moments exist if, and only if, taking each write as early as possible breaks no
upper bound: one pass over the calls and one over the versions. Rows are independent of each other
(linearizability is local: Herlihy and Wing 1990), as each belongs to a job of its own.

A call whose answer is unknown bounds nothing. It may have written a version that others saw, at any
moment after it was made.

Leases are not versions, but intervals of time. A lease counts from a moment within the call that
gave it. That moment can be earlier than the one at which the call takes effect, as a database reads
its clock before it commits. So an answer that depends on a lease is compared with the widest bounds
that the calls leave: a takeover or a close is wrong if a lease that was surely given before cannot
be over when it returns; a refusal is wrong if every lease that may have been given is over when it
is called. Each of these is judged alone. So a legal history is never refused. An illegal one can be
accepted if two of its answers contradict each other by less than the duration of a call.

Where the answers do not decide, the ledger is believed:
  - which call took effect, if one claim was asked for again;
  - who claimed an attempt that no answer names;
  - how an attempt ended, if no answer says so and an unknown call may have ended it.
The row keeps notes of its attempts, so a look at it after all calls answers the last two.

Not checked: the notes of earlier attempts in a running row, the attempt of a missed row, and that a
claim that is asked for again, after its lease was over, gets its former attempt; nor, where an
unknown call may have ended an attempt, that no renewal is granted after one was refused. A claim
that is answered by no attempt stops the check with an error.

A call must not name an attempt before the answer to its claim, or to a look, has come.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from linear.history import Clocks, Locked, Seen
from linear.leases import Leases

if TYPE_CHECKING:
    from linear.history import Call, History

_NOTE = re.compile(r"attempt (\d+) on (\S+) (?:lost its lease|ended as (ok|error|cancelled)\b)")
"""What a claim leaves in a row's error of the attempt before it (claiming.py)."""
_RETRIED = {"error", "cancelled"}
"""After these a claim that is a retry may have the row."""


class NotLinearizableError(AssertionError):
    """No order of the calls gives the answers that they got."""


def check(history: History) -> list[str]:
    """Return what is wrong with each row whose calls are not linearizable, in words."""
    clocks = Clocks.of(history.readings)
    faults = []
    for row, calls in history.rows.items():
        try:
            check_row(calls, clocks)
        except NotLinearizableError as error:
            faults.append(f"row {row}: {error}")
    return faults


def check_row(calls: list[Call], clocks: Clocks) -> None:
    """Check the calls about one row.

    Raises:
        NotLinearizableError: they are not linearizable; it says which answers contradict.

    """
    _Bounds(calls, _Facts(calls), clocks).find_moments()


def _require(condition: object, message: str) -> None:
    if not condition:
        raise NotLinearizableError(message)


class _End(NamedTuple):
    """How an attempt ended."""

    status: str
    finished: float | None
    """None where only a note or a refusal tells of it."""


class _Facts:
    """What the answers say of the order of versions, whenever these were written."""

    def __init__(self, calls: list[Call]) -> None:
        self.holders: dict[int, str] = {}
        """Of each attempt that a call saw, the instance of its claim."""
        self.ends: dict[int, _End] = {}
        self.lost: set[int] = set()
        """Attempts that were taken over while they ran."""
        self.missed: str | None = None
        """Who wrote the row as missed."""
        self.last = 0
        """The last attempt that a call saw."""
        known = [call for call in calls if call.is_known]
        for call in known:
            self._learn(call)
        refusals = [call.answer for call in known if isinstance(call.answer, Locked)]
        self._place_the_unseen({each.holder for each in refusals if each.status != "missed"})
        for answer in refusals:
            self._learn_from_refusal(answer)
        _require(not (self.missed and self.last), "it was written as missed, and it was claimed")

    def attempts_of(self, holder: str) -> list[int]:
        """Return the attempts that one claim has held: several, if it was asked for again."""
        return [attempt for attempt, each in self.holders.items() if each == holder]

    def _learn(self, call: Call) -> None:
        if call.kind == "claim" and not isinstance(call.answer, Locked):
            self._hold(call.answer, call.holder)
        elif call.kind == "renew" and call.answer:
            self._hold(call.attempt, call.holder)
        elif call.kind == "finish" and call.answer:
            self._hold(call.attempt, call.holder)
            self._end(call.attempt, call.status, call.finished)
        elif isinstance(call.answer, Seen):
            self._see(call.answer)

    def _place_the_unseen(self, refusing: set[str]) -> None:
        """Give one claim that only refusals name the one attempt that it can have: the last."""
        unseen = refusing - set(self.holders.values())
        if len(unseen) == 1 and len(self.holders) == self.last:
            self._hold(self.last + 1, *unseen)

    def _learn_from_refusal(self, answer: Locked) -> None:
        """Note what a refused claim saw: it names the holder, and not the attempt."""
        attempts = self.attempts_of(answer.holder)
        if answer.status == "missed":
            self._miss(answer.holder)
        elif answer.status != "running" and len(attempts) == 1:
            self._end(attempts[0], answer.status, None)

    def _see(self, row: Seen) -> None:
        """Note what a row tells, also of the attempts before its own."""
        _require((row.status == "running") == (row.lease is not None), f"a lease is wrong: {row}")
        if row.status == "missed":
            self._miss(row.holder)
            return
        self._hold(row.attempt, row.holder)
        if row.status != "running":
            self._end(row.attempt, row.status, row.finished)
        for number, holder, status in _NOTE.findall(row.error):
            self._hold(int(number), holder)
            if status:
                self._end(int(number), status, None)
            else:
                self.lost.add(int(number))

    def _hold(self, attempt: int, holder: str) -> None:
        self.last = max(self.last, attempt)
        known = self.holders.setdefault(attempt, holder)
        _require(known == holder, f"attempt {attempt} is held by {known} and by {holder}")

    def _end(self, attempt: int, status: str, finished: float | None) -> None:
        self.last = max(self.last, attempt)
        known = self.ends.setdefault(attempt, _End(status, finished))
        if known.finished is None:
            known = self.ends[attempt] = known._replace(finished=finished)
        is_same = known.status == status and finished in {None, known.finished}
        end = _End(status, finished)
        _require(is_same, f"attempt {attempt} ended twice: as {known} and as {end}")

    def _miss(self, who: str) -> None:
        self.missed = self.missed or who
        _require(self.missed == who, f"it was written as missed by {self.missed} and by {who}")


@dataclass
class _Version:
    """A state of the row, and the bounds of the moment at which it was written."""

    what: str
    earliest: float
    latest: float = math.inf
    after: str = ""
    """The call that bounds the moment from below."""
    before: str = ""

    def bound(self, *, earliest: float = -math.inf, latest: float = math.inf, by: Call) -> None:
        """Narrow the bounds."""
        if earliest > self.earliest:
            self.earliest, self.after = earliest, by.name
        if latest < self.latest:
            self.latest, self.before = latest, by.name


class _Bounds:
    """The versions of a row in their order, and what the calls say of their moments."""

    def __init__(self, calls: list[Call], facts: _Facts, clocks: Clocks) -> None:
        self._facts = facts
        self._versions: list[_Version] = []
        self._running: dict[int, int] = {}
        """The place among the versions at which each attempt runs."""
        self._ended: dict[int, int] = {}
        self._by_kind: dict[tuple[str, int], list[Call]] = defaultdict(list)
        """Calls that took effect or may have, by their kind and attempt."""
        self._claims: dict[str, list[Call]] = defaultdict(list)
        """Claims that took effect or may have, by their instance."""
        for call in calls:
            if call.kind == "claim" and not isinstance(call.answer, Locked):
                self._claims[call.holder].append(call)
            elif call.answer or not call.is_known:
                self._by_kind[call.kind, call.attempt].append(call)
        self._leases = {
            attempt: Leases(self._claimed(attempt), self._by_kind["renew", attempt], clocks)
            for attempt in range(1, facts.last + 1)
        }
        self._add_versions()
        for call in calls:
            if call.is_known:
                getattr(self, f"_bound_by_{call.kind}")(call)

    def find_moments(self) -> None:
        """Take each write as early as possible; no later choice satisfies an upper bound better."""
        moment, after = -math.inf, ""
        for version in self._versions:
            if version.earliest > moment:
                moment, after = version.earliest, version.after
            _require(
                moment <= version.latest,
                f"{version.what} by {version.latest:.6f} ({version.before}) and not before "
                f"{moment:.6f} ({after})",
            )

    # The versions, and which calls may have written them

    def _add_versions(self) -> None:
        if self._facts.missed:
            writers = self._by_kind["miss", 0]
            self._add("it was missed", [c for c in writers if c.holder == self._facts.missed])
        unseen = self._facts.last - len(self._facts.holders)
        _require(unseen <= len(self._free_claims()), f"nobody can have claimed {unseen} attempts")
        for attempt in range(1, self._facts.last + 1):
            self._add_claim(attempt)
            if attempt in self._facts.ends:
                self._add_end(attempt)
        self._add_unseen()

    def _add(self, what: str, writers: list[Call]) -> _Version:
        _require(writers, f"{what}, and no call can have written that")
        first = min(writers, key=lambda call: call.called)
        version = _Version(what, first.called, after=first.name)
        self._versions.append(version)
        return version

    def _claimed(self, attempt: int) -> list[Call]:
        """Return the claims that may have got an attempt."""
        holder = self._facts.holders.get(attempt)
        calls = self._claims[holder] if holder else self._free_claims()
        return [call for call in calls if not call.is_known or call.answer == attempt]

    def _free_claims(self) -> list[Call]:
        """Return the claims that may have got an attempt that nobody saw."""
        return [
            call
            for holder, calls in self._claims.items()
            if len(calls) > len(self._facts.attempts_of(holder))
            for call in calls
            if not call.is_known
        ]

    def _add_claim(self, attempt: int) -> None:
        writers = self._claimed(attempt)
        before = self._facts.ends.get(attempt - 1)
        is_taken = attempt > 1 and not before and not self._may_have_ended(attempt - 1)
        if before and before.status != "skipped":
            _require(before.status in _RETRIED, f"attempt {attempt} came after {before}")
            writers = [call for call in writers if call.retry]
        if is_taken:
            writers = [call for call in writers if call.take_over]
        self._running[attempt] = len(self._versions)
        version = self._add(f"attempt {attempt} was claimed", writers)
        if is_taken:
            for call, over in self._leases[attempt - 1].surely_given():
                version.bound(earliest=over, by=call)

    def _may_have_ended(self, attempt: int, by: float = math.inf) -> bool:
        """Return whether an attempt whose end nobody saw may have ended, by an unknown call."""
        if attempt in self._facts.lost or attempt in self._facts.ends:
            return False
        calls = self._by_kind["finish", attempt] + self._by_kind["close", attempt]
        return any(call.called <= by for call in calls)

    def _add_end(self, attempt: int) -> None:
        end = self._facts.ends[attempt]
        _require(attempt not in self._facts.lost, f"attempt {attempt} ended, and was taken over")
        finishes = [
            call
            for call in self._by_kind["finish", attempt]
            if call.status == end.status and end.finished in {None, call.finished}
        ]
        closes = [
            call
            for call in self._by_kind["close", attempt]
            if end.status == "error" and end.finished in {None, call.lease}
        ]
        closes = [call for call in closes if self._leases[attempt].can_be_last(call.lease)]
        done = [call for call in self._by_kind["close", attempt] if call.is_known]
        _require(len(done) <= 1, f"attempt {attempt} was closed by {len(done)} calls")
        self._ended[attempt] = len(self._versions)
        writers = [call for call in closes if call.is_known] if done else [*finishes, *closes]
        self._add(f"attempt {attempt} ended as {end.status}", writers)
        outcomes = {call.finished for call in writers}
        if len(outcomes) == 1 and not closes:  # a note tells no outcome, but only one is possible
            self._facts.ends[attempt] = _End(end.status, *outcomes)

    def _add_unseen(self) -> None:
        """Add a last version where an unknown call may have written one that nobody saw."""
        last = self._facts.last
        end = self._facts.ends.get(last)
        claims = self._free_claims()
        writers: list[Call] = []
        if not self._versions:
            writers = claims + self._by_kind["miss", 0]
        elif last and not end:
            writers = self._by_kind["finish", last] + self._by_kind["close", last]
            writers += [call for call in claims if call.take_over]
        elif end and end.status in _RETRIED:
            writers = [call for call in claims if call.retry]
        if writers:
            self._add("it was written by an unknown call", writers)

    # What each kind of call says of the moments

    def _saw(self, first: int, call: Call, last: int | None = None) -> None:
        """Note that a call saw one of these versions; without ``last`` the first one."""
        self._versions[first].bound(latest=call.returned, by=call)
        after = (first if last is None else last) + 1
        if after < len(self._versions):
            self._versions[after].bound(earliest=call.called, by=call)

    def _came_after(self, place: int, what: str, call: Call) -> None:
        """Note that a call came after a version: the one that follows it was written by then."""
        is_last = call.attempt == self._facts.last  # then the last version stands for its end
        if not is_last and self._may_have_ended(call.attempt, call.returned):
            return
        _require(place + 1 < len(self._versions), f"{call.name} {what}")
        self._versions[place + 1].bound(latest=call.returned, by=call)

    def _bound_by_claim(self, call: Call) -> None:
        if isinstance(call.answer, Locked):
            self._bound_by_refusal(call, call.answer)
        else:
            self._saw(self._running[call.answer], call)

    def _bound_by_refusal(self, call: Call, answer: Locked) -> None:
        wrong = (
            answer.status == "skipped"
            or (answer.status in _RETRIED and call.retry)
            or (answer.is_over and call.take_over)
            or (answer.status == "running" and answer.holder == call.holder)
        )
        _require(not wrong, f"{call.name} was refused by {answer}")
        if answer.status == "missed":
            self._saw(0, call)
            return
        attempts = self._facts.attempts_of(answer.holder)
        places = self._running if answer.status == "running" else self._ended
        seen = [places[attempt] for attempt in attempts if attempt in places]
        if not seen:
            told = f"{call.name} was refused by {answer}, who claimed nothing"
            _require(self._claims[answer.holder], told)
            return
        self._saw(min(seen), call, max(seen))
        if answer.status == "running":
            leases = [self._leases[attempt] for attempt in attempts]
            may = Leases.may_be_over if answer.is_over else Leases.may_hold
            _require(
                any(may(each, call.called, call.returned) for each in leases),
                f"{call.name} was refused by {answer}, whose lease tells the opposite",
            )

    def _bound_by_renew(self, call: Call) -> None:
        if call.answer:
            self._saw(self._running[call.attempt], call)
        elif call.attempt in self._running:
            what = f"renewed no attempt {call.attempt}, which runs"
            self._came_after(self._running[call.attempt], what, call)

    def _bound_by_finish(self, call: Call) -> None:
        attempt = call.attempt
        place = self._running.get(attempt)
        if call.answer:
            self._saw(self._ended[attempt], call)
        if call.answer or place is None:
            return
        if self._facts.ends.get(attempt) == (call.status, call.finished):
            place = self._ended[attempt]
        self._came_after(place, f"finished no attempt {attempt}, which runs or ended so", call)

    def _bound_by_miss(self, call: Call) -> None:
        if call.answer:
            _require(call.answer.holder == call.holder, f"{call.name} wrote {call.answer}")
            self._saw(0, call)
        else:
            self._came_after(-1, "wrote no row, and there was none", call)

    def _bound_by_look(self, call: Call) -> None:
        row: Seen | None = call.answer
        if row is None:
            self._saw_nothing(call)
        elif row.status == "missed":
            self._saw(0, call)
        elif row.lease is None:
            self._saw(self._ended[row.attempt], call)
        else:
            self._saw(self._running[row.attempt], call)
            can = self._leases[row.attempt].can_be_seen(row.lease, call.called, call.returned)
            _require(can, f"{call.name} saw a lease that was not given, or not the last: {row}")

    def _saw_nothing(self, call: Call) -> None:
        if self._versions:
            self._versions[0].bound(earliest=call.called, by=call)

    def _bound_by_close(self, call: Call) -> None:
        attempt = call.attempt
        if attempt not in self._running:
            _require(not call.answer, f"{call.name} closed attempt {attempt}, which nobody claimed")
            return
        leases, place = self._leases[attempt], self._running[attempt]
        if call.answer:
            is_same = call.answer.attempt == attempt and call.answer.finished == call.lease
            _require(is_same, f"{call.name} closed {call.answer}")
            self._saw(self._ended[attempt], call)
            can = leases.can_be_over(call.lease, call.returned)
            _require(can, f"{call.name} closed attempt {attempt}, whose lease holds")
        elif not (
            leases.can_hold(call.lease, call.called)
            or leases.may_have_changed(call.lease, call.returned)
        ):
            what = f"closed no attempt {attempt}, which runs and whose lease is over"
            self._came_after(place, what, call)
