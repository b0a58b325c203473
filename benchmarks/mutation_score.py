"""Small faults that a tool makes in the guarded code: which share of them do the tests find?

Purpose: cosmic-ray lists what it can change in the rooms below; a sample of that is tried, one
  change at a time, in a copy of ``src``. Three nets in turn: the unit tests of the room, the model
  of the ledger (``tests/ledger/test_model.py``), and random days (``tests/random_days``). Prints
  for each change the net that found it, and the score of each room.
Limits: the first net that finds a change hides the others. A net that takes too long has found it,
  where that was CPU time, or where it does so once more when it is tried alone. A small room has as
  many changes in the sample as a large one; the last line weights them by the size of their room.
  What cannot be found is listed in ``equivalent_mutants.toml``, each with the reason, and does not
  count. A finished change is written to ``mutation-results.jsonl``, and the next run continues from
  it; ``--again`` tries the survivors once more that are not listed. Delete the file after you
  removed a test.
Run: ``uv run --group mutation python benchmarks/mutation_score.py``, or ``--only lease`` for one
  room; with two cores about an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import logging
import math
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import tomllib
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cosmic_ray.plugins
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.util import read_python_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import ForkServerProcess

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = Path("src/kst_scheduler")
RESULTS: Final = ROOT / "mutation-results.jsonl"
EQUIVALENT: Final = Path(__file__).with_name("equivalent_mutants.toml")
NET_SECONDS: Final = 600
"""After this time, by CPU or by the wall, a net hangs."""
TEST_SECONDS: Final = 120
"""After this time, by the wall, one test hangs; the longest takes five seconds."""
BUSY: Final = "timeout by CPU"
IDLE: Final = "timeout"
"""What is said of a net that was stopped; by the wall, another process may have been the reason."""
DAYS: Final = 3
"""How many random days of each kind are played."""

ROOMS: Final = {
    "once": (
        "once/*.py",
        (
            "once/test_outcome.py once/test_once.py once/test_alerts.py once/test_retry.py"
            " once/test_takeover.py once/reconcile/test_on_every_store.py"
            " once/test_locks_simulated.py"
        ),
    ),
    "lease": ("once/lease.py", "once/test_lease.py once/test_once.py once/test_locks.py"),
    "locks": ("once/locks.py", "once/test_locks_simulated.py once/test_locks.py"),
    "reconcile": ("once/reconcile/*.py", "once/reconcile"),
    "ledger": ("ledger/*.py", "ledger"),
    "distributed": ("distributed/*.py", "distributed"),
    "run_control": (
        "scheduler/run_control.py",
        (
            "scheduler/test_run_control.py scheduler/test_drain.py scheduler/test_scheduler.py"
            " service/test_admin.py once/test_once.py"
        ),
    ),
    "executor": (
        "scheduler/executor.py",
        (
            "scheduler/test_executor.py scheduler/test_drain.py scheduler/test_job_threads.py"
            " scheduler/test_scheduler.py scheduler/test_run_control.py"
        ),
    ),
}
"""Each with its modules and its tests; a module belongs to the last room that names it."""

OPERATORS: Final = re.compile(
    "core/("
    "ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul)|"
    "ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Is_IsNot|IsNot_Is)|"
    "ReplaceUnaryOperator_(Delete_Not|USub_UAdd)|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue|"
    "ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceBreakWithContinue|ReplaceContinueWithBreak|"
    "ExceptionReplacer|NumberReplacer|RemoveDecorator|ZeroIterationForLoop)"
)
"""One replacement for each operator: the closest to it. The other ten of a minus are found at once,
and those of ``|`` change annotations, which nothing evaluates."""
NOT_CHANGED: Final = re.compile(
    r"\b(TYPE_CHECKING|overload|override)\b|logger\.(debug|info)|^ *\*,$"
    r"|^ *except [^#:]*\w\.\w",
    re.IGNORECASE,
)
"""What is for the type checker, lines of the log below a warning, the ``*`` before keyword
arguments, and exceptions with a dot in their names, at which cosmic-ray 8.7.0 ends."""
IS_NEGATED: Final = re.compile(r" *(if|elif|while) (not |[\w.]+ is )")
"""Where a further ``not`` is the same change as another operator's."""

PRELOADED: Final = [
    "aiosqlite",
    "apscheduler.schedulers.asyncio",
    "asyncpg",
    "fakeredis",
    "fastapi",
    "hypothesis",
    "jupyter_client",
    "matplotlib",
    "nbval.plugin",
    "pandas",
    "procrastinate",
    "psycopg_pool",
    "pytest",
    "redis.asyncio",
    "sqlalchemy.ext.asyncio",
    "time_machine",
]
"""What the tests import and nobody changes; each net is forked from a process that has it."""


class RemoveCall(Operator):  # type: ignore[misc] # the library is untyped
    """What cosmic-ray lacks: a statement that is only a call is left out."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[object, object]]:
        """Yield the place of a statement that is a call, awaited or not."""
        if node.type == "simple_stmt" and node.children[0].type in ("atom_expr", "power"):
            call = node.children[0]
            if call.children[-1].type == "trailer" and call.children[-1].children[0] == "(":
                yield call.start_pos, call.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - there is one
        """Put ``pass`` in its place."""
        keyword = get_ast("pass").children[0]
        keyword.prefix = node.get_first_leaf().prefix
        node.children[0] = keyword
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """Return none: they are for the tests of cosmic-ray."""
        return ()


class Mutant(NamedTuple):
    """One change that the tool can make."""

    room: str
    file: Path
    line: int
    operator: str
    nth: int
    key: str
    """Stays the same while its line and its function do."""

    def text(self) -> str:
        """Return the changed source of the file."""
        return str(mutate_code(read_python_source(self.file), operators()[self.operator], self.nth))

    def change(self) -> tuple[str, str]:
        """Return the lines that differ, before and after, each as one line."""
        before, after = self.file.read_text("utf-8").split("\n"), self.text().split("\n")
        while before and after and before[0] == after[0]:
            del before[0], after[0]
        while before and after and before[-1] == after[-1]:
            del before[-1], after[-1]
        return " ".join(" ".join(before).split()), " ".join(" ".join(after).split())

    def why_equivalent(self) -> str:
        """Return why it need not be found; empty where it has to be."""
        return reasons().get((str(self.file.relative_to(ROOT / PACKAGE)), *self.change()), "")


class Result(NamedTuple):
    """The outcome of a mutant."""

    key: str
    net: str
    """The net that found it; empty: it survived."""
    said: str
    """The test that failed, or the day and what did not hold."""


@cache
def operators() -> dict[str, Any]:
    """Return the operators that are used, by name."""
    names = [name for name in cosmic_ray.plugins.operator_names() if OPERATORS.fullmatch(name)]
    return {name: cosmic_ray.plugins.get_operator(name)() for name in names} | {
        "RemoveCall": RemoveCall()
    }


@cache
def reasons() -> dict[tuple[str, str, str], str]:
    """Return what is listed as equivalent, and why: by its file, and the line before and after."""
    listed = tomllib.loads(EQUIVALENT.read_text("utf-8"))["mutant"]
    return {(each["file"], each["old"], each["new"]): each["why"] for each in listed}


def main() -> None:
    """Print a line for each mutant and the score; exit with 1 when the score is below the goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=300, help="of how many changes at least")
    parser.add_argument("--seed", default="0", help="of the sample")
    parser.add_argument("--only", choices=ROOMS, help="one room of them")
    parser.add_argument("--again", action="store_true", help="try survivors once more")
    parser.add_argument("--goal", type=float, default=95, help="the score that is asked for, in %%")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    if asked.sample < 1:
        parser.error("--sample: at least one change")
    if missing := [
        test
        for _, tests in ROOMS.values()
        for test in tests.split()
        if not (ROOT / "tests" / test).exists()
    ]:
        raise SystemExit(f"there is no test {missing[0]}; in such a run each change would be found")
    rooms = [asked.only] if asked.only else list(ROOMS)
    mutants = sample(rooms, -(-asked.sample // len(ROOMS)), asked.seed)
    known = {result.key: result for result in read_results()}
    if asked.again:
        open_ones = [each for each in mutants if each.key in known and not known[each.key].net]
        for each in open_ones:
            if not each.why_equivalent():
                del known[each.key]
    with trees(asked.processes) as run, ThreadPoolExecutor(asked.processes) as pool:
        with contextlib.suppress(KeyboardInterrupt):  # what was tried until then is reported
            try_all(run, pool, [each for each in mutants if each.key not in known], known)
        tried = [each for each in mutants if each.key in known]
        survivors = {each.room for each in tried if not known[each.key].net}
        for room in {each.room for each in tried} - survivors:  # or do its tests always fail?
            result = run(Mutant(room, files_of(room)[0], 0, "", 0, f"{room}, not changed"))
            if result.net:
                raise SystemExit(f"{result.key}, and {result.net} fails: {result.said}")
    sys.exit(report(tried, known, asked.goal))


def try_all(
    run: Callable[[Mutant], Result],
    pool: ThreadPoolExecutor,
    mutants: list[Mutant],
    known: dict[str, Result],
) -> None:
    """Try mutants, and write each result down; in an order in which each room has its turn."""
    runs = {pool.submit(run, each): each for each in sorted(mutants, key=_draw)}
    slow: list[Mutant] = []
    try:
        for each in as_completed(runs):
            if each.result().said == IDLE:
                slow.append(runs[each])
            else:
                write(each.result(), known)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for mutant in slow:  # alone, so that no other one can be the reason
        write(run(mutant), known)


def write(result: Result, known: dict[str, Result]) -> None:
    """Write a result down."""
    known[result.key] = result
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def sample(rooms: list[str], size: int, seed: str) -> list[Mutant]:
    """Return as many changes of each room; which ones, the seed and each change decide alone."""
    chosen = []
    for room in rooms:
        mutants = [each for file in files_of(room) for each in mutants_of(room, file)]
        chosen += sorted(sorted(mutants, key=partial(_draw, seed=seed))[:size])
    return chosen


def _draw(mutant: Mutant, seed: str = "") -> bytes:
    """Return where a mutant comes in the order of a seed."""
    return hashlib.sha256(f"{seed} {mutant.key}".encode()).digest()


def files_of(room: str) -> list[Path]:
    """Return the modules of a room."""
    room_of = {
        file: name
        for name, (pattern, _) in ROOMS.items()
        for file in (ROOT / PACKAGE).glob(pattern)
    }
    return sorted(file for file, name in room_of.items() if name == room)


def mutants_of(room: str, file: Path) -> Iterator[Mutant]:
    """Yield what can be changed in a module."""
    source = read_python_source(file)
    lines, nodes = source.split("\n"), list(ast_nodes(get_ast(source)))
    seen: Counter[str] = Counter()
    for name, operator in operators().items():
        places = [(node, place) for node in nodes for place, _ in operator.mutation_positions(node)]
        for nth, (node, (line, column)) in enumerate(places):
            text = lines[line - 1]
            if NOT_CHANGED.search(text) or (name == "core/AddNot" and IS_NEGATED.match(text)):
                continue
            function = node.search_ancestor("funcdef")
            of = function.name.value if function else ""
            key = f"{file.relative_to(ROOT / PACKAGE)}: {of}: {text.strip()} [{column}] {name}"
            seen[key] += 1
            yield Mutant(room, file, line, name, nth, f"{key} {seen[key]}")


@contextlib.contextmanager
def trees(number: int) -> Iterator[Callable[[Mutant], Result]]:
    """Yield a function that tries a mutant in a copy of ``src``, for as many threads."""
    free: SimpleQueue[Path] = SimpleQueue()

    def run(mutant: Mutant) -> Result:
        tree = free.get()
        copy = tree / mutant.file.relative_to(ROOT)
        try:
            _put(copy, mutant.text() if mutant.operator else read_python_source(mutant.file))
            return try_nets(tree, mutant)
        finally:
            _put(copy, read_python_source(mutant.file))
            free.put(tree)

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for name in map(str, range(number)):
            tree = Path(folder, name)
            shutil.copytree(ROOT / "src", tree / "src")
            free.put(tree)
        yield run


def _put(module: Path, text: str) -> None:
    """Write a module, and drop its bytecode: that of another text may have its size and second."""
    module.write_text(text, encoding="utf-8")
    Path(importlib.util.cache_from_source(module)).unlink(missing_ok=True)


def try_nets(tree: Path, mutant: Mutant) -> Result:
    """Return the net that finds a mutant."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    _, tests = ROOMS[mutant.room]
    of_module = mutant.file.relative_to(ROOT / PACKAGE)
    mirror = ROOT / "tests" / of_module.with_name(f"test_{of_module.name}")
    units = [str(mirror)] if mirror.exists() else []
    units += [str(ROOT / "tests" / each) for each in tests.split()]
    nets = {
        "unit tests": (run_tests, *units, "--deselect", "tests/ledger/test_model.py"),
        "model test": (run_tests, str(ROOT / "tests/ledger/test_model.py")),
        "random days": (play_days,),
    }
    for name, call in nets.items():
        process = context.Process(target=in_tree, args=(tree, *call))
        if said := failure_of(process, tree / "output"):
            return Result(mutant.key, name, said)
    return Result(mutant.key, "", "")


def failure_of(process: ForkServerProcess, output: Path) -> str:
    """Return what a net has found; empty: nothing."""
    process.start()
    process.join(NET_SECONDS)
    hangs = process.is_alive()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)  # and what it has left
    process.join()
    if not process.exitcode:
        return ""
    said = output.read_text("utf-8", "replace")
    found = re.findall(r"^(?:FAILED|ERROR|DAY) (?:tests/)?(.*)$", said, re.MULTILINE)
    if process.exitcode == -signal.SIGXCPU:
        return BUSY
    if hangs or process.exitcode < 0 or "Timeout (" in said:
        return IDLE
    return found[0] if found else (said.strip() or "no output").splitlines()[-1]


def in_tree(tree: Path, call: Callable[..., int], *arguments: str) -> None:
    """Run a net in this process, on a tree; its exit code is that of the process."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (NET_SECONDS, NET_SECONDS + 5))
    output = os.open(tree / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.path[:0] = paths = [str(tree / "src"), str(ROOT / "tests")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(paths), "TQDM_DISABLE": "1"}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(ROOT)
    code = 99
    try:
        found = importlib.util.find_spec("kst_scheduler")
        if found and str(found.origin).startswith(str(tree)):
            code = call(*arguments)
        else:
            print(f"the tests import {found}")
    except BaseException:  # noqa: BLE001 - it is what the net has found
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # whatever threads a mutant has left


def run_tests(*arguments: str) -> int:
    """Run tests until one fails."""
    options = "-o addopts= -p no:cacheprovider -x -q --tb=no -rfE"
    limits = f"-o faulthandler_timeout={TEST_SECONDS} -o faulthandler_exit_on_timeout=true"
    return int(pytest.main([*options.split(), *limits.split(), "-m", "not long", *arguments]))


def play_days() -> int:
    """Play random days of each kind until something does not hold."""
    from random_days.search import search  # noqa: PLC0415 - of the changed package
    from random_days.strategies import KINDS_OF_DAYS  # noqa: PLC0415 - the same

    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of nodes that are torn down
    for kind in KINDS_OF_DAYS:
        for number in range(DAYS):
            if failure := search(number, days=kind, shrink=False):
                print(f"DAY {kind}, day {number}: {failure.faults[0]}")
                return 1
    return 0


def read_results() -> list[Result]:
    """Return what is written of the mutants that were tried."""
    lines = RESULTS.read_text("utf-8").splitlines() if RESULTS.exists() else []
    return [Result(*json.loads(line)) for line in lines]


def report(mutants: list[Mutant], known: dict[str, Result], goal: float) -> int:
    """Print the mutants and the score of each room; return the exit code."""
    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    for mutant in mutants:
        result, (old, new), why = known[mutant.key], mutant.change(), mutant.why_equivalent()
        file = str(mutant.file.relative_to(ROOT / PACKAGE))
        if why and result.net:
            wrong += 1
            print(f"{file}:{mutant.line}: listed as equivalent, and {result.net} finds it")
        fate = result.net or ("equivalent" if why else "survived")
        counts[mutant.room, "timeout" if result.said in {BUSY, IDLE} else fate] += 1
        print(f"| {file}:{mutant.line} | `{old}` | `{new}` | {fate} | {result.said or why} |")
    sizes = {
        room: sum(1 for file in files_of(room) for _ in mutants_of(room, file))
        for room in dict.fromkeys(room for room, _ in counts)
    }
    return 1 if print_score(counts, sizes) < goal or wrong else 0


def print_score(counts: Counter[tuple[str, str]], sizes: dict[str, int]) -> float:
    """Print a table of the outcomes; return the share of all changes that is found, in percent.

    Of a small room the sample has as many as of a large one. So each room's share of what was tried
    there stands for as many changes as the room has.
    """
    fates = ("unit tests", "model test", "random days", "timeout", "equivalent", "survived")
    print(f"\n| Room | Of | Tried | {' | '.join(fates)} | Found |")
    total, found, judged = Counter(dict.fromkeys(fates, 0)), 0.0, 0.0
    for room, size in sizes.items():
        here = Counter({fate: counts[room, fate] for fate in fates})
        print_line(room, size, here)
        total.update(here)
        weight = size / here.total()
        judged += weight * (here.total() - here["equivalent"])
        found += weight * (here.total() - here["equivalent"] - here["survived"])
    print_line("all", sum(sizes.values()), total)
    if not judged:
        print("Nothing that counts was tried.")
        return 0.0
    score = 100 * found / judged
    print(f"Where each room counts by its size: {score:.1f} %")
    if left := [room for room in ROOMS if room not in sizes]:
        print(f"Not counted, as nothing was tried there: {', '.join(left)}")
    return score


def print_line(room: str, size: int, fates: Counter[str]) -> None:
    """Print a line of the table."""
    judged = fates.total() - fates["equivalent"]
    share = 100 * (judged - fates["survived"]) / judged if judged else math.nan
    numbers = " | ".join(map(str, (size, fates.total(), *fates.values())))
    print(f"| {room} | {numbers} | {share:.1f} % |")


if __name__ == "__main__":
    main()
