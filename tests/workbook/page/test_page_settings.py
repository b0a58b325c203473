from __future__ import annotations

import nbformat
import pytest

from kst_workbook.explorers import misfire, replica, trigger
from kst_workbook.jupyter.folder import all_notebooks
from kst_workbook.page.settings import settings_of


@pytest.mark.parametrize("caption", [misfire.CAPTION, replica.CAPTION, trigger.CAPTION])
def test_each_explorer_has_three_to_five_settings(caption: str) -> None:
    """Each with another label and another picture."""
    settings = settings_of(caption)
    assert 3 <= len(settings) <= 5
    assert len({each.label for each in settings}) == len(settings)
    assert len({each.picture for each in settings}) == len(settings)
    assert all(each.picture.startswith("<svg") for each in settings)


def test_what_is_no_explorer_has_no_settings() -> None:
    """The caption of a picture, or none."""
    assert settings_of("") == settings_of("0 of 39 exercises right") == []


def test_the_settings_say_what_they_show() -> None:
    """The explorer's own words, for the same setting as the picture."""
    said = {each.label: each.said for each in settings_of(misfire.CAPTION)}
    assert said["15 min grace"] == "18 runs due: 14 ok, 3 missed, 1 skipped."
    assert said["1 h grace, coalesce"] == "18 runs due: 14 ok, 4 coalesced."
    repeated = {each.label: each.said for each in settings_of(replica.CAPTION)}
    assert "2 of 2 occurrences" in repeated["no lock"]
    assert "0 of 2 occurrences" in repeated["redis_lock + ledger, the same clocks"]


def test_the_first_setting_is_that_of_the_notebook() -> None:
    """Its label stands above the picture that the notebook has stored."""
    cells = [cell for path in all_notebooks() for cell in nbformat.read(path, as_version=4).cells]
    sources = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert f'trigger_explorer("{settings_of(trigger.CAPTION)[0].label}")' in sources
    assert "misfire_explorer()" in sources
    assert settings_of(misfire.CAPTION)[0].said == misfire.misfire_explorer().sentence.value
    assert "replica_explorer()" in sources
    assert settings_of(replica.CAPTION)[0].said == replica.replica_explorer().sentence.value
