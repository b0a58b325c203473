"""The process in which a service is rehearsed: it reads what to do, and writes what happened.

``python -m kst_scheduler.rehearsal.child FOLDER``: the questions are in FOLDER/questions.json, and
the answers in FOLDER/answers.json. The service may write to FOLDER alone.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import KSTSchedulerError, RefusedError, TargetError
from kst_scheduler.fire_times.instants import microseconds, moment_at
from kst_scheduler.redaction import without_passwords
from kst_scheduler.rehearsal.guard import Guard
from kst_scheduler.rehearsal.import_advice import advice
from kst_scheduler.rehearsal.nights import DAY, Plan, plan_of
from kst_scheduler.rehearsal.program import RehearsedProgram
from kst_scheduler.rehearsal.question import NIGHTS_DONE, Question
from kst_scheduler.rehearsal.stand_ins import StandIns
from kst_scheduler.rehearsal.stretches import is_due_often, stretches_of
from kst_scheduler.rehearsal.target import Target, line_of, said
from kst_scheduler.runs.table import COLUMNS, TIME_COLUMNS
from kst_scheduler.simulation.incidents import check_incidents, check_nodes
from kst_scheduler.simulation.simulate import run_program
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kst_scheduler.rehearsal.stretches import Stretch
    from kst_scheduler.simulation.process import SimulatedNode
    from kst_scheduler.simulation.result import SimulationResult
    from kst_scheduler.simulation.world import World

ZONES: Final = ("UTC", "Asia/Seoul", "America/New_York")
PROBE: Final = timedelta(minutes=1)
MARGIN: Final = timedelta(minutes=40)
"""At both ends of a night, in which no trouble is planned."""
MAX_COPIED: Final = 1_000_000
"""Bytes of a file, or of a folder, that is copied."""
MAX_FILES: Final = 100
COLLECT_EVERY: Final = (100_000, 10, 10)
"""Thresholds of the garbage collector, in place of (700, 10, 10): it took a sixth of the time."""
DATABASES: Final = (".db", ".sqlite", ".sqlite3")
"""The endings of files that hold a database."""


def main(folder: str) -> int:
    """Answer the questions in a folder."""
    gc.freeze()  # what is imported stays
    gc.set_threshold(*COLLECT_EVERY)
    asked = json.loads(Path(folder, "questions.json").read_text(encoding="utf-8"))
    sys.dont_write_bytecode = True
    logging.raiseExceptions = False
    warnings.simplefilter("ignore")
    guard = Guard(folder)
    _end_with_the_asker(guard)
    guard.is_on = True  # to the very end of the process, with what the service does at its exit
    answers = [_answered(Question(**each), guard) for each in asked]
    Path(folder, "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    return 0


def _end_with_the_asker(guard: Guard) -> None:
    """End this process, and leave nothing of it, when the one that asked has ended."""
    asker = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        os.read(asker, 1)  # nothing is ever written to it
        guard.is_on = False
        shutil.rmtree(guard.folder, ignore_errors=True)
        os._exit(1)  # not by way of the service's own finally blocks

    threading.Thread(target=wait, name="kst-scheduler-asker", daemon=True).start()


def _answered(question: Question, guard: Guard) -> dict[str, Any]:
    environment, path = dict(os.environ), [*sys.path]
    os.environ.update(question.variables)
    sys.path.insert(0, question.folder)
    guard.refused.clear()
    try:
        answer = _answer(question, guard)
    except SystemExit as error:
        answer = {"error": f"{question.target} called sys.exit({error.code!r})"}
    except Exception as error:  # noqa: BLE001 - whatever the reader's code raises
        answer = {"error": without_passwords(_text_of(error, question))}
    finally:
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)
    return answer | {"refused": dict(guard.refused)}


def _text_of(error: Exception, question: Question) -> str:
    """Return what to tell the reader: the error of this package, or his, and what to write."""
    if isinstance(error, KSTSchedulerError) and not isinstance(error, RefusedError):
        return str(error)
    where = line_of(error, question.current)
    return f"{question.target}: {said(error)}{where}{advice(error)}"


def _answer(question: Question, guard: Guard) -> dict[str, Any]:
    target = Target(
        question.target,
        question.module,
        question.name,
        question.folder,
        question.file,
        question.current,
    )
    stand_ins = StandIns(question.durations, question.duration)
    start = moment_at(question.start).astimezone(KST)
    nodes = check_nodes(question.nodes)
    run = functools.partial(_run, question, target, guard, None if question.run_jobs else stand_ins)
    zones = dict.fromkeys((question.zone, *ZONES))
    probes = {zone: run(Plan(start, 0), nodes[:1], zone, start + PROBE) for zone in zones}
    first, probed = probes[question.zone]
    if probed is None:  # it does not start, and the notes say why
        return {
            "notes": first.notes.as_json(),
            "zones": {},
            "troubles": [],
            "bad_nights": 0,
            "files": first.files,
            "runs": {},
            "shortened": [],
        }
    if first.is_still_starting:
        raise TargetError(
            f"{question.target} has not started after a minute: its lifespan never comes to its "
            "yield"
        )
    unknown = {*question.durations, *question.each_node} - first.triggers.keys()
    if unknown:
        raise TargetError(
            f"{question.target} has no job {min(unknown)!r}; its jobs are "
            f"{', '.join(first.triggers)}"
        )
    names = [node.name for node in nodes]
    seconds = {job: stand_ins.seconds_of(job) for job in first.triggers}
    fires = _fires(first, start, question.nights)
    plan = plan_of(
        start,
        question.nights,
        names,
        fires,
        seconds,
        only=question.only,
        incidents=question.incidents,
    )
    stand_ins.long = [(microseconds(a), microseconds(b)) for a, b in plan.long]
    stretches = {
        job: stretches_of(fires[job], seconds[job], plan.given)
        for job, trigger in first.triggers.items()
        if is_due_often(trigger, start, question.nights)
    }
    program, result = run(plan, nodes, question.zone, plan.end, stretches)
    return {
        "shortened": list(stretches),
        "notes": program.notes.as_json(),
        "zones": {
            zone: {job: note.first for job, note in probe.notes.jobs.items()}
            for zone, (probe, _) in probes.items()
        },
        "troubles": [asdict(each) | {"at": microseconds(each.at)} for each in plan.troubles],
        "bad_nights": plan.bad_nights,
        "files": program.files,
        "runs": _columns(result),
    }


def _run(
    question: Question,
    target: Target,
    guard: Guard,
    stand_ins: StandIns | None,
    plan: Plan,
    nodes: Any,
    zone: str,
    end: Any,
    stretches: Mapping[str, Sequence[Stretch]] = MappingProxyType({}),
) -> tuple[RehearsedProgram, SimulationResult | None]:
    program = RehearsedProgram(target, stand_ins, question.stubs, stretches)
    known = [each for trouble in plan.troubles if (each := trouble.as_incident())]
    incidents = check_incidents(known, nodes, plan.start, end)
    with guard.paused():
        _go_to_a_new_folder(Path(question.current), guard.folder)
    try:
        with _quiet():
            result = run_program(
                program,
                plan.start,
                end,
                nodes,
                incidents,
                host_timezone=zone,
                seed=question.seed,
                plan=functools.partial(_planned, program, plan, guard.folder),
            )
    except Exception:
        if not program.notes.errors:  # else a scheduler has refused a job, which is a finding
            raise
        return program, None
    return program, result


def _planned(
    program: RehearsedProgram,
    plan: Plan,
    folder: Path,
    world: World,
    nodes: dict[str, SimulatedNode],
) -> None:
    """Plan what goes wrong, and that the number of each night is written when it is over."""
    program.plan(plan.troubles, world, nodes)
    file = folder / NIGHTS_DONE
    for night in range(1, plan.nights):
        done = functools.partial(file.write_text, str(night), encoding="ascii")
        world.call_at(microseconds(plan.start + night * DAY), done)


def _go_to_a_new_folder(source: Path, place: Path) -> None:
    """Go to a folder that has the reader's files but their databases: each run begins without.

    Small files are copies, which the service may write. What is large is a link, and may be read.
    """
    work = Path(tempfile.mkdtemp(dir=place))
    for each in source.iterdir():
        if each.suffix in DATABASES:
            continue
        if each.is_dir() and _is_small(each):
            shutil.copytree(each, work / each.name, symlinks=True, ignore=_not_copied)
        elif _can_be_copied(each) and each.is_file() and each.stat().st_size <= MAX_COPIED:
            shutil.copyfile(each, work / each.name)
        else:
            (work / each.name).symlink_to(each, target_is_directory=each.is_dir())
    os.chdir(work)


def _not_copied(folder: str, names: list[str]) -> list[str]:
    """Return the names of databases, and of what cannot be copied."""
    return [
        name for name in names if name.endswith(DATABASES) or not _can_be_copied(Path(folder, name))
    ]


def _can_be_copied(path: Path) -> bool:
    """Tell whether it is a link, a file or a folder that may be read; no pipe, and no socket."""
    is_known = path.is_file() or path.is_dir()
    return path.is_symlink() or (is_known and os.access(path, os.R_OK))


def _is_small(folder: Path) -> bool:
    """Tell whether a folder holds few files, and little in all: logs, not packages."""
    if folder.is_symlink() or folder.name.startswith("."):
        return False
    left, files = MAX_COPIED, MAX_FILES
    for each in folder.rglob("*"):
        files -= 1
        left -= each.lstat().st_size
        if left < 0 or files < 0:
            return False
    return True


def _fires(program: RehearsedProgram, start: Any, nights: int) -> dict[str, list[int | None]]:
    """Return the first fire of each job in each night."""
    found: dict[str, list[int | None]] = {}
    for job, trigger in program.triggers.items():
        found[job] = []
        for number in range(nights):
            begin = start + number * DAY + MARGIN
            fire = trigger.get_next_fire_time(None, begin)
            is_in = fire is not None and fire < begin + DAY - 2 * MARGIN
            found[job].append(microseconds(fire) if is_in else None)
    return found


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep what the service prints from the terminal."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _columns(result: SimulationResult | None) -> dict[str, list[Any]]:
    """Return the table of runs in values that JSON has; empty: nothing was run."""
    if result is None:
        return {}
    return {
        name: result.runs[name].astype("int64" if name in TIME_COLUMNS else str).tolist()
        for name in COLUMNS
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
