"""A service in a file of its own, which notebook 13 rehearses and repairs, a line at a time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.rehearsal import rehearse

if TYPE_CHECKING:
    from kst_scheduler.rehearsal import Rehearsal

_SERVICES: Final = Path(__file__).parent / "services"


class ServiceFile:
    """A Python file in the current folder; in a notebook it shows itself."""

    def __init__(self, name: str) -> None:
        self.path = Path(name)

    @property
    def text(self) -> str:
        """What is in the file now, also what the reader wrote."""
        return self.path.read_text(encoding="utf-8")

    def replace(self, old: str, new: str) -> None:
        """Write ``new`` in place of ``old``; nothing happens where that was done before.

        Raises:
            InvalidArgumentError: ``old`` is not in the file, or more than once.

        """
        text = self.text
        if new in text and (old in new or old not in text):
            return
        if (count := text.count(old)) != 1:
            raise InvalidArgumentError(
                f"{old!r} occurs {count} times in {self.path}; write a part that occurs once"
            )
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}```"


def lesson_service() -> ServiceFile:
    """Write the lesson's service into the current folder as my_service.py, and return that file.

    What its jobs do is in work.py, beside it.
    """
    for source, name in (("lesson.py", "my_service.py"), ("work.py", "work.py")):
        text = (_SERVICES / source).read_text(encoding="utf-8")
        Path(name).write_text(text, encoding="utf-8")
    return ServiceFile("my_service.py")


@cache
def hidden_rehearsal() -> Rehearsal:
    """Rehearse, for three nights, the service of which notebook 13 shows the runs alone."""
    return rehearse(f"{_SERVICES / 'hidden.py'}:register", nights=3, nodes=1)
