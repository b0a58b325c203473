"""The list of benchmarks/mutants.py stands for the source as it is today."""

from __future__ import annotations

from typing import Any

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
