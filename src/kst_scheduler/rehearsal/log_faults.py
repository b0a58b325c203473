"""Which gotcha each line of a log belongs to, in bounded memory."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Final, Generic, TypeVar

import kst_scheduler.rehearsal.codes  # noqa: F401 - each check makes itself known
from kst_scheduler.rehearsal.findings import CODES
from kst_scheduler.rehearsal.log_events import ENDS, OF_AN_ERROR, LogEvent, event_of, span_of
from kst_scheduler.rehearsal.log_lines import LogLine, parse_line, read_lines
from kst_scheduler.rehearsal.log_runs import (
    AT_ONCE,
    NEAR_EVENTS,
    SAME,
    Logged,
    Run,
    are_twice,
    are_two_ids,
    has_an_hour,
    is_at_once,
    is_coarse,
    is_instant,
    is_just_before,
    is_near,
)
from kst_scheduler.rehearsal.trigger_codes import MANY

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

MAX_KEPT: Final = 2_000
"""How many jobs, runs or findings are remembered; those that were seen last."""
MAX_AROUND: Final = 100
"""How many of the latest runs are looked at to tell why one was missed."""
POOL: Final = 10
"""The threads of APScheduler's own pool."""

NOT_SHOWN: Final = (
    "a job that never fires (KST005, KST006, KST007, KST020, KST024): compare with fire_times()",
    "a run that was coalesced into a later one, or was due while no process ran (KST023)",
    "a weekday that is counted from another day (KST003): look for day_of_week='1'",
    "an option without effect (KST011), but for a conflict; a failure that a job hides (KST019)",
    "when a run begins and ends, if APScheduler logs at WARNING: log at INFO",
    "a second replica whose log is elsewhere: join the logs, with the process or host in each line",
)
"""What no log, or not every log, can show."""

_CANCELLED: Final = re.compile(r"(?:^|[\s.|])CancelledError(?:$|:)")
_EXCEPTION: Final = re.compile(
    r"(?!(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):)[\s|+]{0,9}(?:[A-Za-z_]\w{0,99}\.){0,9}[A-Z]\w{0,99}(?::|$)"
)
_CHAINED: Final = re.compile(r"another exception occurred:$|the direct cause of the following")
_FRAME: Final = re.compile(r'File "(?P<path>[^"]{1,1000})"')
_OWN_FRAME: Final = re.compile(r"[\\/]apscheduler[\\/]")
_NO_LOOP: Final = re.compile(r"\W{0,9}RuntimeError: no running event loop")
_COROUTINE: Final = re.compile(r"coroutine '(?P<name>[^']{1,250})' was never awaited")
_FREED: Final = re.compile(r"(?:apscheduler|concurrent|asyncio)[\\/]|<sys>|threading\.py")
"""Where a coroutine is freed that a job returned: outside the reader's code."""

K = TypeVar("K")
V = TypeVar("V")


class _Recent(OrderedDict[K, V], Generic[K, V]):
    """A dict that forgets what was used least recently."""

    def __init__(self, forget: Callable[[V], object] = lambda _value: None) -> None:
        super().__init__()
        self._forget = forget

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        if key not in self:
            self[key] = make()
            if len(self) > MAX_KEPT:
                self._forget(self.popitem(last=False)[1])
        self.move_to_end(key)
        return self[key]


@dataclass
class LogFinding:
    """One kind of fault of one job in a log."""

    code: str
    job: str
    what: str
    """What the first line says."""
    first: LogLine
    last: LogLine
    write: str
    section: str
    count: int = 0

    @property
    def level(self) -> str:
        """Always an error: it happened."""
        return "error"


@dataclass(frozen=True)
class LogReport:
    """What was found in a log."""

    lines: int
    messages: int
    """How many lines have a message of APScheduler that counts."""
    findings: list[LogFinding]


@dataclass
class _Trace:
    """The traceback that is being read from one source, and the failed run above it."""

    frames: int = 0
    is_own: bool = False
    exception: str = ""
    raised: Logged | None = None


@dataclass
class _Hour:
    hour: datetime
    first: LogLine
    times: set[datetime] = field(default_factory=set)


@dataclass
class _Instants:
    first: LogLine
    last: LogLine
    count: int = 0


def explain_log(stream: IO[bytes]) -> LogReport:
    """Read a log to its end, and return what it shows."""
    faults, count = _Faults(), list[int]()
    for line in read_lines(stream, count):
        faults.read(line)
    return LogReport(count[0], faults.index, faults.finish())


class _Faults:
    """What was seen so far, as far as it may matter to a later line."""

    def __init__(self) -> None:
        self.index = 0
        self._found = OrderedDict[tuple[str, str], LogFinding]()
        self._open: _Recent[str, list[Run]] = _Recent()
        self._same: _Recent[object, list[Run]] = _Recent(self._judge_same)
        self._runs: deque[Run] = deque(maxlen=MAX_AROUND)
        self._hours: _Recent[object, _Hour] = _Recent()
        self._misses: _Recent[str, list[Logged]] = _Recent(self._judge_misses)
        self._skipped: _Recent[str, Run] = _Recent()
        self._traces: _Recent[str, _Trace] = _Recent(self._judge_raised)
        self._cancelled: deque[Logged] = deque()
        self._shutdowns: deque[Logged] = deque(maxlen=NEAR_EVENTS)
        self._instants: _Recent[str, _Instants] = _Recent()
        self._ended_at_once: deque[Run] = deque(maxlen=5)
        self._coroutines: _Recent[tuple[str, str], LogLine] = _Recent()
        self._latest: deque[LogLine] = deque(maxlen=8)

    def read(self, line: LogLine) -> None:
        """Take the next line."""
        event = event_of(line.message) if line.message else None
        if event is not None:
            if self._is_repeated(line):
                return
            self._latest.append(line)
            self._take(event, line)
        self._read_text(line.text, line)
        for text in line.trace.splitlines():
            self._read_text(text, line)
            inner = parse_line(text, line.number)
            found = event_of(inner.message) if inner.message else None
            if found is not None and found.kind in OF_AN_ERROR:
                self._take(found, replace(line, message=inner.message))

    def _is_repeated(self, line: LogLine) -> bool:
        """Tell whether a second handler wrote the same record: same process, message, moment."""
        for each in self._latest:
            if each.message == line.message and each.process == line.process:
                apart = line.seconds_after(each)
                if apart is None:
                    return each.number == line.number - 1
                if abs(apart) < (SAME if is_coarse(line) == is_coarse(each) else AT_ONCE):
                    return True
        return False

    def _take(self, event: LogEvent, line: LogLine) -> None:
        self.index += 1
        if event.kind not in OF_AN_ERROR:
            self._end_trace(line.source)
        misses = self._misses.get(line.process)
        if misses and not is_at_once(misses[0], line, self.index):
            self._judge_misses(self._misses.pop(line.process))
        if event.kind in ENDS:
            self._take_end(event, line)
        elif take := getattr(self, f"_take_{event.kind}", None):
            take(event, line)

    def _take_running(self, event: LogEvent, line: LogLine) -> None:
        run = Run(event, line, self.index, event.scheduled_at)
        self._judge_time(run)
        self._judge_hour(run)
        others = self._open.get_or_make(event.job, list)
        for other in others:
            if are_two_ids(other, run):
                what = (
                    f"began before its run of line {other.line.number} ended: two ids run the same "
                    "function side by side"
                )
                self._add("KST013", event.job, what, line)
                break
        others.append(run)
        del others[:-50]
        self._runs.append(run)
        if run.scheduled_at is not None:
            key = event.job, event.trigger, run.scheduled_at
            same = self._same.get_or_make(key, list)
            same.append(run)
            del same[50:]

    def _take_end(self, event: LogEvent, line: LogLine) -> None:
        runs = self._open.get(event.job, [])
        run = next((each for each in reversed(runs) if each.line.process == line.process), None)
        run = run or (runs[-1] if runs else None)
        if run is not None:
            runs.remove(run)
            run.end, run.ended = event.kind, line
            if event.kind == "executed" and is_instant(run, line, self.index):
                seen = self._instants.get_or_make(event.job, lambda: _Instants(run.line, run.line))
                seen.last, seen.count = run.line, seen.count + 1
                self._ended_at_once.append(run)
        if event.kind == "raised":
            trace = self._traces.get_or_make(line.source, _Trace)
            trace.raised = Logged(event, line, self.index)
            trace.exception = ""

    def _take_missed(self, event: LogEvent, line: LogLine) -> None:
        misses = self._misses.get_or_make(line.process, list)
        misses.append(Logged(event, line, self.index))
        if len(misses) > MAX_KEPT:
            self._judge_misses(self._misses.pop(line.process))

    def _take_skipped(self, event: LogEvent, line: LogLine) -> None:
        runs = self._open.get(event.job)
        if runs:
            self._skipped.get_or_make(event.job, lambda: runs[0])
            self._skipped[event.job] = runs[0]
        self._add("KST014", event.job, "skipped: its earlier runs had not ended", line)

    def _take_removed(self, event: LogEvent, line: LogLine) -> None:
        what = "the job store could not find its function any more, and deleted it"
        write = "leave the old name in place for one release, or add the jobs in code"
        self._add("KST017", event.job, what, line, write=write)

    def _take_not_stored(self, event: LogEvent, line: LogLine) -> None:
        self._add("KST017", event.job, "the job store cannot keep its function", line)

    def _take_conflict(self, event: LogEvent, line: LogLine) -> None:
        what = "the id is in use, and add_job() without replace_existing=True raised"
        write = "write replace_existing=True at each add_job; job_defaults ignores it"
        self._add("KST011", event.job, what, line, write=write)

    def _take_started(self, _event: LogEvent, line: LogLine) -> None:
        """Forget the runs of the process that was there before."""
        for runs in self._open.values():
            runs[:] = [each for each in runs if each.line.process != line.process]

    def _take_shut_down(self, event: LogEvent, line: LogLine) -> None:
        shutdown = Logged(event, line, self.index)
        self._shutdowns.append(shutdown)
        for each in [each for each in self._cancelled if is_near(each, shutdown)]:
            self._cancelled.remove(each)
            self._add_raised(each, "CancelledError", is_cut=True)

    def _read_text(self, text: str, line: LogLine) -> None:
        """Follow a traceback, and take what is known by the text of an exception or warning."""
        trace = self._traces.get_or_make(line.source, _Trace)
        if "Traceback (most recent call last)" in text:
            trace.frames, trace.is_own = 0, False
        elif frame := _FRAME.search(text):
            trace.frames += 1
            trace.is_own = trace.is_own or _OWN_FRAME.search(frame["path"]) is not None
        elif _NO_LOOP.match(text):
            if not trace.frames or trace.is_own:
                self._add("KST016", "", "start() found no running event loop", line)
            trace.frames, trace.is_own = 0, False
        if _CHAINED.search(text):
            trace.exception = ""
        elif trace.raised and not trace.exception and _EXCEPTION.match(text):
            trace.exception = "CancelledError" if _CANCELLED.search(text) else text.strip()
        if warned := _COROUTINE.search(text):
            self._take_coroutine(warned["name"], text, line)

    def _take_coroutine(self, name: str, text: str, line: LogLine) -> None:
        """Find the run that made it: one that ended at once, just before, or has its name."""
        jobs = [run.event.job for run in self._ended_at_once if is_just_before(run, line)]
        job = ""
        if _FREED.search(text):
            job = name if name in jobs else next(reversed(jobs), "")
            if not job and self.index and not self._runs:  # a log at WARNING has no runs
                job = name
        self._coroutines.get_or_make((name, job), lambda: line)

    def _end_trace(self, source: str) -> None:
        trace = self._traces.pop(source, None)
        if trace is not None:
            self._judge_raised(trace)

    def _judge_raised(self, trace: _Trace) -> None:
        raised, trace.raised = trace.raised, None
        if raised is None:
            return
        is_cancelled = trace.exception in {"", "CancelledError"}
        is_cut = is_cancelled and any(is_near(raised, each) for each in self._shutdowns)
        if trace.exception == "CancelledError" and not is_cut:
            self._cancelled.append(raised)  # the shutdown may be logged after it
            while len(self._cancelled) > MAX_KEPT:
                self._add_raised(self._cancelled.popleft(), trace.exception, is_cut=False)
        else:
            self._add_raised(raised, trace.exception, is_cut=is_cut)

    def _add_raised(self, raised: Logged, exception: str, *, is_cut: bool) -> None:
        if is_cut:
            what = "was cut off by a shutdown; the job itself did not fail"
            self._add("KST015", raised.event.job, what, raised.line)
            return
        kind = exception.partition(":")[0].rpartition(".")[2].strip()
        what = f"raised {kind}" if kind else "raised an exception"
        write = "let a ledger, a Reconciler and an alert find out: @once(ledger)"
        self._add("KST019", raised.event.job, what, raised.line, write=write, section="9.4")

    def _judge_time(self, run: Run) -> None:
        at, event = run.scheduled_at, run.event
        if at is None:
            return
        shown = event.rest.partition(")")[0]
        if event.zone == "LMT" or event.offset[4:] not in {"00", "15", "30", "45"}:
            self._add("KST002", event.job, f"is scheduled at {shown}, in local mean time", run.line)
        elif event.offset == "+00:00" and event.zone in {"", "UTC"} and has_an_hour(event.fields):
            what = f"is scheduled at {shown}, which is {at:%H:%M} in Korea"
            self._add("KST001", event.job, what, run.line)

    def _judge_hour(self, run: Run) -> None:
        fields, at = run.event.fields, run.scheduled_at
        if at is None or "minute" in fields or "second" not in fields or not has_an_hour(fields):
            return
        this = at.replace(minute=0, second=0, microsecond=0)
        key = run.event.job, run.event.trigger
        hour = self._hours.get_or_make(key, lambda: _Hour(this, run.line))
        if hour.hour != this:
            hour = self._hours[key] = _Hour(this, run.line)
        if at in hour.times:
            return
        hour.times.add(at)
        if len(hour.times) >= MANY:
            what = f"fires again and again in one hour: {run.event.trigger} leaves the minute open"
            count = MANY if len(hour.times) == MANY else 1
            self._add("KST004", run.event.job, what, hour.first, run.line, count=count)

    def _judge_same(self, runs: list[Run]) -> None:
        """Find a run that two processes did; one that was locked out, or repeats one, is none."""
        for number, run in enumerate(runs):
            if any(are_twice(other, run) for other in runs[:number]):
                who = " and ".join(sorted({each.line.process for each in runs} - {""})[:3])
                what = f"ran more than once for {run.event.rest.partition(')')[0]}"
                what += f", in {who}" if who else ", and the log does not say in which process"
                self._add("KST012", run.event.job, what, run.line)
                return

    def _judge_misses(self, misses: list[Logged]) -> None:
        """Tell why runs of one process were missed at once: what else ended just then?"""
        for miss in misses:
            late = span_of(miss.event.rest)
            what = f"was missed by {miss.event.rest.strip()[:40]}"
            held, begun = self._around(miss, late) if late is not None else ([], 0)
            if len(held) > 1 or begun >= POOL:
                self._add("KST009", miss.event.job, f"{what}, when other runs ended", miss.line)
            elif held:
                what += f", when {held[0].event.job} had ended, which held the event loop"
                self._add("KST010", miss.event.job, what, miss.line)
            else:
                self._add("KST008", miss.event.job, what, miss.line)

    def _around(self, miss: Logged, late: timedelta) -> tuple[list[Run], int]:
        """Return the runs that lasted as long as this one waited, and how many began when due."""
        held, begun = [], 0
        for run in self._runs:
            before = miss.line.seconds_after(run.line)
            if run.line.process != miss.line.process or before is None:
                continue
            begun += abs(before - late.total_seconds()) <= AT_ONCE
            end = miss.line.seconds_after(run.ended) if run.ended is not None else None
            if end is None or abs(end) > AT_ONCE:
                continue
            if before >= late.total_seconds() - AT_ONCE:
                held.append(run)
        return held, begun

    def _add(
        self,
        code: str,
        job: str,
        what: str,
        line: LogLine,
        last: LogLine | None = None,
        *,
        count: int = 1,
        write: str = "",
        section: str = "",
    ) -> None:
        key = code, job
        if key not in self._found and len(self._found) >= MAX_KEPT:
            key = code, ""
        if key not in self._found:
            known = CODES[code]
            self._found[key] = LogFinding(
                code, key[1], what, line, line, write or known.write, section or known.section
            )
        found = self._found[key]
        found.count += count
        last = last or line
        found.first = min(found.first, line, key=lambda each: each.number)
        found.last = max(found.last, last, key=lambda each: each.number)

    def finish(self) -> list[LogFinding]:
        """Return what was found, in the order of the codes."""
        for trace in self._traces.values():
            self._judge_raised(trace)
        for misses in self._misses.values():
            self._judge_misses(misses)
        for same in self._same.values():
            self._judge_same(same)
        for raised in self._cancelled:
            self._add_raised(raised, "CancelledError", is_cut=False)
        self._judge_skipped()
        self._judge_coroutines()
        return sorted(self._found.values(), key=lambda each: (each.code, each.job))

    def _judge_skipped(self) -> None:
        for job, run in self._skipped.items():
            found = self._found.get(("KST014", job))
            if found is None:
                continue
            if run.end:
                found.what = "skipped: a run takes longer than the time between two"
            else:
                found.what = f"skipped: the run of line {run.line.number} has not ended"

    def _judge_coroutines(self) -> None:
        for (name, near), line in self._coroutines.items():
            job = near or (name if name in self._instants else "")
            if job:
                seen = self._instants.get(job) or _Instants(line, line, 1)
                what = f"coroutine {name!r} was never awaited, and the run ended as it began"
                self._add("KST018", job, what, seen.first, seen.last, count=seen.count)
