from __future__ import annotations

import asyncio
import sys
import threading
from base64 import b64decode
from dataclasses import dataclass

import pytest

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.errors import WorkbookError
from kst_workbook.explorers import misfire_explorer
from kst_workbook.explorers.drawing import Drawing, Words
from kst_workbook.explorers.explorer import PICTURE, Explorer, Subject, labelled

VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Parameters:
    """One number."""

    number: int


class Counting:
    """A subject that draws a number, and counts its drawings."""

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.explorer = Explorer(
            Subject(
                Parameters,
                self.run,
                self.draw,
                lambda p, _: f"<i>{p.number}</i>",
                lambda p: f"print({p.number} < 2)\n",
                "Counting.",
            ),
            {"number": labelled("IntSlider", "number (s)", value=1, min=0, max=100)},
        )

    def run(self, parameters: Parameters) -> int:
        """Return the number, but 13."""
        if parameters.number == 13:
            raise InvalidArgumentError("13 brings <bad> luck")
        return parameters.number

    def draw(self, _parameters: Parameters, number: int) -> Drawing:
        """Return a drawing of the number."""
        self.drawn.append(number)
        return Drawing(f"number {number}", 40, [Words(10, 30, str(number))])

    def move(self, number: int) -> None:
        """Move the slider."""
        self.explorer.controls["number"].value = number


def test_it_holds_the_widget_a_picture_and_a_sentence() -> None:
    """JupyterLab takes the widget, a page the picture, and nbval compares the sentence."""
    explorer = Counting().explorer
    shown, metadata = explorer._repr_mimebundle_()
    assert shown.keys() == {VIEW, "image/png", "text/plain"}
    assert shown[VIEW]["model_id"] == explorer.widget.model_id
    assert b64decode(shown["image/png"]) == Drawing("", 40, [Words(10, 30, "1")]).png()
    assert metadata == {"image/png": {"alt": "number 1", "width": 900}}
    assert shown["text/plain"] == repr(explorer) == "Counting."
    assert explorer.picture._dom_classes == (PICTURE,)


def test_what_is_stored_stays_that_of_the_first_state() -> None:
    """A notebook that is shown again does not depend on where the sliders were left."""
    counting = Counting()
    before = counting.explorer._repr_mimebundle_()
    counting.move(50)
    assert counting.explorer._repr_mimebundle_() == before
    assert ">50</text>" in counting.explorer.picture.value


def test_an_error_leaves_the_last_good_picture() -> None:
    """It is faded, the error stands below it, escaped, and both are over with the next value."""
    counting = Counting()
    explorer = counting.explorer
    good = explorer.picture.value
    counting.move(13)
    assert "<b>13 brings &lt;bad&gt; luck</b>" in explorer.sentence.value
    assert explorer.picture.value == f'<div style="opacity:0.55">{good}</div>'
    counting.move(14)
    assert "<i>14</i>" in explorer.sentence.value
    assert ">14</text>" in explorer.picture.value
    assert "opacity" not in explorer.picture.value


def test_a_pinned_picture_stays_above_and_says_what_has_changed() -> None:
    """One button pins, and lets go again."""
    counting = Counting()
    explorer = counting.explorer
    counting.move(20)
    assert explorer.pinned.value == ""
    explorer.pin.value = True
    pinned = explorer.picture.value
    assert explorer.pinned.value.startswith("Pinned: move a control to compare<svg")
    counting.move(30)
    assert explorer.pinned.value.startswith("Pinned: number (s) <b>20</b> (now 30)")
    assert pinned in explorer.pinned.value
    assert "<i>20</i>" in explorer.pinned.value
    assert ">30</text>" in explorer.picture.value
    explorer.pin.value = False
    assert explorer.pinned.value == ""


def test_the_code_follows_the_controls_while_it_is_shown() -> None:
    """Another button shows it, and hides it."""
    counting = Counting()
    assert counting.explorer.code.value == ""
    counting.explorer.as_code.value = True
    counting.move(40)
    assert "print(40 &lt; 2)" in counting.explorer.code.value
    counting.move(13)
    assert counting.explorer.code.value == ""
    counting.move(14)
    counting.explorer.as_code.value = False
    assert counting.explorer.code.value == ""


def test_settings_are_as_they_stand_beside_the_controls() -> None:
    """A slider of named values shows a name, and a checkbox whether it is on."""
    settings = misfire_explorer().settings()
    assert settings == {
        "misfire_grace_time": "15 min",
        "coalesce": "off",
        "max_instances (runs)": "1",
        "a run takes (min)": "4",
        "A frozen from 08:35 (min)": "47",
    }


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
    assert "<i>30</i>" in counting.explorer.sentence.value


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


@in_loop
async def test_the_last_value_of_a_drag_wins() -> None:
    """Values that come while one is drawn are drawn after it, and the last of them in the end."""
    counting = Counting()
    control = counting.explorer.controls["number"]
    moved: list[threading.Thread] = []
    run = counting.run

    def run_while_the_drag_goes_on(parameters: Parameters) -> int:
        """Read 10, then let the drag go to its end before anything is drawn."""
        if parameters.number == 10:
            for number in (20, 30, 40):
                moved.append(threading.Thread(target=setattr, args=(control, "value", number)))
                moved[-1].start()
                moved[-1].join()
        return run(parameters)

    object.__setattr__(counting.explorer._subject, "run", run_while_the_drag_goes_on)
    first = threading.Thread(target=setattr, args=(control, "value", 10))
    first.start()
    first.join()
    await asyncio.sleep(0)
    assert counting.drawn == [1, 10]
    await asyncio.sleep(0)
    assert counting.drawn == [1, 10, 40]
    assert ">40</text>" in counting.explorer.picture.value


@in_loop
async def test_a_pin_takes_the_picture_of_the_values_before_it() -> None:
    """The button is pressed while the last value of a drag still waits to be drawn."""
    counting = Counting()
    explorer = counting.explorer
    for widget, value in ((explorer.controls["number"], 25), (explorer.pin, True)):
        thread = threading.Thread(target=setattr, args=(widget, "value", value))
        thread.start()
        thread.join()
    await asyncio.sleep(0)
    assert ">25</text>" in explorer.pinned.value


def test_a_kernel_without_ipywidgets_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the remedy."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(WorkbookError, match=r"need the package ipywidgets .* uv add ipywidgets"):
        misfire_explorer()
