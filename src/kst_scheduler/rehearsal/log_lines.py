"""The lines of a log that are of APScheduler, in the formats in which logs are usually written.

A line is a header, APScheduler's message, and what a formatter wrote after it. The header is of the
log's own making, or of what carried it: journald, Docker, Kubernetes. Or all of it is JSON.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE: Final = 1 << 16
"""Characters of a line that are read; the rest is skipped."""
GZIP: Final = b"\x1f\x8b"
"""How a compressed file begins (RFC 1952)."""
MAX_HEADER: Final = 1_000
"""Characters before a message; a line that has more of them is of another logger."""

_WORDS: Final = (
    'Running job "',
    'Job "',
    'Run time of job "',
    'Execution of job "',
    'Unable to restore job "',
    "Scheduler started",
    "Scheduler has been shut down",
    "Drained the scheduler",
    "Job identifier (",
    "This Job cannot be serialized since",
    "Job (",
)
"""How the messages begin that tell something (APScheduler 3.11.3)."""
_MESSAGE: Final = re.compile("|".join(map(re.escape, _WORDS)))
_OF_INTEREST: Final = re.compile(
    r"(?:Running j|Run time of j|Execution of j|Unable to restore j|J)ob \\*\"|"
    r"Scheduler (?:st|has)|Drained the|Job identifier|Job \(|This Job|Traceback \(|"
    r"[Ff]ile \\*\"|Error|Exception|"
    r"never awaited|exception occurred:|direct cause of"
)
_ANSI: Final = re.compile(r"\x1b\[[0-9;]{0,30}[A-Za-z]")
_ISO: Final = (
    r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|KST|[+-]\d\d:?\d\d)\b)?"
)
_SHORT: Final = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?"
_TIME: Final = re.compile(rf"{_ISO}|\b\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?")
_KUBECTL: Final = re.compile(r"\[(?P<source>(?:pod/)?[\w.-]{1,250}(?:/[\w.-]{1,250})?)\] (?=\S)")
_LEVELS: Final = r"(?i:debug|info|warn|warning|error|critical|fatal|notice)"
_COMPOSE: Final = re.compile(rf"(?!{_LEVELS}\b)(?P<source>[\w.-]{{1,250}}) {{0,99}}\| ")
_STAMP: Final = re.compile(rf"(?P<time>{_ISO}) (?:std(?:out|err) [FP] )?(?=\S)")
_JOURNAL: Final = re.compile(
    rf"(?:[A-Z][a-z]{{2}} )?(?P<time>{_SHORT}|{_ISO}) (?!{_LEVELS}\b)"
    r"(?P<source>(?:[^\s\[\]]{1,250} )?[^\s:\[\]]{1,250}\[[\w.-]{1,99}\]): "
)
_SYSLOG: Final = re.compile(rf"(?P<time>{_SHORT}) (?P<source>\S{{1,250}} [^\s:\[\]]{{1,250}}): ")

_LOGGER: Final = re.compile(r"(?<![\w./\\-])apscheduler(?:\.[\w.-]{1,250})?(?![\w/\\])")
_PID: Final = re.compile(
    r"\b[Pp][Ii][Dd]\W{0,3}(\d{1,9})\b|[\[(/](\d{1,7})[\])]|\A\W{0,5}(\d{1,7})\b(?!\.)|"
    r"\b(\d{1,7}) \d{5,20}\b|\bprocess=(\d{1,9})\b"
)
_KNOWN: Final = re.compile(
    rf"\b{_LEVELS}\b|\b(?:ConflictingIdError|TransientJobError|ValueError)\b"
    r"|\[[^\[\]]{0,250}\]|\([^()]{0,250}\)|\b[\w.]{1,99}=\S{0,250}|\b[\w./]{1,250}\.py(?::\w{1,99}){0,2}"
    r"|[\w.-]{1,99}(?:/[\w.-]{1,99}){1,9}|\b[AP]M\b"
    r"|\b(?:MainThread|(?:Main|Spawn|Fork)\w{1,20}(?:-\d{1,9})?|APScheduler)\b"
    r"|\b(?:Thread|Dummy|ThreadPoolExecutor|asyncio)[-_][\d_]+(?: \(\w{0,99}\))?"
    r"|\b(?:base|kst_scheduler|executor|run_job|run_coroutine_job|_process_jobs|start|shutdown)\b(?!\.)"
    r"|\b(?:sqlalchemy|mongodb|redis|etcd|rethinkdb|zookeeper|_get_jobs)\b(?![.:])"
    r"|\b\d+(?:\.\d+)?\b|(?<!\w)[IWEDC](?!\w)"
)
"""What a header has that is no logger's name and no prose."""
_WORD: Final = re.compile(r"[^\W\d][\w.-]{0,250}(?P<colon>:?)")
_NAME: Final = re.compile(r"\[([A-Za-z_]\w{0,99}(?:\.[\w-]{1,99}){0,9})\]")
_LOGGER_PAIR: Final = re.compile(r"\b(?:logger|logger_name|name)=\"?([\w.-]{1,250})")
_KEY_BEFORE: Final = re.compile(r'"(?:message|msg|event|log|MESSAGE)": ?"\Z')
_CUT_LOGGER: Final = re.compile(r'"(?:name|logger|logger_name)": ?"([^"]{0,250})"')
_CUT_PID: Final = re.compile(r'"(?:process|pid)": ?(\d{1,9})')

_TEXTS: Final = ("message", "msg", "event", "MESSAGE", "log", "text", "textPayload")
_TIMES: Final = (
    *("timestamp", "asctime", "@timestamp", "time", "ts", "datetime", "created"),
    "__REALTIME_TIMESTAMP",
)
_LOGGERS: Final = ("logger", "logger_name", "loggerName", "log.logger", "name")
_SOURCES: Final = (
    *("host", "hostname", "_HOSTNAME", "host.name", "pod", "pod_name", "container", "node"),
    *("container_name", "process", "pid", "process_id", "process.pid", "_PID"),
)
_NESTED: Final = ("log", "host", "process", "kubernetes", "container")
_ERRORS: Final = ("exc_info", "exception", "exc_text", "error.stack_trace", "stack_trace", "stack")


@dataclass(frozen=True)
class LogLine:
    """One line: what carried it, and APScheduler's message, if it has one."""

    number: int
    text: str
    """The line without what carried it."""
    message: str = ""
    """APScheduler's message and what follows; empty: it has none, or another logger logged it."""
    source: str = ""
    """The host, pod or container that wrote it; empty: the line does not say so."""
    process: str = ""
    """The source and the process id, as far as the line names them."""
    time: str = ""
    """As it is written; empty: the line has none."""
    at: datetime | None = None
    """The same; in UTC where a zone is written. One without a date or year is of 1904."""
    trace: str = ""
    """A traceback that is in the line itself."""

    def seconds_after(self, other: LogLine) -> float | None:
        """Return how much later than another line this is; None: they do not tell."""
        if (
            self.at is None
            or other.at is None
            or (self.at.tzinfo is None) != (other.at.tzinfo is None)
        ):
            return None
        return (self.at - other.at).total_seconds()


def read_lines(stream: IO[bytes], count: list[int]) -> Iterator[LogLine]:
    """Yield the lines that may tell something, and count all.

    Reads as it goes. Bytes that cannot be decoded are replaced; UTF-16 is known by its mark, as
    Windows PowerShell writes it, and so is what gzip has compressed, as logrotate lets it.

    Raises:
        OSError, EOFError, zlib.error: it cannot be read, or be decompressed.

    """
    given = io.BufferedReader(stream)  # type: ignore[type-var]
    try:
        if given.peek(2)[:2] == GZIP:
            yield from _read_text(gzip.GzipFile(fileobj=given), count)  # type: ignore[arg-type]
        else:
            yield from _read_text(given, count)
    finally:
        given.detach()  # the stream is the caller's


def _read_text(stream: IO[bytes], count: list[int]) -> Iterator[LogLine]:
    buffered = io.BufferedReader(stream)  # type: ignore[type-var]
    is_wide = buffered.peek(2)[:2] in {b"\xff\xfe", b"\xfe\xff"}
    encoding = "utf-16" if is_wide else "utf-8-sig"
    lines = io.TextIOWrapper(buffered, encoding, errors="replace", newline="\n")
    count.append(0)
    try:
        while text := lines.readline(MAX_LINE):
            count[0] += 1
            rest = text
            while len(rest) == MAX_LINE and not rest.endswith("\n"):
                rest = lines.readline(MAX_LINE)
            if _OF_INTEREST.search(text):
                yield parse_line(text, count[0])
    finally:
        lines.detach()
        buffered.detach()


def parse_line(text: str, number: int) -> LogLine:
    """Return what a line says of its time and process, and its message of APScheduler."""
    text = _ANSI.sub("", text).rstrip()
    source, time, text = _without_carrier(text)
    if text.startswith("{"):
        fields = _json(text)
        if fields is not None:
            return _from_json(fields, number, source, time)
        return _from_cut_json(text, number, source, time)
    return _from_text(text, number, source, time)


def _without_carrier(text: str) -> tuple[str, str, str]:
    """Take off what journald, Docker or kubectl put before a line."""
    source, time = "", ""
    for carrier in (_KUBECTL, _COMPOSE, _JOURNAL, _SYSLOG, _STAMP):
        found = carrier.match(text)
        if found is None:
            continue
        parts, rest = found.groupdict(), text[found.end() :]
        if carrier is _KUBECTL and "/" not in parts["source"]:
            continue  # such as [INFO]
        if carrier is _STAMP and not (_is_begin(rest) or parts["time"].endswith("Z")):
            continue  # the log's own, which stands in the header
        source = parts.get("source") or source
        time = parts.get("time") or time
        text = rest
    return source, time, text


def _is_begin(text: str) -> bool:
    return text.startswith("{") or _TIME.match(text) is not None


def _json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _from_json(fields: dict[str, Any], number: int, source: str, time: str) -> LogLine:
    for name in _NESTED:
        if isinstance(inner := fields.get(name), dict):
            fields = {f"{name}.{key}": value for key, value in inner.items()} | fields
            if name == "kubernetes":
                fields = inner | fields
    text = _ANSI.sub("", _first(fields, *_TEXTS)).rstrip()
    logger = _first(fields, *_LOGGERS)
    stamp = next((fields[name] for name in _TIMES if _stamp(fields.get(name))[1]), None)
    shown, _ = _stamp(stamp)
    values = [fields.get(name) for name in _SOURCES]
    who = " ".join(str(each) for each in values if isinstance(each, str | int))
    inner_line = _from_text(text, number, source, time, logger=logger)
    first, _, more = text.partition("\n")
    if logger not in {"", "py.warnings"} and not inner_line.message:
        first = ""  # words of another logger; its tracebacks may still be of APScheduler
    trace = "\n".join(_first(fields, name) for name in _ERRORS) + f"\n{more}"
    return LogLine(
        number,
        first,
        inner_line.message.partition("\n")[0],
        source,
        " ".join(each for each in (inner_line.process, who) if each),
        shown or inner_line.time,
        _stamp(stamp)[1] or inner_line.at,
        trace.strip("\n"),
    )


def _first(fields: dict[str, Any], *names: str) -> str:
    return next((found for name in names if isinstance(found := fields.get(name), str)), "")


def _from_cut_json(text: str, number: int, source: str, time: str) -> LogLine:
    """Read JSON that ends too early, or is cut: only a message in a known place counts."""
    plain = text.replace('\\"', '"')
    found, logger = _MESSAGE.search(plain), _CUT_LOGGER.search(plain)
    is_ours = logger is None or _LOGGER.fullmatch(logger[1]) is not None
    stamp, pid = _TIME.search(plain[: found.start() if found else 0]), _CUT_PID.search(plain)
    time = time or (stamp[0] if stamp else "")
    process = " ".join(each for each in (source, pid[1] if pid else "") if each)
    message = ""
    if found and is_ours and _KEY_BEFORE.search(plain, max(0, found.start() - 20), found.start()):
        message = plain[found.start() :]
    return LogLine(number, plain, message, source, process, time, _stamp(time)[1])


def _from_text(text: str, number: int, source: str, time: str, logger: str = "") -> LogLine:
    if '\\"' in text:
        text = text.replace('\\"', '"')  # logfmt
    found = _MESSAGE.search(text)
    if found and found.start() > MAX_HEADER:
        found = None
    header = text[: found.start()] if found else ""
    stamp = _TIME.search(header)
    before, rest = "", header
    if stamp is not None:
        before, rest = header[: stamp.start()], header[stamp.end() :]
    pid = _PID.search(rest) or _PID.search(before)
    message = text[found.start() :] if found else ""
    if message and not _is_ours(before, rest, stamp is not None, message, logger):
        message = ""
    process = " ".join(each for each in (source, _host(before), _pid(pid)) if each)
    if not time and stamp is not None:
        time = stamp[0]
    return LogLine(number, text, message, source, process, time, _stamp(time)[1])


def _pid(found: re.Match[str] | None) -> str:
    return next(filter(None, found.groups()), "") if found else ""


def _host(before: str) -> str:
    """Return the pod and container that stern writes before the time."""
    words = _KNOWN.sub(" ", before)
    return " ".join(each[0] for each in _WORD.finditer(words) if not each["colon"])


def _is_ours(before: str, rest: str, has_time: bool, message: str, logger: str) -> bool:
    """Tell whether APScheduler logged a message: by the logger's name, or as nothing says other."""
    if logger:
        return _LOGGER.fullmatch(logger) is not None
    header = rest if has_time else before + rest
    if pair := _LOGGER_PAIR.search(header) or _LOGGER_PAIR.search(message[-500:]):
        return _LOGGER.fullmatch(pair[1]) is not None
    named = _LOGGER.search(before + rest) or _LOGGER.search(header)
    behind = _names_behind(message)
    brackets = _NAME.findall(header) + behind
    if named is None:
        named = next((each for each in map(_LOGGER.fullmatch, brackets) if each), None)
    left = _KNOWN.sub(" ", _LOGGER.sub(" ", header))
    words = list(_WORD.finditer(left))
    if named is not None:  # beside it at most the name of a thread
        return len(words) <= 1 and not any(each["colon"] or "." in each[0] for each in words)
    others = [each for each in brackets if "." in each or each in {"root", "__main__"}]
    return not (words or others or behind)


def _names_behind(message: str) -> list[str]:
    """Return the logger that structlog's console writes behind a message."""
    end = message[-300:].rpartition("  [")[2]
    return _NAME.findall(f"[{end}") if end != message[-300:] else []


def _stamp(value: object) -> tuple[str, datetime | None]:
    """Return a time as it is written, and as a moment; numbers count from 1970."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= len("1234567890123456789"):
        value = int(value)
    if isinstance(value, int | float) and 1e8 < value < 1e20:  # noqa: PLR2004 - 1973 and later
        while value > 1e11:  # noqa: PLR2004 - milliseconds, microseconds or nanoseconds
            value /= 1000
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
        return at.isoformat(sep=" ", timespec="milliseconds"), at
    if not isinstance(value, str):
        return "", None
    return value, _moment(value)


def _moment(text: str) -> datetime | None:
    plain = text.replace(",", ".").replace("/", "-").replace(" +", "+").replace(" -", "-")
    plain = plain.removesuffix(" UTC") + "+00:00" if plain.endswith(" UTC") else plain
    plain = plain.removesuffix(" KST") + "+09:00" if plain.endswith(" KST") else plain
    plain = re.sub(r"(\.\d{6})\d+", r"\1", plain)
    if re.match(r"\d\d:", plain):
        plain = f"1904-01-01 {plain}"
    try:
        if plain[:1].isalpha():  # no year: one that has each day
            base, _, part = plain.partition(".")
            at = datetime.strptime(f"1904 {base}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007
            return at + timedelta(seconds=float(f"0.{part or 0}"))
        at = datetime.fromisoformat(plain)
        return at.astimezone(UTC) if at.tzinfo else at
    except (ValueError, OverflowError):
        return None
