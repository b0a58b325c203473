from __future__ import annotations

import re
from io import BytesIO
from xml.etree import ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.markers import MarkerStyle

from kst_scheduler.timeline.style import BLUE, MARKS, text_width
from kst_workbook.explorers.drawing import (
    WIDTH,
    Box,
    Drawing,
    Lines,
    Spot,
    Words,
    message,
    outline,
)

SVG = "{http://www.w3.org/2000/svg}"


def one_of_each() -> Drawing:
    """Return a drawing with every kind of shape."""
    drawing = Drawing('a "title" & <more>', 100)
    drawing.add(
        Box(10, 10, 50, 20, BLUE, 0.5, "a box\nof two lines <b>"),
        Lines([[(0, 0), (10, 5)], [(20, 20), (30, 20)]], "#222222", 1.5, (2, 2), "strokes"),
        Spot(40, 50, MARKS["missed"], 8.5, "a mark"),
        Words(5, 90, "1 < 2 & 3", "middle", size=11, bold=True),
    )
    return drawing


def test_it_is_an_svg_that_can_stand_in_a_page() -> None:
    """It has no ids, which two pictures of a page would share, and says in words what it shows."""
    text = one_of_each().svg()
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert root.tag == f"{SVG}svg"
    assert root.attrib["aria-label"] == 'a "title" & <more>'
    assert root.attrib["viewBox"] == f"0 0 {WIDTH:g} 100.0"
    assert " id=" not in text
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles == ["a box\nof two lines <b>", "strokes", "a mark"]
    assert [words.text for words in root.iter(f"{SVG}text")] == ["1 < 2 & 3"]


def test_a_hollow_mark_is_hit_in_its_middle() -> None:
    """Otherwise it would tell nothing but on its edge."""
    drawing = Drawing("", 100, [Spot(40, 50, MARKS["locked_out"], 8.5, "locked out")])
    path = next(ET.fromstring(drawing.svg()).iter(f"{SVG}path"))  # noqa: S314
    assert (path.attrib["fill"], path.attrib["pointer-events"]) == ("none", "all")


def test_strokes_are_parted_and_joined_as_given() -> None:
    """A path begins anew for each stroke."""
    path = next(ET.fromstring(one_of_each().svg()).iter(f"{SVG}path"))  # noqa: S314
    assert path.attrib["d"] == "M0.0 0.0L10.0 5.0M20.0 20.0L30.0 20.0"
    assert path.attrib["stroke-dasharray"] == "2 2"


@pytest.mark.parametrize("mark", MARKS.values(), ids=list(MARKS))
def test_a_mark_has_the_outline_that_matplotlib_gives_it(mark: object) -> None:
    """The same corners, upside down, so that all pictures of the house agree."""
    shape = mark.shape  # type: ignore[attr-defined]
    path = MarkerStyle(shape).get_path()
    corners = MarkerStyle(shape).get_transform().transform(path.vertices) * [10, -10]
    numbers = np.array([float(n) for n in re.findall(r"-?\d+\.\d+", outline(shape, 10.0))])
    drawn = numbers.reshape(-1, 2)
    assert np.allclose(drawn, corners[: len(drawn)], atol=0.006)
    assert outline(shape, 10.0).endswith("Z")


def test_the_png_shows_the_same_at_twice_the_dots() -> None:
    """What is stored for pages that run nothing is the picture that JupyterLab shows."""
    data = one_of_each().png()
    pixels = imread(BytesIO(data))
    assert pixels.shape[:2] == (277, 1800)
    scale = 200 / 72
    box = pixels[round(12 * scale), round(50 * scale), :3]
    assert np.allclose(box, 1 - 0.5 * (1 - np.array([0, 0x72, 0xB2]) / 255), atol=0.01)
    assert tuple(pixels[-1, -1, :3]) == (1, 1, 1)
    assert data == one_of_each().png()
    assert not plt.get_fignums()


def test_a_message_breaks_what_is_too_long_for_a_line() -> None:
    """A reader may type what has no spaces, and letters that no font here has."""
    drawing = message("매일 3시 " + "no schedule " * 17 + "x" * 200)
    lines = [shape for shape in drawing.shapes if isinstance(shape, Words)]
    assert len(lines) > 4
    assert all(text_width(line.text, line.size) < WIDTH for line in lines)
    assert all(line.y < drawing.height for line in lines)
    assert drawing.png().startswith(b"\x89PNG")
