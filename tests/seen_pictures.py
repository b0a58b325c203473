"""What is asked of a picture again and again; a folder's conftest imports the fixtures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pytest
from matplotlib.dates import date2num
from matplotlib.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from matplotlib.axes import Axes


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    """Begin without figures, and close what a test has opened."""
    plt.close("all")
    yield
    plt.close("all")


class Eyes:
    """What a test sees of a picture."""

    @staticmethod
    def days(*moments: datetime) -> list[float]:
        """Return moments as matplotlib counts them."""
        return [float(date2num(moment)) for moment in moments]  # type: ignore[no-untyped-call]

    @staticmethod
    def title(ax: Axes) -> str:
        """Return the title on one line."""
        return ax.get_title(loc="left").replace("\n", " ")

    @staticmethod
    def legend(ax: Axes) -> list[str]:
        """Return the words of the legend."""
        found = ax.get_legend()
        return [text.get_text() for text in found.get_texts()] if found else []

    @staticmethod
    def texts(ax: Axes) -> list[str]:
        """Return the words within and around the frame, without ticks and legend."""
        return [text.get_text() for text in ax.texts]

    @staticmethod
    def lanes(ax: Axes) -> dict[str, float]:
        """Return the height of each labelled lane."""
        labels = [text.get_text() for text in ax.get_yticklabels()]
        return dict(zip(labels, map(float, ax.get_yticks()), strict=True))

    @staticmethod
    def line(ax: Axes, words: str) -> Any:
        """Return the first line that has this label."""
        return next(line for line in ax.get_lines() if line.get_label() == words)

    @staticmethod
    def lines(ax: Axes) -> list[Any]:
        """Return every line."""
        return list(ax.get_lines())

    @staticmethod
    def words(*axes: Axes) -> list[Text]:
        """Return every text of the pictures on one figure that is seen, laid out."""
        figure: Any = axes[0].figure
        figure.canvas.draw()
        found: list[Any] = [text for ax in axes for text in ax.texts]
        for one in [each for ax in axes for each in (ax, *ax.child_axes)]:
            found += [*one.get_xticklabels(), *one.get_yticklabels()]
            found += [child for child in one.get_children() if isinstance(child, Text)]
        for legend in [ax.get_legend() for ax in axes]:
            found += legend.get_texts() if legend else []
        return [text for text in dict.fromkeys(found) if text.get_visible() and text.get_text()]

    @staticmethod
    def pixels(ax: Axes) -> bytes:
        """Return the picture as it is saved."""
        out = io.BytesIO()
        figure: Any = ax.figure
        figure.savefig(out, format="raw")
        return out.getvalue()


@pytest.fixture
def see() -> Eyes:
    """Return what looks at pictures."""
    return Eyes()
