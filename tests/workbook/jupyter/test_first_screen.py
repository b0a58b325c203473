from __future__ import annotations

from typing import TYPE_CHECKING

from kst_workbook.jupyter.first_screen import lay_out

if TYPE_CHECKING:
    from pathlib import Path


def test_the_layout_that_a_reader_leaves_is_kept(tmp_path: Path) -> None:
    """Only the first start writes one; tests/browser shows what JupyterLab makes of it."""
    (file,) = lay_out(tmp_path).iterdir()
    assert "@jupyterlab/toc:plugin" in file.read_text("utf-8")
    file.write_text("the reader's", "utf-8")
    assert lay_out(tmp_path) == file.parent
    assert file.read_text("utf-8") == "the reader's"
