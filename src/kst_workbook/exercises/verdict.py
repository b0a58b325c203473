"""How a verdict, a hint or a solution looks in a notebook, and as plain text."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from kst_workbook.exercises.exercise import Picture


_SIGNS: Final[dict[str, tuple[str, str]]] = {
    "not attempted": ("○", "#56606b"),
    "not yet": ("△", "#d55e00"),
    "right": ("✓", "#009e73"),
}
"""A sign and a colour (Okabe and Ito's, but for the grey) for each outcome."""
_CAPTIONS: Final = ("What your answer does:", "What is expected:")


@dataclass(frozen=True)
class Verdict:
    """What became of an answer; a notebook shows it with its pictures."""

    number: str
    outcome: Literal["not attempted", "not yet", "right"]
    message: str
    pictures: tuple[Picture, ...] = ()
    """One that shows what the answer does and what it should do, or one of each."""
    notes: tuple[str, ...] = ()
    link: str = ""

    def with_notes(self, *notes: str) -> Verdict:
        """Return the same verdict with more notes beneath it."""
        return replace(self, notes=(*self.notes, *notes))

    def __repr__(self) -> str:
        sign = _SIGNS[self.outcome][0]
        link = [f"Read more: {self.link}"] if self.link else []
        return "\n".join(
            [f"{sign} {self.number}: {self.outcome}", self.message, *self.notes, *link]
        )

    def _repr_html_(self) -> str:
        sign, colour = _SIGNS[self.outcome]
        parts = [_heading(f"{sign} {self.number}: {self.outcome}", colour), _html(self.message)]
        captions = _CAPTIONS if len(self.pictures) > 1 else ("",)
        parts += map(_picture, self.pictures, captions)
        parts += [f"<em>{_html(note)}</em>" for note in self.notes]
        return _box([*parts, _anchor(self.link)], colour)


@dataclass(frozen=True)
class Note:
    """A hint or a solution."""

    heading: str
    message: str
    code: str = ""
    link: str = ""

    def __repr__(self) -> str:
        return "\n\n".join(filter(None, [self.heading, self.message, self.code, self.link]))

    def _repr_html_(self) -> str:
        code = f"<pre>{escape(self.code)}</pre>" if self.code else ""
        parts = [_heading(self.heading, "#0072b2"), _html(self.message), code, _anchor(self.link)]
        return _box(parts, "#0072b2")


def _box(parts: list[str], colour: str) -> str:
    inner = "".join(parts)
    return f'<div style="border-left: 4px solid {colour}; padding: 2px 12px">{inner}</div>'


def _heading(words: str, colour: str) -> str:
    return f'<strong style="color: {colour}">{escape(words)}</strong>'


def _html(message: str) -> str:
    """Return paragraphs; what stands between backticks is code, and a line with a dash an item."""
    paragraphs = [escape(part, quote=False) for part in message.split("\n\n") if part]
    return "".join(
        "<p>" + re.sub("`([^`]+)`", r"<code>\1</code>", part).replace("\n", "<br>") + "</p>"
        for part in paragraphs
    )


def _picture(draw: Picture, caption: str) -> str:
    data = base64.b64encode(draw()).decode()
    image = f'<img src="data:image/png;base64,{data}" style="max-width: 100%" alt="{caption}">'
    return f"<p>{caption}</p><p>{image}</p>"


def _anchor(link: str) -> str:
    return f'<p><a href="{escape(link)}" target="_blank">Read more</a></p>' if link else ""
