"""The list of benchmarks/mutants.py stands for the source as it is today."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark_scripts import ROOT, load_script


def mutants() -> list[Any]:
    """Return the list of the benchmark."""
    return list(load_script("mutants").MUTANTS)


def test_each_small_fault_changes_one_place_and_is_a_program() -> None:
    """Else the benchmark ends with an error, after half an hour."""
    for mutant in mutants():
        text = (ROOT / "src" / "kst_scheduler" / mutant.file).read_text("utf-8")
        assert text.count(mutant.old) == 1, mutant.name
        compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")


def test_each_test_that_is_named_is_there() -> None:
    """Where no random day shows a fault, a test has to."""
    for mutant in mutants():
        path, _, name = mutant.killed_by.partition("::")
        if path:
            text = (ROOT / path).read_text("utf-8")
            assert f"def {name.partition('[')[0]}(" in text, mutant.name


def test_the_code_as_it_is_is_no_find_and_a_broken_search_neither() -> None:
    """Else every fault would count as found."""
    script = load_script("mutants")
    a_fault = script.MUTANTS[0]
    assert script.first_day(script.unchanged(a_fault), 1) == ("", "")
    with pytest.raises(SystemExit, match="the search itself failed"):
        script.first_day(a_fault._replace(new="no program"), 1)


def test_a_word_that_no_fault_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is no run in which all was found."""
    monkeypatch.setattr("sys.argv", ["mutants.py", "--only", "nosuchword"])
    with pytest.raises(SystemExit) as ended:
        load_script("mutants").main()
    assert ended.value.code == 2
