"""What all explorers share: controls, a picture and a sentence that follow them, a still picture.

What is shown is a function of what the controls say: parameters, then what follows from them, then
its picture and its words. So it can be tested, and measured, without a widget.
"""

from __future__ import annotations

import asyncio
import base64
import html
import importlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from kst_scheduler.errors import KSTSchedulerError
from kst_scheduler.timeline.words import count
from kst_workbook.errors import WorkbookError
from kst_workbook.explorers.pictures import message, png

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.figure import Figure

P = TypeVar("P")
R = TypeVar("R")

COLUMNS: Final = "repeat(auto-fit, minmax(420px, 1fr))"
"""Two controls beside each other where there is room for them."""
WIDE: Final = {"width": "100%", "max_width": "920px"}
UNSCALED: Final = {"max_width": "100%", "align_self": "flex-start"}


@dataclass(frozen=True)
class Subject(Generic[P, R]):
    """What an explorer is about."""

    parameters: Callable[..., P]
    """Called with the value of each control by its name."""
    run: Callable[[P], R]
    draw: Callable[[P, R], Figure]
    say: Callable[[P, R], str]
    """Returns what happened, as HTML."""
    caption: str
    """What stands for the explorer where nothing but text can be shown; always the same."""


class Explorer:
    """Controls, and beneath them a picture and a sentence that follow each change at once.

    In JupyterLab it shows as widgets, elsewhere as the picture of its first state.

    Args:
        subject: what it is about.
        controls: a widget for each parameter.

    """

    def __init__(self, subject: Subject[Any, Any], controls: dict[str, Any]) -> None:
        widgets = import_widgets()
        self.controls = controls
        self._subject = subject
        self._figure: Figure | None = None
        self._waiting = False
        self._thread = threading.get_ident()
        self._loop = _running_loop()
        grid = widgets.GridBox(
            list(controls.values()), layout={"grid_template_columns": COLUMNS, "width": "100%"}
        )
        self.picture = widgets.Image(format="png", layout=UNSCALED)
        self.sentence = widgets.HTML()
        self.widget = widgets.VBox([grid, self.picture, self.sentence], layout=WIDE)
        self._follow()
        self._still = self.picture.value
        for control in controls.values():
            control.observe(self._changed, "value")

    def __repr__(self) -> str:
        return self._subject.caption

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(self.widget, self._still, self._subject.caption)

    def _changed(self, _change: object) -> None:
        """Follow a control, in the thread that draws everything else, and once for many changes.

        JupyterLab lets widgets speak to a thread of their own (ipykernel's subshells), and
        matplotlib's settings, which pictures change for a moment, are those of the whole process.
        """
        if self._loop is None or threading.get_ident() == self._thread:
            self._follow()
        elif not self._waiting:
            self._waiting = True
            self._loop.call_soon_threadsafe(self._follow)

    def _follow(self) -> None:
        self._waiting = False  # before the controls are read: a later change asks again
        subject = self._subject
        try:
            parameters = subject.parameters(
                **{name: control.value for name, control in self.controls.items()}
            )
            result = subject.run(parameters)
            self._figure = subject.draw(parameters, result)
            said = subject.say(parameters, result)
        except KSTSchedulerError as error:
            self._figure = message(str(error), self._figure)
            said = f"<b>{html.escape(str(error))}</b>"
        self.picture.value = png(self._figure)
        self.sentence.value = said


def bundle(widget: Any, picture: bytes, caption: str) -> dict[str, Any]:
    """Return what a notebook stores: the widget, the picture for where there is none, and text."""
    shown: dict[str, Any] = dict(widget._repr_mimebundle_())
    still = base64.b64encode(picture).decode("ascii")
    return shown | {"image/png": still, "text/plain": caption}


def import_widgets() -> Any:
    """Return ipywidgets.

    Raises:
        WorkbookError: the kernel does not have it; the message says what to install.

    """
    try:
        return importlib.import_module("ipywidgets")
    except ImportError as error:
        raise WorkbookError(
            "explorers need the package ipywidgets where this kernel runs; write "
            "uv add ipywidgets, or pip install ipywidgets, and restart the kernel"
        ) from error


def labelled(kind: str, label: str, **options: Any) -> Any:
    """Return a control of that kind of ipywidgets, with a label wide enough for its unit."""
    control = getattr(import_widgets(), kind)
    style, layout = {"description_width": "170px"}, {"width": "420px"}
    return control(description=label, style=style, layout=layout, **options)


def status_counts(runs: pd.DataFrame) -> str:
    """Return how many runs a table has, and their outcomes."""
    found = runs["status"].value_counts(sort=False)
    parts = [
        count(number, str(status), "errors" if status == "error" else str(status))
        for status, number in found.items()
        if number
    ]
    return f"{count(len(runs), 'run')} due: {', '.join(parts) or 'none yet'}."


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
