from __future__ import annotations

import base64
import json
import re
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter.folder import all_notebooks
from kst_workbook.page import build_site, write_site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FIRST: Final = """\
# 0. See a night

**What you'll do.** Look at `one` night,
and at its rows.

**What you'll need.** 8 minutes, and a browser.

> 한 줄.

[next](01_next.ipynb#1.1-The-clock), [the guide](../GUIDE.md#in-short), [code](../src/job.py)
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone with two notebooks, a README, a guide, a module and a picture."""
    files = {
        "README.md": "# A workbook\n\nRun it.\n\n![A night.](notebooks/night.png)\n\n## Not this\n",
        "GUIDE.md": "# Guide\n\n## In `short`\n\n[back](notebooks/00_start_here.ipynb)\n",
        "src/job.py": "def job(): ...\n",
        "notebooks/night.png": "a picture",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    write_notebook(tmp_path / "notebooks/00_start_here.ipynb", FIRST)
    write_notebook(tmp_path / "notebooks/01_next.ipynb", "# 1. Go on\n\n## 1.1 The clock")
    return tmp_path


def write_notebook(path: Path, text: str) -> None:
    """Write a notebook of one text, and one code cell."""
    cells = [new_markdown_cell(text, id="a"), new_code_cell("x", id="b")]
    nbformat.write(new_notebook(cells=cells), path)


def built(clone: Path) -> dict[str, str]:
    """Return the pages of a clone as text."""
    site = build_site(sorted((clone / "notebooks").glob("*.ipynb")))
    return {path: page.decode() for path, page in site.items()}


@pytest.fixture(scope="module")
def workbook() -> dict[str, bytes]:
    """Return the site of this clone's notebooks."""
    return build_site(all_notebooks())


def test_the_workbook_has_no_broken_link(workbook: Mapping[str, bytes]) -> None:
    """To build it is to check each link: a broken one is an error, as is tested below."""
    assert "index.html" in workbook


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_each_stored_picture_is_a_file_of_its_page(
    path: Path, workbook: Mapping[str, bytes]
) -> None:
    """Explorers' too: none needs JupyterLab. Without pictures, a page has at most 300 kB."""
    cells = nbformat.read(path, as_version=4).cells
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    stored = [base64.b64decode(each["image/png"]) for each in data if "image/png" in each]
    html = workbook[f"notebooks/{path.stem}.html"]
    page = html.decode()
    sources = re.findall(f'<img[^>]*src="({path.stem}/[^"]*)"', page)
    assert set(stored) <= {workbook[f"notebooks/{source}"] for source in sources}
    assert len(html) <= 300_000


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_each_picture_has_its_own_words(path: Path, workbook: Mapping[str, bytes]) -> None:
    """One who does not see the pictures of a page can tell them apart."""
    page = workbook[f"notebooks/{path.stem}.html"].decode()
    words = re.findall(r'<img[^>]*alt="([^"]*)"', page)
    assert len(words) == page.count("<img")
    assert all(words)
    assert len(set(words)) == len(words)


def test_no_page_of_the_workbook_needs_the_network(workbook: Mapping[str, bytes]) -> None:
    """The lab template of nbconvert would load require.js and MathJax from a host of theirs."""
    pages = [page.decode() for path, page in workbook.items() if path.endswith(".html")]
    assert not [page for page in pages if re.search(r"src=.http|<link[^>]*http", page)]
    scripts = [re.findall(r'<script src="([./]*)page.js" defer>', page) for page in pages]
    assert all(len(each) == 1 for each in scripts)
    assert [page.count("<script") for page in pages] == len(pages) * [1]


def test_each_page_can_be_read_on_a_phone_and_says_its_language(
    workbook: Mapping[str, bytes],
) -> None:
    """Without a viewport a phone shows the page as on a desk, in tiny letters."""
    for path, page in workbook.items():
        if path.endswith(".html"):
            assert b'<meta name="viewport" content="width=device-width' in page
            language = "ko" if path.endswith(".ko.html") else "en"
            assert f'<html lang="{language}"' in page.decode()


def test_a_second_build_gives_the_same_bytes(clone: Path) -> None:
    """A site that is kept under version control changes only with the notebooks."""
    assert built(clone) == built(clone)


def test_the_first_page_is_the_readme_and_the_map(clone: Path) -> None:
    """The README up to its first section, then the notebooks with minutes, and the documents."""
    page = built(clone)["index.html"]
    assert "<title>A workbook</title>" in page
    assert "Not this" not in page
    assert '<a href="notebooks/00_start_here.html">0. See a night</a>' in page
    assert "Look at <code>one</code> night, and at its rows." in page
    assert re.search(r"<td>8</td>", page)
    assert '<a href="GUIDE.html">Guide</a>' in page


def test_links_lead_from_page_to_page(clone: Path) -> None:
    """To notebooks, to documents with the anchors that GitHub gives them, and to source files."""
    site = built(clone)
    page = site["notebooks/00_start_here.html"]
    assert 'href="01_next.html#1.1-The-clock"' in page
    assert 'href="../GUIDE.html#in-short"' in page
    assert 'href="../src/job.py.html"' in page
    assert "<span" in site["src/job.py.html"]
    assert site["notebooks/night.png"] == "a picture"
    assert 'src="notebooks/night.png"' in site["index.html"]


def test_each_notebook_leads_to_its_neighbours_by_name(clone: Path) -> None:
    """The first has none before it, the last none after it; the first page leads to the first."""
    site = built(clone)
    forward = '<a href="01_next.html" rel="next">Next: 1. Go on →</a>'
    back = '<a href="00_start_here.html" rel="prev">← Previous: 0. See a night</a>'
    assert ways(site["notebooks/00_start_here.html"]) == [forward]
    assert ways(site["notebooks/01_next.html"]) == [back]
    assert ways(site["index.html"]) == [
        '<a href="notebooks/00_start_here.html" rel="next">Next: 0. See a night →</a>'
    ]
    assert ways(site["GUIDE.html"]) == []


def ways(page: str) -> list[str]:
    """Return the links of a page to its neighbours."""
    return re.findall(r'<a href="[^"]*" rel=.*?</a>', page)


def menu(page: str) -> list[tuple[str, str]]:
    """Return the links in the sidebar of a page."""
    text = page.partition('<nav id="page-menu"')[2].partition("</nav>")[0]
    return re.findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', text)


def test_the_sidebar_has_all_notebooks_and_the_contents_of_the_page(clone: Path) -> None:
    """A page that is no notebook follows them, with its own contents."""
    site = built(clone)
    home = ("../index.html", "KST Scheduler Workbook")
    first, second = ("00_start_here.html", "0. See a night"), ("01_next.html", "1. Go on")
    assert menu(site["notebooks/00_start_here.html"]) == [home, first, second]
    contents = ("#1.1-The-clock", "1.1 The clock")
    assert menu(site["notebooks/01_next.html"]) == [home, first, second, contents]
    assert menu(site["GUIDE.html"])[-2:] == [("GUIDE.html", "Guide"), ("#in-short", "In short")]
    assert '<a href="01_next.html" aria-current="page">' in site["notebooks/01_next.html"]
    assert len(menu(site["index.html"])) == 3


def test_the_search_finds_notebooks_and_documents(clone: Path) -> None:
    """What page.js searches has the text of each section, with the link to it."""
    script = built(clone)["search_index.js"]
    index = json.loads(script.removeprefix("window.searchIndex = ").removesuffix(";\n"))
    assert [row[:2] for row in index] == [
        ["notebooks/00_start_here.html", "0. See a night"],
        ["notebooks/01_next.html", "1. Go on"],
        ["GUIDE.html", "Guide"],
        ["README.html", "A workbook"],
    ]
    anchor, title, text = index[0][2][0]
    assert (anchor, title) == ("0.-See-a-night", "0. See a night")
    assert "Look at one night, and at its rows." in text
    assert text.endswith("code x")


@pytest.mark.parametrize(
    ("heading", "in_a_notebook", "in_a_document"),
    [
        ('What\'s `{"ok": 1}`?', 'What\'s-{"ok":-1}?', "whats-ok-1"),
        ("50 % & more", "50-%-&-more", "50---more"),
        ("3.1 한국 시간", "3.1-한국-시간", "31-한국-시간"),
    ],
)
def test_anchors_are_those_of_jupyterlab_and_github(
    heading: str, in_a_notebook: str, in_a_document: str, clone: Path
) -> None:
    """A link that was copied from there leads to the same section here."""
    write_notebook(
        clone / "notebooks/01_next.ipynb", f"# 1. Go on\n\n## 1.1 The clock\n\n## {heading}"
    )
    (clone / "GUIDE.md").write_text(f"# Guide\n\n## In short\n\n## {heading}\n", "utf-8")
    site = built(clone)
    for path, anchor in (
        ("notebooks/01_next.html", in_a_notebook),
        ("GUIDE.html", in_a_document),
    ):
        assert f'<h2 id="{escape(anchor)}">' in site[path]
        assert menu(site[path])[-1][0] == f"#{quote(anchor)}"


def test_a_summary_in_korean_says_so(clone: Path) -> None:
    """So that a screen reader does not read it as English."""
    assert '<blockquote lang="ko">' in built(clone)["notebooks/00_start_here.html"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[x](02_gone.ipynb)", r"00_start_here\.html: the link to 02_gone\.html leads nowhere"),
        ("[x](../../other.md)", r"the link to \.\./\.\./other\.html leads nowhere"),
        ("[x](../src)", r"the link to \.\./src\.html leads nowhere"),
        ("[x](#1.9-Gone)", r"the link to #1\.9-Gone leads to no anchor of"),
        ("[x](01_next.ipynb#The-clock)", r"#The-clock leads to no anchor of notebooks/01_next"),
        ("## Twice\n\n## Twice", "two places have the anchor Twice"),
        ("![x](https://example.com/x.png)", r"loads https://example\.com/x\.png from another host"),
    ],
)
def test_a_broken_link_is_an_error_that_names_it(text: str, complaint: str, clone: Path) -> None:
    """With the page on which it stands, and where it leads."""
    write_notebook(clone / "notebooks/00_start_here.ipynb", f"{FIRST}\n\n{text}")
    with pytest.raises(WorkbookError, match=complaint):
        built(clone)


def test_a_link_to_what_is_no_text_is_an_error(clone: Path) -> None:
    """There is no page to make of it."""
    (clone / "GUIDE.md").write_bytes(b"\xff\xfe")
    with pytest.raises(WorkbookError, match=r"GUIDE\.md is linked to, and is no text"):
        built(clone)


def test_a_site_replaces_the_one_before(tmp_path: Path) -> None:
    """What is not made any more goes, so that no old page is left."""
    write_site(tmp_path / "site", {"a.html": b"old", "b/c.html": b"old"})
    write_site(tmp_path / "site", {"a.html": b"new"})
    assert (tmp_path / "site/a.html").read_bytes() == b"new"
    assert not (tmp_path / "site/b/c.html").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    """Nothing in it is changed, and nothing added; the message names one of them."""
    write_site(tmp_path, {"a.html": b"old"})
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(WorkbookError, match=r"holds 1 files .* such as notes\.txt; write another"):
        write_site(tmp_path, {"a.html": b"new"})
    assert (tmp_path / "a.html").read_bytes() == b"old"


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    """The message says what to write instead."""
    (tmp_path / "site").write_text("mine", "utf-8")
    with pytest.raises(WorkbookError, match="is a file; write a folder"):
        write_site(tmp_path / "site", {})
