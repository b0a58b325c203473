from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from kst_workbook.explorers import misfire, replica, trigger
from kst_workbook.explorers.pictures import WIDTH, message, png

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure


def morning(**settings: int) -> Figure:
    """Draw a morning of the misfire explorer."""
    parameters = misfire.Morning(**settings)  # type: ignore[arg-type]
    return misfire.draw(parameters, misfire.replay(parameters))


def night(**settings: int) -> Figure:
    """Draw a night of the replica explorer."""
    parameters = replica.Night(**settings)  # type: ignore[arg-type]
    return replica.draw(parameters, replica.replay(parameters))


def week(text: str) -> Figure:
    """Draw a week of the trigger explorer."""
    question = trigger.Question(text)
    return trigger.draw(question, trigger.read(question))


@pytest.mark.parametrize(
    "draw",
    [
        morning,
        lambda: morning(grace=300, max_instances=2, job=12, freeze=58),
        lambda: night(replicas=4, skew=60, job=390, lease=60, freeze=9),
        lambda: week("* * * * *"),
        lambda: message("no schedule " * 17 + "x" * 200),
    ],
    ids=["first morning", "a full legend", "four replicas", "every minute", "a long message"],
)
def test_no_words_are_cut_off_and_the_width_is_fixed(draw: Callable[[], Figure]) -> None:
    """Title, labels and legend of a full picture lie within it; pyplot does not know of it."""
    figure = draw()
    assert png(figure).startswith(b"\x89PNG")
    right, top = figure.bbox.max
    assert right == WIDTH / 72 * 100
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text():
            box = text.get_window_extent()
            assert min(box.x0, box.y0) > -1, text
            assert box.x1 < right + 1, text
            assert box.y1 < top + 1, text
    assert not plt.get_fignums()


def test_a_picture_keeps_its_height_whatever_is_set() -> None:
    """The page beneath an explorer does not jump while a slider moves."""
    assert morning().get_figheight() == morning(freeze=0).get_figheight()
    assert week("0 3 * * *").get_figheight() == week("@daily").get_figheight()
    assert message("wrong", week("0 3 * * *")).get_figheight() == week("@daily").get_figheight()


def test_the_same_figure_gives_the_same_bytes() -> None:
    """A notebook that is run again on one machine stores the same picture."""
    assert png(morning()) == png(morning())
