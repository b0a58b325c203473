from __future__ import annotations

import pytest

from kst_workbook.explorers import misfire_explorer
from kst_workbook.explorers.misfire import NO_LIMIT, Morning, draw, replay, say


def counts(morning: Morning) -> dict[str, int]:
    """Return how many of the morning's 18 runs have each status."""
    found = replay(morning).runs["status"].value_counts(sort=False)
    return {str(status): int(number) for status, number in found.items() if number}


@pytest.mark.parametrize(
    ("morning", "expected"),
    [
        (Morning(900, coalesce=False), {"ok": 14, "missed": 3, "skipped": 1}),
        (Morning(300, coalesce=True), {"ok": 14, "coalesced": 4}),
        (Morning(60, coalesce=False), {"ok": 13, "missed": 5}),
        (Morning(NO_LIMIT, coalesce=False), {"ok": 16, "skipped": 2}),
        (Morning(NO_LIMIT, coalesce=False, max_instances=3), {"ok": 18}),
        (Morning(job=12, freeze=0), {"ok": 9, "skipped": 9}),
        (Morning(job=12, freeze=0, max_instances=2), {"ok": 17, "running": 1}),
    ],
)
def test_the_morning_follows_apschedulers_rules(morning: Morning, expected: dict[str, int]) -> None:
    """Grace, coalesce and max_instances do to 18 run times what notebook 04 says."""
    assert counts(morning) == expected


def test_the_same_settings_give_the_same_morning() -> None:
    """A picture depends on nothing but its parameters."""
    first, again = replay(Morning()), replay(Morning())
    assert first.runs.equals(again.runs)
    assert say(Morning(), first) == "18 runs due: 14 ok, 3 missed, 1 skipped."
    assert draw(Morning(), first).title == "3 missed, 1 skipped; 14 ok, up to 12 min late"


def test_each_control_changes_the_picture() -> None:
    """Every slider and the checkbox draw anew at once, and the sentence follows."""
    explorer = misfire_explorer()
    pictures = [explorer.picture.value]
    changed = {"grace": 60, "coalesce": True, "job": 12, "max_instances": 3, "freeze": 90}
    assert changed.keys() == explorer.controls.keys()
    for name, value in changed.items():
        explorer.controls[name].value = value
        pictures.append(explorer.picture.value)
    assert len(set(pictures)) == len(pictures)
    last = Morning(**changed)  # type: ignore[arg-type]
    assert say(last, replay(last)) in explorer.sentence.value


def test_a_grace_without_limit_can_be_chosen() -> None:
    """The slider's last step is None to APScheduler."""
    grace = misfire_explorer().controls["grace"]
    assert grace.options[-1] == ("no limit", NO_LIMIT)
    assert replay(Morning(NO_LIMIT)).grace == {"every-10-min": None}
