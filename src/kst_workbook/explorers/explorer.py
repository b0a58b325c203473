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
from kst_workbook.explorers.drawing import PIXELS, WIDTH, Drawing, message

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

P = TypeVar("P")
R = TypeVar("R")

COLUMNS: Final = "repeat(auto-fit, minmax(420px, 1fr))"
"""Two controls beside each other where there is room for them."""
WIDE: Final = {"width": "100%", "max_width": "920px"}
PICTURE: Final = "kst-picture"
"""The class by which a page finds the picture of an explorer."""
_FADED: Final = '<div style="opacity:0.55">{}</div>'
"""A picture of settings that are no longer chosen, while those that are have none."""
_ERROR: Final = '<div style="line-height:1.4"><b>{}</b></div>'
_CODE: Final = '<pre style="line-height:1.3;margin:0;overflow-x:auto">{}</pre>'


@dataclass(frozen=True)
class Subject(Generic[P, R]):
    """What an explorer is about."""

    parameters: Callable[..., P]
    """Called with the value of each control by its name."""
    run: Callable[[P], R]
    draw: Callable[[P, R], Drawing]
    say: Callable[[P, R], str]
    """Returns what happened, as HTML."""
    write_code: Callable[[P], str]
    """Returns Python that makes the same picture."""
    caption: str
    """What stands for the explorer where nothing but text can be shown; always the same."""


class Explorer:
    """Controls, and beneath them a picture and a sentence that follow each change at once.

    One button pins the picture: it stays above, with the settings that have changed since. Another
    shows Python that makes the picture below. In JupyterLab an explorer shows as
    widgets, elsewhere as the picture of its first state.

    Args:
        subject: what it is about.
        controls: a widget for each parameter.

    """

    def __init__(self, subject: Subject[Any, Any], controls: dict[str, Any]) -> None:
        widgets = import_widgets()
        self.controls = controls
        self._subject = subject
        self._drawing: Drawing | None = None
        self._refusal = ""
        self._good: tuple[dict[str, str], str] | None = None
        """The settings of the last picture that could be drawn, and the picture with its words."""
        self._pinned: tuple[dict[str, str], str] | None = None
        self._waiting = False
        self._thread = threading.get_ident()
        self._loop = _running_loop()
        self.picture, self.sentence = widgets.HTML(), widgets.HTML()
        self.pinned, self.code = widgets.HTML(), widgets.HTML()
        self.pin = widgets.ToggleButton(description="pin and compare", icon="thumb-tack")
        self.as_code = widgets.ToggleButton(description="as code", icon="code")
        self.picture.add_class(PICTURE)
        grid = widgets.GridBox(
            list(controls.values()), layout={"grid_template_columns": COLUMNS, "width": "100%"}
        )
        buttons = widgets.HBox([self.pin, self.as_code])
        shown = [grid, buttons, self.pinned, self.picture, self.sentence, self.code]
        self.widget = widgets.VBox(shown, layout=WIDE)
        self._follow()
        self._first = self._drawing or message(self._refusal)
        for control in controls.values():
            control.observe(self._changed, "value")
        self.pin.observe(lambda _change: self._in_turn(self._move_pin), "value")
        self.as_code.observe(lambda _change: self._in_turn(self._follow), "value")

    def __repr__(self) -> str:
        return self._subject.caption

    def _repr_mimebundle_(self, **_options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return bundle(self.widget, self._first, self._subject.caption)

    def settings(self) -> dict[str, str]:
        """Return what each control shows, by its label."""
        return {control.description: _shown(control) for control in self.controls.values()}

    def _changed(self, _change: object) -> None:
        """Follow a control, once for all changes that come while a picture is drawn.

        The last value of a drag is always drawn: it is either there when ``_follow`` reads the
        controls, or comes later, finds nothing waiting, and schedules another call.
        """
        if not self._waiting:
            self._waiting = True
            self._in_turn(self._follow)

    def _in_turn(self, act: Callable[[], None]) -> None:
        """Call a function in the thread of the cells, after what was asked for before.

        JupyterLab lets widgets speak to a thread of their own (ipykernel's subshells), and a
        simulation patches the clocks of the whole process.
        """
        if self._loop is None or threading.get_ident() == self._thread:
            act()
        else:
            self._loop.call_soon_threadsafe(act)

    def _follow(self) -> None:
        self._waiting = False  # before the controls are read: a later change schedules another call
        subject = self._subject
        try:
            parameters = subject.parameters(
                **{name: control.value for name, control in self.controls.items()}
            )
            result = subject.run(parameters)
            self._drawing = subject.draw(parameters, result)
            picture, said = self._drawing.svg(), subject.say(parameters, result)
            code = subject.write_code(parameters) if self.as_code.value else ""
            self._good = self.settings(), picture + said
        except KSTSchedulerError as error:
            # A line that is being typed is wrong at every second letter: the last picture stays.
            picture = _FADED.format(self._drawing.svg()) if self._drawing else ""
            self._refusal, code = str(error), ""
            said = _ERROR.format(html.escape(self._refusal))
        self.picture.value, self.sentence.value = picture, said
        self.code.value = _CODE.format(html.escape(code)) if code else ""
        self._compare()

    def _move_pin(self) -> None:
        self._pinned = self._good if self.pin.value else None
        self._compare()

    def _compare(self) -> None:
        """Show the pinned picture, and which settings have changed since."""
        if self._pinned is None:
            self.pinned.value = ""
            return
        (pinned, shown), now = self._pinned, self.settings()
        changed = [
            f"{html.escape(name)} <b>{html.escape(before)}</b> (now {html.escape(now[name])})"
            for name, before in pinned.items()
            if now[name] != before
        ]
        words = ", ".join(changed) or "move a control to compare"
        self.pinned.value = f"Pinned: {words}{shown}<hr>"


def bundle(widget: Any, still: Drawing, caption: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a notebook stores, and its metadata.

    It is the widget, the picture for where there is none, and text. The picture is a PNG, as GitHub
    shows no SVG of a notebook, and is shown at half its size in dots.
    """
    shown: dict[str, Any] = dict(widget._repr_mimebundle_())
    picture = base64.b64encode(still.png()).decode("ascii")
    about = {"alt": still.title, "width": round(WIDTH * PIXELS)}
    return shown | {"image/png": picture, "text/plain": caption}, {"image/png": about}


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


def _shown(control: Any) -> str:
    """Return the value of a control as it stands beside it."""
    if isinstance(control.value, bool):
        return "on" if control.value else "off"
    return str(getattr(control, "label", control.value))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
