from __future__ import annotations

import asyncio
import base64
import sys
import threading
from dataclasses import dataclass

import pytest
from matplotlib.figure import Figure

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.errors import WorkbookError
from kst_workbook.explorers import misfire_explorer
from kst_workbook.explorers.explorer import Explorer, Subject, labelled

VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Parameters:
    """One number."""

    number: int


class Counting:
    """A subject that draws a number as the size of its picture, and counts its drawings."""

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.explorer = Explorer(
            Subject(
                Parameters, self.run, self.draw, lambda p, _: f"<i>{p.number}</i>", "Counting."
            ),
            {"number": labelled("IntSlider", "number (s)", value=1, min=0, max=100)},
        )

    def run(self, parameters: Parameters) -> int:
        """Return the number, but 13."""
        if parameters.number == 13:
            raise InvalidArgumentError("13 brings <bad> luck")
        return parameters.number

    def draw(self, _parameters: Parameters, number: int) -> Figure:
        """Return a figure whose size is the number."""
        self.drawn.append(number)
        return Figure(figsize=(1 + number / 100, 1), dpi=20)


def test_it_holds_the_widget_a_picture_and_a_sentence() -> None:
    """JupyterLab takes the widget, a page the picture, and nbval compares the sentence."""
    explorer = Counting().explorer
    shown = explorer._repr_mimebundle_()
    assert shown.keys() == {VIEW, "image/png", "text/plain"}
    assert shown[VIEW]["model_id"] == explorer.widget.model_id
    assert base64.b64decode(shown["image/png"]) == explorer.picture.value
    assert shown["text/plain"] == repr(explorer) == "Counting."


def test_what_is_stored_stays_that_of_the_first_state() -> None:
    """A notebook that is shown again does not depend on where the sliders were left."""
    explorer = Counting().explorer
    before = explorer._repr_mimebundle_()
    explorer.controls["number"].value = 50
    assert explorer._repr_mimebundle_() == before
    assert explorer.picture.value != base64.b64decode(before["image/png"])


def test_an_error_stands_in_place_of_the_picture() -> None:
    """It is as tall as the picture was, its words are escaped, and it goes away again."""
    explorer = Counting().explorer
    explorer.controls["number"].value = 13
    assert explorer.sentence.value == "<b>13 brings &lt;bad&gt; luck</b>"
    wrong = explorer.picture.value
    explorer.controls["number"].value = 14
    assert explorer.sentence.value == "<i>14</i>"
    assert explorer.picture.value != wrong


@in_loop
async def test_changes_from_another_thread_end_with_the_newest_value() -> None:
    """JupyterLab's widgets speak to a thread of their own; the first one draws."""
    counting = Counting()
    control = counting.explorer.controls["number"]

    def move() -> None:
        for number in (10, 20, 30):
            control.value = number

    thread = asyncio.get_running_loop().run_in_executor(None, move)
    await thread
    await asyncio.sleep(0)
    assert counting.drawn[-1] == 30
    assert counting.explorer.sentence.value == "<i>30</i>"


@in_loop
async def test_a_burst_while_the_loop_is_busy_is_one_redraw() -> None:
    """Values that are out of date by then are never drawn."""
    counting = Counting()
    control = counting.explorer.controls["number"]
    for number in (10, 20, 30):
        thread = threading.Thread(target=setattr, args=(control, "value", number))
        thread.start()
        thread.join()  # blocks the loop, as a cell does that computes
    assert counting.drawn == [1]
    await asyncio.sleep(0)
    assert counting.drawn == [1, 30]


def test_a_kernel_without_ipywidgets_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the remedy."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(WorkbookError, match=r"need the package ipywidgets .* uv add ipywidgets"):
        misfire_explorer()
