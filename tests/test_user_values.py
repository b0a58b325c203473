from __future__ import annotations

import itertools
import math
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import pytest

from kst_scheduler.user_values import MAX_CHARACTERS, describe, integer_of, is_a, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILURES = [RuntimeError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()]


def raiser(failure: BaseException) -> Any:
    """Return a method that raises."""

    def method(*_arguments: object) -> NoReturn:
        raise failure

    return method


class LongError(Exception):
    """An error whose text is long."""

    def __str__(self) -> str:
        return "x" * 5_000_000

    __repr__ = __str__


class SliceLiar(str):
    """A text that cannot be cut."""

    __slots__ = ()

    def __getitem__(self, _key: object) -> NoReturn:
        raise RuntimeError

    def __len__(self) -> int:
        return 0


@dataclass
class Counted:
    """A result with a field ``rows``."""

    rows: object


@dataclass(slots=True)
class Slotted:
    """The same in slots."""

    rows: object


class Pair(NamedTuple):
    """The same in a tuple."""

    rows: int


class Hostile:
    """A result each of whose methods would block for a day."""

    def __getattribute__(self, _name: str) -> NoReturn:
        time.sleep(86_400)
        raise AssertionError

    __int__ = __index__ = __float__ = __repr__ = __str__ = __eq__ = __hash__ = __bool__ = raiser(
        AssertionError()
    )

    @property
    def rows(self) -> NoReturn:
        """Block."""
        time.sleep(86_400)
        raise AssertionError


class HostileInt(int):
    """An integer whose methods raise."""

    __index__ = __int__ = __lt__ = __le__ = __eq__ = __hash__ = raiser(AssertionError())


@pytest.mark.parametrize("failure", FAILURES, ids=type)
@pytest.mark.parametrize("name", ["__str__", "__repr__"])
def test_an_error_that_cannot_be_shown_is_named(name: str, failure: BaseException) -> None:
    """Whatever its method raises: nothing leaves the function."""
    error = type("OddError", (Exception,), {name: raiser(failure)})("page 7")
    shown = text_of(error) if name == "__str__" else describe(error)
    assert shown == f"OddError, which cannot be shown: {type(failure).__name__}"


def test_what_an_error_holds_may_not_be_shown_either() -> None:
    """Its arguments are shown with it; and Python itself refuses an int of 5,000 digits."""
    argument = type("Argument", (), {"__repr__": raiser(RuntimeError())})()
    shown = "ValueError, which cannot be shown: "
    assert describe(ValueError("page", argument)) == f"{shown}RuntimeError"
    assert describe(ValueError(10**5_000)) == f"{shown}ValueError"
    assert text_of(ValueError(10**5_000)) == f"{shown}ValueError"


class EndlessError(Exception):
    """An error whose arguments have no end."""

    @property
    def args(self) -> Iterator[int]:  # type: ignore[override]
        """Return numbers."""
        return itertools.count()


PAGES = [ValueError("x" * 100_000) for _ in range(200)]
MEGABYTE = 2**20


@pytest.mark.parametrize(
    "error",
    [
        ExceptionGroup("pages failed", PAGES),
        ExceptionGroup("all", [ExceptionGroup("some", PAGES), *PAGES]),
        ValueError(PAGES),
        ValueError("pages", tuple(PAGES)),
        ValueError(dict(enumerate(PAGES))),
        KeyError(tuple(PAGES)),
        EndlessError(*PAGES),
    ],
)
def test_the_memory_for_what_an_error_holds_is_bounded(error: Exception) -> None:
    """It is shown element by element, as far as there is room."""
    shown = repr(error) if type(error) is not EndlessError else f"EndlessError({PAGES[0]!r}"
    plain = str(error)
    tracemalloc.start()
    try:
        assert describe(error) == shown[: MAX_CHARACTERS - 1] + "…"
        assert text_of(error)[: MAX_CHARACTERS - 1] == plain[: MAX_CHARACTERS - 1]
        assert tracemalloc.get_traced_memory()[1] < MEGABYTE
    finally:
        tracemalloc.stop()


class Texts(list[str]):
    """A list of its own kind, with a repr of its own."""

    def __repr__(self) -> str:
        return "Texts"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("page",),
        ("page", 7),
        (["a", ("b",), (), [], {}, {"c": [1.5]}, {2}, Texts("x")],),
        (ValueError(KeyError("a"), OSError(2, "no file")),),
        (ExceptionGroup("a", [ValueError(1)]), b"z"),
    ],
)
@pytest.mark.parametrize("kind", [ValueError, KeyError, type("OwnError", (Exception,), {})])
def test_what_an_error_holds_is_shown_as_python_shows_it(
    kind: type[Exception], arguments: tuple[object, ...]
) -> None:
    """Where there is room for it."""
    error = kind(*arguments)
    assert (describe(error), text_of(error)) == (repr(error), str(error))


def test_what_holds_itself_is_shown_to_a_depth() -> None:
    """An error's argument may hold the error."""
    error = ValueError("page")
    error.args = ([error],)
    assert describe(error).startswith("ValueError([ValueError([ValueError(")
    assert len(describe(error)) < MAX_CHARACTERS


@pytest.mark.parametrize("value", [None, 7, b"text"])
def test_a_method_that_returns_no_text_is_caught(value: object) -> None:
    """Python raises TypeError for it."""
    error = type("OddError", (Exception,), {"__repr__": lambda _self: value})()
    assert describe(error) == "OddError, which cannot be shown: TypeError"


def test_a_long_text_is_cut() -> None:
    """Also one that is a str of its own kind."""
    assert text_of(LongError()) == describe(LongError()) == "x" * (MAX_CHARACTERS - 1) + "…"
    for text in (text_of(ValueError(SliceLiar("y" * 9_999))), describe(ValueError("y" * 9_999))):
        assert type(text) is str
        assert len(text) == MAX_CHARACTERS


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * 200_000_000),
        UnicodeDecodeError("utf-8", b"\xff" * 200_000_000, 0, 1, "invalid start byte"),
    ],
    ids=type,
)
def test_a_huge_text_is_not_copied_to_be_cut(error: Exception) -> None:
    """The repr of 200 MB takes a second, in which no lease is renewed."""
    before = time.process_time()
    assert len(describe(error)) == MAX_CHARACTERS
    assert time.process_time() - before < 0.1


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        ValueError("it's"),
        ValueError("a", 2),
        ValueError(["a", {"b": 1}]),
        ValueError(b"a"),
        OSError(2, "No such file", "a.txt"),
        KeyError("a"),
        SystemExit(1),
        ExceptionGroup("several", [ValueError("a")]),
    ],
    ids=repr,
)
def test_any_other_error_is_shown_as_by_repr(error: BaseException) -> None:
    """The usual text has not changed."""
    assert describe(error) == repr(error)
    assert text_of(error) == str(error)


def test_a_class_that_lies_is_not_believed() -> None:
    """isinstance() reads ``__class__``, which may raise; the type is what it is."""

    class LiarError(Exception):
        @property
        def __class__(self) -> Any:
            raise RuntimeError

        @__class__.setter
        def __class__(self, value: Any) -> None: ...

    with pytest.raises(RuntimeError):
        isinstance(LiarError(), ValueError)
    assert not is_a(LiarError(), ValueError)
    assert is_a(LiarError(), ValueError, Exception)
    assert describe(LiarError()) == "LiarError()"
    assert integer_of(LiarError()) is None


@pytest.mark.parametrize(
    ("result", "number"),
    [
        (Counted(7), 7),
        (Slotted(7), 7),
        (Counted(np.int64(7)), 7),
        (Counted("7"), None),
        (Counted(rows=True), None),
        (Pair(7), 7),
        (Pair, None),
        (Counted, None),
        (math, None),
        (HostileInt(7), 7),
        (Hostile(), None),
        ("x" * 100_000_000, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_integer_is_read_without_the_results_own_code(result: Any, number: int | None) -> None:
    """So nothing of it can raise, block or grow."""
    found = integer_of(result)
    assert found is None if number is None else (type(found), found) == (int, number)
