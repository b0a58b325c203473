from __future__ import annotations

import asyncio
import importlib
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest

from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from pathlib import Path

seen: set[str] = set()
count = 0
lock = asyncio.Lock()
LIMIT = 300


def _remembers(scheduler: Any) -> None:
    seen.add(scheduler)


def _counts(_scheduler: Any) -> None:
    def job() -> None:
        global count  # noqa: PLW0603 - what is refused
        count += 1

    job()


def _through_another(scheduler: Any) -> None:
    _remembers(scheduler)


def _by_default(scheduler: Any, known: list[Any] = []) -> None:  # noqa: B006 - what is refused
    known.append(scheduler)


def _closing_over() -> Any:
    known: dict[str, int] = {}

    def register(scheduler: Any) -> None:
        known[scheduler] = 1

    return register


async def _locks(_scheduler: Any) -> None:
    async with lock:
        pass


def _itself(function: Any) -> Any:
    @wraps(function)
    def register(scheduler: Any) -> None:
        function(scheduler)

    return register


class _Guard:
    known: set[str] = set()  # noqa: RUF012 - what is refused

    def __init__(self) -> None:
        self.done: set[str] = set()

    def __call__(self, scheduler: Any) -> None:
        self.done.add(scheduler)

    def remember(self, scheduler: Any) -> None:
        self.known.add(scheduler)


guard = _Guard()


def _through_an_object(scheduler: Any) -> None:
    guard(scheduler)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (_Guard(), "`done`"),
        (_Guard().remember, "`known`"),
        (_through_an_object, "`done`"),
        (partial(_remembers), "`seen`"),
        (_remembers, "`seen`"),
        (_counts, "`count`"),
        (_through_another, "`seen`"),
        (_by_default, "a default argument"),
        (_closing_over(), "`known`"),
        (_itself(_remembers), "`seen`"),
    ],
)
def test_what_replicas_would_share_is_refused_and_put_back(answer: Any, name: str) -> None:
    """Globals, also of functions that are called, defaults, closures, and attributes of objects."""
    with pytest.raises(NotYetError, match=f"keeps something in {name}"):  # noqa: SIM117
        with each_replica_for_itself(answer):
            answer("A")
    assert (seen, count) == (set(), 0)
    with each_replica_for_itself(answer):
        pass


def test_a_lock_within_the_process_is_refused_though_it_is_free_again() -> None:
    """It leaves no trace that could be compared."""
    with pytest.raises(NotYetError, match="`lock`"), each_replica_for_itself(_locks):
        asyncio.run(_locks("A"))


def test_it_is_put_back_when_the_answer_raises() -> None:
    """The error stays the one that is raised."""

    def fails(scheduler: Any) -> None:
        seen.add(scheduler)
        raise LookupError

    with pytest.raises(LookupError), each_replica_for_itself(fails):
        fails("A")
    assert seen == set()


def test_what_stays_the_same_is_fine() -> None:
    """Constants may be read, what is made for each scheduler changed, and what is allowed."""

    def register(scheduler: Any) -> None:
        own = [scheduler, LIMIT]
        own.append(1)

    with each_replica_for_itself(register):
        register("A")
    with each_replica_for_itself(_remembers, allowed=("`seen`",)):
        _remembers("A")
    seen.clear()


def test_what_a_module_has_for_others_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what the answer names there counts."""
    (tmp_path / "my_helpers.py").write_text(
        "import threading\nlock, seen = threading.Lock(), []\ndef note(each): seen.append(each)\n"
        "def locked():\n  with lock: pass"
    )
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"helpers": importlib.import_module("my_helpers")}
    exec("def good(): helpers\ndef bad(): helpers.note(1)", names)  # noqa: S102 - a notebook's
    with each_replica_for_itself(names["good"]):
        names["helpers"].note(0)
    with pytest.raises(NotYetError, match="`seen`"), each_replica_for_itself(names["bad"]):
        names["bad"]()
    assert names["helpers"].seen == [0]


def test_anything_can_be_looked_at() -> None:
    """Also what is no function."""
    for answer in (None, 5, print, partial(print), lock, object):
        with each_replica_for_itself(answer):
            pass
