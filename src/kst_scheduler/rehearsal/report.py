"""The forms of a rehearsal: text, JSON, annotations of GitHub, SARIF; and those of a log."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.choices import FORMS, LOG_FORMS
from kst_scheduler.rehearsal.findings import CODES
from kst_scheduler.rehearsal.log_faults import NOT_SHOWN
from kst_scheduler.rehearsal.place import shown
from kst_scheduler.rehearsal.stretches import AFTER, BEFORE, MAX_FIRES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kst_scheduler.rehearsal.findings import Finding
    from kst_scheduler.rehearsal.log_faults import LogFinding, LogReport
    from kst_scheduler.rehearsal.log_lines import LogLine
    from kst_scheduler.rehearsal.place import Place
    from kst_scheduler.rehearsal.rehearse import Rehearsal

MINUTE: Final = timedelta(minutes=1)
COLOURS: Final = {"error": "31", "warning": "33", "note": "36"}
GITHUB: Final = {"error": "error", "warning": "warning", "note": "notice"}


def as_text(rehearsal: Rehearsal, *, colour: bool = False) -> str:
    """Return two lines a finding, under one that says what was rehearsed."""
    lines = [head(rehearsal)]
    width = max((len(each.job) for each in rehearsal.findings), default=0)
    for each in rehearsal.findings:
        level = f"{each.level:7}"
        level = f"\033[{COLOURS[each.level]}m{level}\033[0m" if colour else level
        place = place_in(rehearsal, each.place)
        about = "  ".join(part for part in (each.job.ljust(width), place, each.what) if part)
        lines += [f"{each.code} {level} {about}", f"       {each.write}; notebook {each.section}"]
    if rehearsal.shortened:
        lines.append(_shortened(rehearsal.shortened))
    for what, count in rehearsal.refused.items():
        lines.append(f"refused {count} times: {what}")
    return "\n".join(line.rstrip() for line in lines)


def as_table(rehearsal: Rehearsal) -> str:
    """Return the findings as a table in HTML, for a page and for a notebook."""
    rows = "\n".join(
        f'<tr><td class="{each.level}">{each.code}<br>{each.level}<td>{escape(each.job)}'
        f"<td><code>{escape(place_in(rehearsal, each.place))}</code>"
        f"<td>{escape(each.what)}<br><em>{escape(each.write)}; notebook {each.section}</em></tr>"
        for each in rehearsal.findings
    )
    titles = "<tr><th>code<th>job<th>line<th>what happened, and what to write</tr>"
    return f"<table>{titles}\n{rows or '<tr><td colspan=4>Nothing was found.</tr>'}\n</table>"


def as_json(rehearsal: Rehearsal) -> str:
    """Return the findings with their rows, as JSON."""
    found = {
        "target": rehearsal.target,
        "nights": rehearsal.nights,
        "nodes": list(rehearsal.nodes),
        "host_timezone": rehearsal.host_timezone,
        "findings": [
            {
                "code": each.code,
                "level": each.level,
                "job": each.job,
                "file": _file(rehearsal, each.place),
                "line": each.place.line or None,
                "what": each.what,
                "write": each.write,
                "notebook": each.section,
                "is_read": each.is_read,
                "rows": [] if each.rows is None else _rows(each.rows),
            }
            for each in rehearsal.findings
        ],
        "shortened": list(rehearsal.shortened),
        "refused": rehearsal.refused,
    }
    return json.dumps(found, ensure_ascii=False, indent=2)


def as_github(rehearsal: Rehearsal) -> str:
    """Return a workflow command a finding (GitHub Actions, "Workflow commands")."""
    return "\n".join(
        f"::{GITHUB[each.level]} file={_property(_file_in_repository(each.place))},"
        f"line={each.place.line or 1},title={_property(f'{each.code} {each.job}'.strip())}::"
        f"{_data(f'{each.what}; {each.write}')}"
        for each in rehearsal.findings
    )


def as_sarif(rehearsal: Rehearsal) -> str:
    """Return the findings as SARIF 2.1.0, which code scanning reads."""
    used = [CODES[name] for name in sorted({each.code for each in rehearsal.findings})]
    run = {
        "tool": {
            "driver": {
                "name": "kst-scheduler rehearse",
                "rules": [
                    {
                        "id": each.code,
                        "shortDescription": {"text": each.title},
                        "fullDescription": {"text": each.explanation},
                        "help": {"text": each.write},
                        "defaultConfiguration": {"level": each.level},
                    }
                    for each in used
                ],
            }
        },
        "results": [_sarif_result(each) for each in rehearsal.findings],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


WRITERS: Final = dict(zip(FORMS, (as_text, as_json, as_github, as_sarif), strict=True))


def head(rehearsal: Rehearsal) -> str:
    """Return one line: what was rehearsed, and how many findings there are."""
    count, found = len(rehearsal.nodes), len(rehearsal.findings)
    nights = f"{rehearsal.nights} night{'' if rehearsal.nights == 1 else 's'}"
    return (
        f"{rehearsal.target}, {count} replica{'s' if count > 1 else ''} on "
        f"{rehearsal.host_timezone} hosts, {nights}, {rehearsal.bad_nights} of them bad: "
        f"{found or 'no'} finding{'' if found == 1 else 's'}"
    )


def _shortened(jobs: Sequence[str]) -> str:
    others = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return (
        f"due more than {MAX_FIRES} times a night, so rehearsed from "
        f"{BEFORE // MINUTE} minutes before the first fire of each night to {AFTER // MINUTE} "
        f"minutes after it: {jobs[0]}{others}"
    )


def _sarif_result(finding: Finding) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": finding.level,
        "message": {"text": f"{finding.job}: {finding.what}" if finding.job else finding.what},
    }
    if finding.place.file:
        result["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _file_in_repository(finding.place)},
                    "region": {"startLine": finding.place.line},
                }
            }
        ]
    return result


def place_in(rehearsal: Rehearsal, place: Place) -> str:
    """Return a place as the reader writes it, such as "app.py:14"; empty: there is none."""
    return f"{_file(rehearsal, place)}:{place.line}" if place.file else ""


def _file(rehearsal: Rehearsal, place: Place) -> str:
    return shown(place.file, rehearsal.current) if place.file else ""


def _file_in_repository(place: Place) -> str:
    """Return a file as GitHub wants it: from the repository's root, or the current folder."""
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    if place.file and Path(place.file).is_relative_to(root):
        return Path(place.file).relative_to(root).as_posix()
    return place.file


def _rows(rows: Any) -> list[dict[str, str]]:
    return [
        {name: "" if str(value) == "NaT" else str(value) for name, value in row.items()}
        for row in rows.to_dict("records")
    ]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def log_as_text(name: str, report: LogReport) -> str:
    """Return two lines a finding of a log, and what a log does not show."""
    found = report.findings
    head = f"{_printable(name)}, {report.lines} lines, {report.messages} of APScheduler: "
    lines = [head + f"{len(found) or 'no'} finding{'' if len(found) == 1 else 's'}"]
    width = max((len(_printable(each.job)) for each in found), default=0)
    for each in found:
        job = _printable(each.job).ljust(width)
        lines += [
            f"{each.code} {each.level:7} {job}  {_span(each)}: {_printable(each.what)}",
            f"       {each.write}; notebook {each.section}",
        ]
    lines += ["", "A log does not show:", *(f"  - {each}" for each in NOT_SHOWN)]
    return "\n".join(line.rstrip() for line in lines)


def _span(finding: LogFinding) -> str:
    first, last = _when(finding.first), _when(finding.last)
    if finding.count == 1:
        return f"once, {first}"
    return f"{finding.count} times, {first} to {last}"


def _when(line: LogLine) -> str:
    return _printable(line.time) or f"line {line.number}"


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


def log_as_json(name: str, report: LogReport) -> str:
    """Return the same as JSON, with the numbers of the lines."""
    found = {
        "log": name,
        "lines": report.lines,
        "apscheduler_lines": report.messages,
        "findings": [
            {
                "code": each.code,
                "level": each.level,
                "job": each.job,
                "count": each.count,
                "first": each.first.time or None,
                "last": each.last.time or None,
                "first_line": each.first.number,
                "last_line": each.last.number,
                "what": each.what,
                "write": each.write,
                "notebook": each.section,
            }
            for each in report.findings
        ],
        "not_shown": list(NOT_SHOWN),
    }
    text = json.dumps(found, ensure_ascii=False, indent=2)
    return text.encode(errors="backslashreplace").decode()  # half a character, as JSON writes it


LOG_WRITERS: Final = dict(zip(LOG_FORMS, (log_as_text, log_as_json), strict=True))
