from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import mistune
import pytest
from ipykernel.ipkernel import IPythonKernel

from kst_workbook.jupyter.copied_links import relink
from kst_workbook.jupyter.folder import FIRST_NOTEBOOK, all_notebooks
from kst_workbook.jupyter.fresh_copies import fold_answers, fresh_copies

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDED = """\
<details><summary>See</summary>

At noon.

```python
# not a heading
```

</details>

## 1.2 Next"""


@pytest.fixture(scope="module")
def copies() -> dict[str, bytes]:
    """Return what a reader's folder holds."""
    return fresh_copies(outputs=False)


def cells(content: bytes, kind: str) -> list[dict[str, Any]]:
    """Return the cells of that kind."""
    return [cell for cell in json.loads(content)["cells"] if cell["cell_type"] == kind]


def texts(copies: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Yield each text of a folder with the path of its file."""
    for path, content in copies.items():
        if path.endswith(".ipynb"):
            yield from ((path, cell["source"]) for cell in cells(content, "markdown"))
        elif path.endswith(".md"):
            yield path, content.decode()


def test_no_relative_link_dangles(copies: dict[str, bytes]) -> None:
    """Neither of a notebook nor of a document that comes along; another parser finds the links."""
    for path, text in texts(copies):
        html = str(mistune.html(text))
        for target in re.findall(r'\s(?:href|src)="([^"]*)"', html):
            parts = urlsplit(target)
            if parts.scheme or not parts.path:
                continue
            file = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))
            assert file in copies, f"{path}: {target}"
    assert "documents/REHEARSAL.md" in copies


def test_copies_have_no_outputs_and_each_answer_is_folded(copies: dict[str, bytes]) -> None:
    """Of all notebooks; with outputs, both are as they are stored."""
    whole = fresh_copies(outputs=True)
    assert copies.keys() == whole.keys()
    for path in all_notebooks():
        code = cells(copies[path.name], "code")
        assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]
        stored = [cell["outputs"] for cell in cells(path.read_bytes(), "code")]
        assert [cell["outputs"] for cell in cells(whole[path.name], "code")] == stored
        folded = "".join(cell["source"] for cell in cells(copies[path.name], "markdown"))
        shown = "".join(cell["source"] for cell in cells(whole[path.name], "markdown"))
        assert "**See.**" not in folded
        assert folded.count("<details>") == folded.count("</details>") == shown.count("**See.**")


def test_nothing_but_answers_is_folded() -> None:
    """An answer ends at the next heading or question, not at a comment in its code."""
    text = "**See.** At noon.\n\n```python\n# not a heading\n```\n\n## 1.2 Next"
    assert fold_answers(text) == FOLDED
    assert fold_answers("**See.** A.\n\n**Predict.** B?\n\n**See.** C.").count("<details>") == 2
    assert fold_answers("Plain.\n\n**Run.** It.") == "Plain.\n\n**Run.** It."


def test_the_language_is_that_of_this_kernel(copies: dict[str, bytes]) -> None:
    """JupyterLab writes the same, so it has nothing to save; the original names no version."""
    language = json.loads(copies[FIRST_NOTEBOOK])["metadata"]["language_info"]
    assert language == IPythonKernel.language_info
    (original,) = [path for path in all_notebooks() if path.name == FIRST_NOTEBOOK]
    assert json.loads(original.read_bytes())["metadata"]["language_info"] == {"name": "python"}


@pytest.mark.parametrize(
    ("path", "text", "relinked"),
    [
        ("notebooks/01.ipynb", "[x](../A.md#b)", "[x](documents/A.md#b)"),
        ("notebooks/01.ipynb", "[x](02.ipynb#2.1)", "[x](02.ipynb#2.1)"),
        ("notebooks/01.ipynb", "![x](pictures/a.png)", "![x](pictures/a.png)"),
        ("notebooks/01.ipynb", '<img src="../b/a%20b.svg">', '<img src="documents/b/a%20b.svg">'),
        ("notebooks/01.ipynb", "[x][y]\n\n[y]: ../A.md", "[x][y]\n\n[y]: documents/A.md"),
        ("notebooks/01.ipynb", "[x](https://e.org/A.md) (#a)", "[x](https://e.org/A.md) (#a)"),
        ("docs/A.md", "[x](../notebooks/01.ipynb#a)", "[x](../../01.ipynb#a)"),
        ("docs/A.md", "[x](B.md)", "[x](B.md)"),
    ],
)
def test_links_lead_to_the_copies(path: str, text: str, relinked: str) -> None:
    """From notebooks and documents, in Markdown and HTML; the section stays."""
    assert relink(text, path, lambda _file: True) == relinked


def test_a_link_to_what_is_not_copied_stays() -> None:
    """There is nothing better to write."""
    assert relink("[x](../gone.md)", "notebooks/01.ipynb", lambda _file: False) == "[x](../gone.md)"
