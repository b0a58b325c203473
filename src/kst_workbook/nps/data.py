"""Synthetic workplaces: the same ones on every machine, and plainly not real ones."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from datetime import datetime

TRADES: Final = ("제조", "건설", "유통", "식품", "정보", "운송", "교육", "의료", "설비", "농산")
PUBLISHED_ON: Final = 16
"""Month M covers reports up to the 15th of M+1, so it appears on the 16th."""
MONTHS_KEPT: Final = 12
"""How far back details are answered; the real service keeps about a year."""

_ROWS_A_MONTH: Final = 1_000_000
"""seq tells month and workplace: the real service numbers each month's rows anew."""


def published_month(moment: datetime) -> str:
    """Return the newest 자료생성년월 that is published at ``moment``, such as "202604".

    Month M is published from the 16th of M+1 at 00:00 KST: on 15 May the newest is March.
    """
    korean = require_aware(moment, "moment").astimezone(KST)
    return _name(_number(f"{korean:%Y%m}") - (1 if korean.day >= PUBLISHED_ON else 2))


def is_kept(month: str, moment: datetime) -> bool:
    """Tell whether details of ``month`` are answered at ``moment``: the newest twelve are."""
    return 0 <= _number(published_month(moment)) - _number(month) < MONTHS_KEPT


def _number(month: str) -> int:
    """Return the count of months since year 0."""
    return int(month[:4]) * 12 + int(month[4:]) - 1


def _name(number: int) -> str:
    return f"{number // 12:04d}{number % 12 + 1:02d}"


class Workplaces:
    """``count`` workplaces, told apart by a seed, as the three operations answer them."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._seed = seed
        self._fixed = [self._workplace(index) for index in range(count)]

    def basic(self, month: str, index: int) -> dict[str, Any]:
        """Return the item of getBassInfoSearchV2."""
        return {"dataCrtYm": month, "seq": _seq(month, index), **self._fixed[index]}

    def detail(self, month: str, index: int) -> dict[str, Any]:
        """Return the item of getDetailInfoSearchV2, with members and the amount billed in won."""
        base = random.Random(f"{self._seed}/{index}")  # noqa: S311 - a story, not a secret
        members, premium = base.randint(3, 300), base.randrange(150_000, 550_000, 10)
        joined, left = self._changes(month, index)
        members = max(3, members + joined - left)
        return {
            **self._fixed[index],
            "adptDt": f"20{base.randint(10, 24)}{base.randint(1, 12):02d}01",
            "scsnDt": "00010101",
            "vldtVlKrnNm": f"가상 {self._trade(index)}업",
            "jnngpCnt": members,
            "crrmmNtcAmt": str(members * premium),
        }

    def period(self, month: str, index: int) -> dict[str, Any]:
        """Return the item of getPdAcctoSttusInfoSearchV2: members who joined and who left."""
        joined, left = self._changes(month, index)
        return {"nwAcqzrCnt": joined, "lssJnngpCnt": left}

    def locate(self, seq: int) -> tuple[str, int] | None:
        """Return the month and the index behind a seq, or None."""
        number, index = divmod(seq - 1, _ROWS_A_MONTH)
        return (_name(number), index) if index < self.count else None

    def _changes(self, month: str, index: int) -> tuple[int, int]:
        monthly = random.Random(f"{self._seed}/{index}/{month}")  # noqa: S311
        return monthly.randint(0, 9), monthly.randint(0, 9)

    def _trade(self, index: int) -> str:
        return TRADES[index % len(TRADES)]

    def _workplace(self, index: int) -> dict[str, Any]:
        base = random.Random(f"{self._seed}/{index}/name")  # noqa: S311
        return {
            "wkplNm": f"가상{self._trade(index)} {index + 1:04d}",
            "bzowrRgstNo": f"{base.randrange(1_000_000):06d}****",
            "wkplJnngStcd": "1" if base.random() < 0.95 else "2",  # noqa: PLR2004 - a twentieth left
            "wkplStylDvcd": base.choice("12"),
            "ldongAddrMgplDgCd": base.choice(("11", "26", "41")),
            "wkplRoadNmDtlAddr": f"가상시 견본로 {base.randint(1, 300)}",
        }


def _seq(month: str, index: int) -> int:
    return _number(month) * _ROWS_A_MONTH + index + 1
