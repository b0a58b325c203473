from __future__ import annotations

import functools
import importlib.util
import sys
from datetime import timedelta
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.job_functions import (
    check_arguments,
    is_same_function,
    name_of,
    runs_once,
)
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable

run_once = once(MemoryLedger())


async def crawl(source: str, /, *, pages: int = 1) -> None:
    """Stand for a job with arguments."""


async def report() -> None:
    """Stand for another job."""


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for a decorator of the reader's that passes everything on."""

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return run


class Crawler:
    """Has a job for a method, and is one itself."""

    async def crawl(self, source: str) -> None:
        """Stand for a job."""

    async def report(self) -> None:
        """Stand for another job."""

    @classmethod
    def clear(cls) -> None:
        """Stand for a job of the class."""

    once = run_once(crawl)

    async def __call__(self, source: str) -> None:
        """Stand for a job."""


class NewsCrawler(Crawler):
    """Has the method of its base, and does something else with it."""


class OnceCrawler:
    """Is a job that runs once."""

    @run_once
    async def __call__(self, source: str) -> None:
        """Stand for a job."""


# runs_once


@pytest.mark.parametrize(
    "function",
    [
        run_once(crawl),
        functools.partial(run_once(crawl), "nps"),
        traced(run_once(crawl)),
        OnceCrawler(),
    ],
)
def test_a_function_of_once_is_known(function: Callable[..., object]) -> None:
    """Also inside a partial or another decorator, and as an object that is called."""
    assert runs_once(function)


@pytest.mark.parametrize("function", [crawl, print, MagicMock(), Crawler(), Crawler().report, "no"])
def test_other_functions_are_not(function: Any) -> None:
    """Nor is one with an attribute of that name, or of every name."""
    assert not runs_once(function)


def test_another_class_of_the_same_name_is_none_of_ours() -> None:
    """An object is known by its class, not by what that is called."""

    def backup() -> None: ...

    backup.once = type("OnceJob", (), {})()  # type: ignore[attr-defined]
    assert not runs_once(backup)


# is_same_function


def run_again(path: Path) -> Callable[..., object]:
    """Return the function of a module that has just been run again, as importlib.reload does."""
    spec = importlib.util.spec_from_file_location("cells", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., object] = module.crawl
    return function


def test_a_module_that_is_run_again_has_the_same_functions(tmp_path: Path) -> None:
    """A cell of a notebook, too, and with another body: that is how a reader corrects a job."""
    path = tmp_path / "cells.py"
    path.write_text("async def crawl(): pass\n")
    before = run_again(path)
    path.write_text("async def crawl():\n    return 1 + 1 + 1\n")
    assert before is not run_again(path)
    assert is_same_function(before, run_again(path))
    assert "cells" not in sys.modules


@pytest.mark.parametrize(
    "other",
    [
        run_once(crawl),
        run_once(traced(crawl)),
        functools.partial(crawl, "nps"),
        functools.partial(functools.partial(run_once(crawl), "nps"), pages=2),
    ],
)
def test_what_stands_around_a_function_makes_no_other(other: Callable[..., object]) -> None:
    """Once, a decorator that uses functools.wraps, and fixed arguments."""
    assert is_same_function(crawl, other)
    assert not is_same_function(report, other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Crawler().crawl, Crawler().crawl, True),
        (Crawler().crawl, Crawler().report, False),
        (Crawler().crawl, NewsCrawler().crawl, False),
        (Crawler.clear, Crawler.clear, True),
        (Crawler.clear, NewsCrawler.clear, False),
        (Crawler(), Crawler(), True),
        (Crawler(), NewsCrawler(), False),
        (Crawler(), Crawler().crawl, False),
        ([].append, [].append, True),
        ([].append, [].clear, False),
        (print, print, True),
        (print, repr, False),
        (lambda: crawl("nps"), lambda: crawl("nps"), True),
        (lambda: crawl("nps"), lambda: crawl("moa"), False),
        (lambda: crawl("nps"), lambda: report, False),
        (MagicMock(), MagicMock(), True),
    ],
)
def test_methods_objects_and_lambdas(
    one: Callable[..., object], other: Callable[..., object], same: bool
) -> None:
    """A method belongs to the class of its object; lambdas have no name to go by."""
    assert is_same_function(one, other) is same


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Stand for a decorator without functools.wraps."""

    async def run(*args: Any) -> Any:
        return await function(*args)

    return run


def job_for(site: object) -> Callable[..., Any]:
    """Return a job that holds a value."""

    async def job() -> object:
        return site

    return job


def job_with(site: object, *, named: bool = False) -> Callable[..., Any]:
    """Return a job that has a value as a default, as jobs that a loop adds do."""
    if named:

        async def job_named(*, site: object = site) -> object:
            return site

        return job_named

    async def job(site: object = site) -> object:
        return site

    return job


def counting(begin: int) -> Callable[..., Any]:
    """Return a job that counts its runs."""

    async def job() -> int:
        nonlocal begin
        begin += 1
        return begin

    return job


def calling_itself(site: str) -> Callable[..., Any]:
    """Return a job that holds itself."""

    async def job(left: int = 3) -> object:
        return await job(left - 1) if left else site

    return job


class Site(Enum):
    """A value to tell jobs by."""

    NPS = "nps"
    MOA = "moa"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (logged(crawl), logged(report)),
        (run_once(logged(crawl)), run_once(logged(report))),
        (logged(Crawler().crawl), logged(Crawler().report)),
        (logged(functools.partial(crawl, "nps")), logged(functools.partial(crawl, "moa"))),
        *((make("nps"), make("moa")) for make in (job_for, job_with, calling_itself)),
        (job_with("nps", named=True), job_with("moa", named=True)),
        (run_once(job_for("nps")), run_once(job_for("moa"))),
        (traced(job_for("nps")), traced(job_for("moa"))),
        (job_for("nps"), traced(job_for("moa"))),
        (functools.partial(crawl, "nps"), functools.partial(crawl, "moa")),
        (functools.partial(crawl, pages=1), functools.partial(crawl, pages=2)),
        *(
            (job_for(one), job_for(other))
            for one, other in [
                (1, 2),
                (("nps", 1), ("nps", 2)),
                (None, "nps"),
                (Site.NPS, Site.MOA),
                (Crawler, NewsCrawler),
                (Crawler(), NewsCrawler()),
                (timedelta(1), timedelta(2)),
                (PurePath("nps"), PurePath("moa")),
                (crawl, report),
            ]
        ),
        *[
            (lambda site=site: crawl(site), lambda site=other: crawl(site))
            for site, other in [("nps", "moa")]
        ],
    ],
)
def test_functions_of_one_def_differ_by_what_they_hold(
    one: Callable[..., object], other: Callable[..., object]
) -> None:
    """They have one name and one code, and would replace one another without a word."""
    assert not is_same_function(one, other)
    assert not is_same_function(other, one)


class HostileError(Exception):
    """Cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise SystemExit

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "make",
    [
        lambda: logged(crawl),
        lambda: run_once(logged(crawl)),
        lambda: run_once(traced(job_for("nps"))),
        *(
            (lambda value=value: job_for(value()))
            for value in [
                lambda: "nps",
                lambda: ("nps", 1),
                lambda: Site.NPS,
                Crawler,
                HostileError,
                lambda: job_for("nps"),
                lambda: kst(2026, 5, 10),
                lambda: functools.partial(report),
            ]
        ),
        lambda: job_with(kst(2026, 5, 10)),
        lambda: functools.partial(crawl, "nps", pages=2),
        lambda: calling_itself("nps"),
    ],
)
def test_a_registration_that_runs_again_has_the_same_functions(
    make: Callable[[], Callable[..., object]],
) -> None:
    """Its closures hold equal values, and objects that are new."""
    assert make() is not make()
    assert is_same_function(make(), make())


def test_what_a_job_changes_makes_no_other() -> None:
    """A list that it fills, and a variable that it counts with."""
    assert is_same_function(job_for([1, 2]), job_for([]))
    assert is_same_function(counting(3), counting(0))


def test_other_arguments_of_once_make_no_other() -> None:
    """Neither does a ledger of its own."""
    job = job_for("nps")
    assert is_same_function(run_once(job), once(MemoryLedger(), max_attempts=1)(job))


def test_a_closure_that_is_defined_again_may_be_corrected(tmp_path: Path) -> None:
    """Its decorator's arguments as well, with functools.wraps and without it."""
    path = tmp_path / "cells.py"
    source = "def job_for(site, n=1):\n async def job(n=n): return site\n return job\n"
    path.write_text(f"{source}crawl = job_for('nps')\n")
    before = run_again(path)
    path.write_text(f"{source}crawl = job_for('nps', n=2)\n")
    assert is_same_function(before, run_again(path))
    path.write_text("async def crawl(n=1): ...\n")
    before = run_again(path)
    path.write_text("async def crawl(n=2): ...\n")
    after = run_again(path)
    assert is_same_function(before, after)
    assert is_same_function(logged(before), logged(after))


# check_arguments


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (run_once(crawl), ["nps"], {"pages": 2}),
        (functools.partial(run_once(crawl), "nps"), [], {}),
        (run_once(traced(crawl)), ["nps"], {}),
        (traced(crawl), [], {}),  # a decorator may bring the source itself
        (OnceCrawler(), ["nps"], {}),
        (Crawler().crawl, ["nps"], {}),
        (Crawler(), ["nps"], {}),
        (Crawler.clear, [], {}),
        (print, [1, 2], {"end": ""}),
        (MagicMock(), [1], {"a": 2}),
        (dict, [], {"a": 1}),
        (Crawler, [], {}),
    ],
)
def test_arguments_that_fit_pass(
    function: Callable[..., object], args: list[Any], kwargs: dict[str, Any]
) -> None:
    """Of functions, methods, objects, classes, and of what is written in C."""
    check_arguments("job", function, args, kwargs)


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "message"),
    [
        (run_once(crawl), [], {}, "missing a required argument"),
        (run_once(crawl), ["nps", "moa"], {}, "too many positional arguments"),
        (run_once(crawl), ["nps"], {"page": 2}, "unexpected keyword argument 'page'"),
        (functools.partial(run_once(crawl), "nps"), ["moa"], {}, "too many positional"),
        (functools.partial(run_once(crawl), page=2), ["nps"], {}, "unexpected keyword"),
        (OnceCrawler(), [], {}, "missing a required argument: 'source'"),
        (traced(crawl), ["nps"], {"page": 2}, "unexpected keyword argument 'page'"),
        (traced(run_once(crawl)), ["nps", "moa"], {}, "too many positional arguments"),
        (run_once(traced(crawl)), ["nps", "moa"], {}, "too many positional arguments"),
        (Crawler().crawl, [], {}, "missing a required argument: 'source'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    function: Callable[..., object], args: list[Any], kwargs: dict[str, Any], message: str
) -> None:
    """The message names the job, the function with its parameters, and what is wrong."""
    with pytest.raises(InvalidArgumentError) as error:
        check_arguments("nightly", function, args, kwargs)
    assert str(error.value).startswith("job 'nightly' would fail at each run: ")
    assert name_of(function) in str(error.value)
    assert message in str(error.value)


def test_a_decorator_says_what_it_takes_by_its_signature() -> None:
    """Python's own way: with a __signature__, nothing inside it is looked at."""

    @functools.wraps(crawl)
    async def with_timeout(*args: Any, timeout: float) -> None:  # noqa: ASYNC109 - takes it away
        """Stand for a decorator that takes an argument of its own."""

    with pytest.raises(InvalidArgumentError, match="unexpected keyword argument 'timeout'"):
        check_arguments("nightly", with_timeout, ["nps"], {"timeout": 3})
    import inspect

    with_timeout.__signature__ = inspect.signature(  # type: ignore[attr-defined]
        with_timeout, follow_wrapped=False
    )
    check_arguments("nightly", with_timeout, ["nps"], {"timeout": 3})
