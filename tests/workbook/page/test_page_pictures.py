from __future__ import annotations

import base64
import re
import struct
from typing import TYPE_CHECKING, Any, Final

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kst_workbook.explorers import misfire
from kst_workbook.page.pictures import take_out

if TYPE_CHECKING:
    from nbformat import NotebookNode

PATH: Final = "notebooks/03_triggers.ipynb"
PNG: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 900, 300)
"""The beginning of a picture of 900 x 300 pixels."""
FIGURE: Final = "<Figure size 900x300 with 1 Axes>"


def picture(text: str = FIGURE, about: dict[str, Any] | None = None) -> NotebookNode:
    """Return an output with that picture, as matplotlib's."""
    data = {"image/png": base64.b64encode(PNG).decode(), "text/plain": text}
    metadata = {"image/png": about} if about else {}
    output: NotebookNode = new_output("display_data", data, metadata=metadata)
    return output


def notebook(*outputs: NotebookNode) -> NotebookNode:
    """Return a notebook of one section whose cell has these outputs."""
    text = "# 3. Choose\n\n## 3.1 A `trigger` has its clock\n\n#### Not this\n\nText."
    cells = [new_markdown_cell(text), new_code_cell("x", outputs=list(outputs))]
    made: NotebookNode = new_notebook(cells=cells)
    return made


def html_of(*outputs: NotebookNode) -> list[str]:
    """Return what the page shows for these outputs."""
    changed = notebook(*outputs)
    take_out(PATH, changed)
    return [output.data["text/html"] for output in changed.cells[1].outputs]


def test_a_picture_is_a_file_in_the_folder_of_its_notebook() -> None:
    """They are numbered in the order of the page."""
    files = take_out(PATH, notebook(picture(), picture()))
    assert files == {"notebooks/03_triggers/1.png": PNG, "notebooks/03_triggers/2.png": PNG}


def test_a_picture_keeps_its_place_while_it_is_loaded() -> None:
    """Otherwise a link to a section would land, and then the text would move."""
    assert 'src="03_triggers/1.png"' in html_of(picture())[0]
    assert 'width="900" height="300"' in html_of(picture())[0]


def test_a_picture_at_double_resolution_has_the_size_that_its_metadata_say() -> None:
    """As in JupyterLab, which reads the same metadata."""
    html = html_of(picture(about={"width": 450, "height": 150}), picture(about={"width": 450}))
    assert all('width="450" height="150"' in each for each in html)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (picture(about={"alt": "all 2 ok"}), "all 2 ok"),
        (picture("0 of 39 exercises right"), "0 of 39 exercises right"),
        (picture(), "3.1 A trigger has its clock, picture 1"),
    ],
    ids=["its own", "what stands beside it", "its section"],
)
def test_a_picture_has_words_for_those_who_do_not_see_it(output: NotebookNode, words: str) -> None:
    """The best that there are."""
    assert f'alt="{words}"' in html_of(output)[0]


def test_no_two_pictures_have_the_same_words() -> None:
    """One who hears them can tell them apart."""
    first, second = html_of(picture(), picture())
    assert "picture 1" in first
    assert "picture 2" in second
    first, second = html_of(picture(about={"alt": "all 2 ok"}), picture(about={"alt": "all 2 ok"}))
    assert 'alt="all 2 ok"' in first
    assert 'alt="all 2 ok (3.1 A trigger has its clock, picture 2)"' in second


def test_the_words_of_a_picture_are_no_html() -> None:
    """Whatever a title has in it."""
    about = {"alt": 'a "<b>" & c'}
    assert 'alt="a &#34;&lt;b&gt;&#34; &amp; c"' in html_of(picture(about=about))[0]


def test_a_sentence_beside_a_picture_is_its_caption() -> None:
    """How Python names a figure is none, nor is the title that stands in the picture."""
    assert "<figcaption>0 of 39</figcaption>" in html_of(picture("0 of 39"))[0]
    assert "figcaption" not in html_of(picture())[0]
    assert "figcaption" not in html_of(picture("all 2 ok", {"alt": "all 2 ok"}))[0]


def test_an_svg_and_a_jpeg_are_files_too() -> None:
    """The SVG is text in a notebook, the JPEG is not; of two kinds, the page takes the sharper."""
    jpeg = base64.b64encode(b"\xff\xd8").decode()
    both = new_output("display_data", {"image/svg+xml": "<svg/>", "image/png": "AAAA"})
    files = take_out(PATH, notebook(both, new_output("display_data", {"image/jpeg": jpeg})))
    assert files == {
        "notebooks/03_triggers/1.svg": b"<svg/>",
        "notebooks/03_triggers/2.jpg": b"\xff\xd8",
    }


def test_an_output_with_html_keeps_it() -> None:
    """A table that also offers a picture is read as a table."""
    output = new_output("display_data", {"text/html": "<table></table>", "image/png": "AAAA"})
    assert take_out(PATH, notebook(output)) == {}
    assert output.data["text/html"] == "<table></table>"


@pytest.mark.parametrize("about", [{}, {"alt": misfire.CAPTION}], ids=["without", "with words"])
def test_an_explorer_shows_some_of_its_settings(about: dict[str, Any]) -> None:
    """The stored picture first; radio buttons choose, and the first is chosen."""
    changed = notebook(picture(misfire.CAPTION, about))
    files = take_out(PATH, changed)
    html = changed.cells[1].outputs[0].data["text/html"]
    assert 3 <= len(files) <= 5
    assert files["notebooks/03_triggers/1.png"] == PNG
    assert len(set(files.values())) == len(files)
    sources = re.findall('src="([^"]*)"', html)
    assert [f"notebooks/{source}" for source in sources] == list(files)
    assert html.count('type="radio" name="settings-') == len(files)
    assert html.count(" checked") == 1
    assert 'alt="Misfire explorer: 15 min grace"' in html
