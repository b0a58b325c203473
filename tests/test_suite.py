from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
CONTRIBUTING = (TESTS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_lists_the_files_of_the_long_tests() -> None:
    """Each file that has the marker, and no other."""
    here = Path(__file__)
    marked = {
        path.relative_to(TESTS.parent).as_posix()
        for path in TESTS.rglob("test_*.py")
        if path != here and "pytest.mark.long" in path.read_text(encoding="utf-8")
    }
    section = CONTRIBUTING.partition("### Long tests")[2].partition("\n## ")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(marked)
