"""Exercise 1.1: a requirement with a hole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement

from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import shown

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

WANTED: Final = {
    "3.10.4": False,
    "3.11.2": False,
    "3.11.3": True,
    "3.11.4": True,
    "3.12.0": False,
    "3.12.1": True,
    "3.13.0": True,
    "4.0.0a6": False,
    "4.0.0": False,
}
"""Whether the requirement should take each version; those from 3.11.4 on are made up."""
OTHERS: Final = {
    "3.9.0": False,
    "3.11.5": True,
    "3.12.2": True,
    "3.20.1": True,
    "3.99.0": True,
    "4.0.0a1": False,
    "4.0.1": False,
    "4.1.0": False,
    "5.0.0": False,
}
"""More of them, which are named only where they are wrong."""


@exercise(
    "1.1",
    title="A requirement with a hole",
    variable="requirement",
    hints=(
        "1.1 has the line for both ends. What is left is to take one version out.",
        "All clauses must hold. One that says `not this version` is written as in Python.",
        "Three clauses: not below the tested version, not the broken one, below 4.",
    ),
    solution="""
        requirement = "apscheduler>=3.11.3,!=3.12.0,<4"
    """,
    link="https://packaging.python.org/en/latest/specifications/version-specifiers/",
)
def requirement_with_a_hole(requirement: Any) -> Right:
    """Write a requirement for 3.11.3 and later 3.x, without 3.12.0."""
    specifier = _specifier(requirement)
    wanted = WANTED | OTHERS
    takes = {version: specifier.contains(version, prereleases=True) for version in wanted}
    wrong = [version for version in WANTED if takes[version] != WANTED[version]]
    wrong = wrong or [version for version in OTHERS if takes[version] != OTHERS[version]]
    taken = [version for version in wrong if takes[version]]
    refused = [version for version in wrong if not takes[version]]
    if wrong:
        parts = [_sentence("accepts", taken), _sentence("refuses", refused)]
        raise NotYetError(
            f"`{requirement}`\n\n" + "\n\n".join(filter(None, parts)) + f"\n\n{_reason(wrong)}"
        )
    return Right(
        f"It accepts {_listed([v for v in WANTED if takes[v]])}, and refuses "
        f"{_listed([v for v in WANTED if not takes[v]])}. Every clause must hold, so one more "
        "clause excludes one more version."
    )


def _specifier(requirement: Any) -> SpecifierSet:
    if not isinstance(requirement, str):
        raise NotYetError(f"`requirement` is {shown(requirement)}. Expected a line of text.")
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise NotYetError(f"`packaging` cannot read {shown(requirement)}: {reason}.") from error
    if re.sub(r"[-_.]+", "-", parsed.name).lower() != "apscheduler":
        raise NotYetError(f"Your line requires `{parsed.name}`. The package is `apscheduler`.")
    _refuse_a_false_marker(parsed)
    return parsed.specifier


def _refuse_a_false_marker(parsed: Requirement) -> None:
    if parsed.marker is None:
        return
    try:
        holds = parsed.marker.evaluate({"extra": ""})
    except UndefinedEnvironmentName:
        holds = False
    if not holds:
        raise NotYetError(
            f"Your line has a condition, `{parsed.marker}`, and it is false here: installers skip "
            "the whole line."
        )


def _sentence(verb: str, versions: list[str]) -> str:
    return f"It {verb} {_listed(versions)}, but should not." if versions else ""


def _reason(wrong: list[str]) -> str:
    """Say why the first of the versions matters."""
    if "3.11.3" in wrong:
        return "3.11.3 is the version you have tested."
    if {"3.9.0", "3.10.4", "3.11.2"} & set(wrong):
        return "It should accept nothing older than the version you have tested."
    if any(version.startswith(("4", "5")) for version in wrong):
        return "4.0 and its alphas have another API."
    if "3.12.0" in wrong:
        return "3.12.0 is the one that breaks your service in this exercise."
    return "It should accept later releases of 3.x, above all bug fixes."


def _listed(versions: list[str]) -> str:
    *most, last = [f"`{version}`" for version in versions]
    return f"{', '.join(most)} and {last}" if most else last
