"""Exercise 6.3: An endpoint that says what happened."""

from __future__ import annotations

import _operator
import asyncio
import contextlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.scheduler.executor import returns_awaitable
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import kst
from kst_workbook.exercises.deployment import require_app
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import require_function
from kst_workbook.exercises.own_loop import in_own_loop
from kst_workbook.exercises.replacements import replace_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ERRORS: Final = "https://fastapi.tiangolo.com/tutorial/handling-errors/"
KEY: Final = "the-key-of-exercise-6.3"
CRAWL: Final = "daily-nps-crawl"
PATH: Final = "/admin/jobs/daily-nps-crawl/run"
UNAUTHORIZED: Final = 401
MIN_KEY_BYTES: Final = 16
"""Bytes of a key, or of its hash, at least; those of True and False are fewer."""
Pair = tuple[bytes, bytes]
GOOD: Final = f"Bearer {KEY}"


WRONG_HEADERS: Final[dict[str, str | bytes]] = {
    "with more behind the key": f"{GOOD}4",
    "with half of the key": GOOD[: -len(KEY) // 2],
    "with the word Bearer alone": "Bearer ",
    "with the key alone": KEY,
    "with the key in the scheme Basic": f"Basic {KEY}",
    "with the key in capitals": f"Bearer {KEY.upper()}",
    "with more before the header": f"Digest {GOOD}",
    "with a letter outside ASCII": f"{GOOD[:-1]}é".encode(),
}
"""Headers that are wrong, each in its own way."""


@exercise(
    "6.3",
    title="An endpoint that says what happened",
    variable="make_app",
    hints=(
        "The endpoint of section 6.7 answers two of the errors already.",
        "Compare the whole header, `Bearer ` and the key, by `hmac.compare_digest`, first of all.",
        "In a drain `run_now` raises `NotRunningError`. The text of the error is a good detail.",
    ),
    solution="""
        def make_app(scheduler, key):
            app = FastAPI()

            @app.post("/admin/jobs/{job_id}/run", status_code=202)
            async def trigger(job_id: str, authorization: str = Header("")):
                if not hmac.compare_digest(authorization.encode(), f"Bearer {key}".encode()):
                    raise HTTPException(401, "send the header Authorization: Bearer KEY")
                try:
                    return {"run": scheduler.run_now(job_id).key}
                except UnknownJobError as error:
                    raise HTTPException(404, str(error)) from error
                except AlreadyRunningError as error:
                    raise HTTPException(409, str(error)) from error
                except NotRunningError as error:
                    raise HTTPException(503, str(error)) from error

            return app
    """,
    link=ERRORS,
)
def endpoint_with_a_key(make_app: Any) -> Right:
    """Answer 202, 401, 404, 409 and 503, each where it belongs."""
    require_function(make_app, "make_app", "scheduler", "key")
    with _watched_comparisons(make_app) as comparisons:
        calls = in_own_loop(Calls(make_app, comparisons).make)
    if calls.faults:
        lines = "\n".join(f"- {fault}" for fault in calls.faults)
        if calls.in_a_thread:
            lines += (
                "\n\nYour endpoint is a plain `def`, so FastAPI runs it in a thread, and the "
                "scheduler refuses (section 6.8)."
            )
        raise NotYetError(
            f"{calls.right} of {calls.made} responses have the expected status.\n\n{lines}"
        )
    return Right(
        f"All {calls.made} answers say what happened, and a caller without the key starts nothing. "
        "`create_app` of `kst_scheduler.service` has this button."
    )


class Comparisons:
    """What ``compare_digest`` has compared."""

    def __init__(self) -> None:
        self.wrong: list[Pair] = []
        """In the call with another key."""
        self.right: list[Pair] = []
        """In that with the key."""
        self._new: list[Pair] = []
        self._all_unequal = False
        self._compare = hmac.compare_digest

    def compare_digest(self, first: Any, second: Any, /) -> bool:
        """Compare as the real function does."""
        equal = self._compare(first, second)
        self._new.append((_as_bytes(first), _as_bytes(second)))
        return equal and not self._all_unequal

    def taken(self) -> list[Pair]:
        """Return what was compared since the last time."""
        new, self._new = self._new, []
        return new

    @contextlib.contextmanager
    def all_unequal(self) -> Iterator[None]:
        """Let the function call everything unequal in the block."""
        self._all_unequal = True
        yield
        self._all_unequal = False

    def fault(self) -> str | None:
        """Return what is wrong where the given key was not compared with the right one.

        Hashes of the two will do as well: one side is that of the right key, which the right key is
        equal to, and another key is not.
        """
        equals = {first for first, second in self.right if first == second}
        keys = {each for each in equals if len(each) >= MIN_KEY_BYTES}
        if any(first != second and keys & {first, second} for first, second in self.wrong):
            return None
        if not self.wrong:
            return (
                "the header is compared without `hmac.compare_digest`. The time that `!=` takes "
                "says how much of the key was right."
            )
        first, second = self.wrong[0]
        return (
            f"`hmac.compare_digest` compares `{first!r}` with `{second!r}`. These are not the key "
            "that is given and the right one."
        )


def _as_bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


class Calls:
    """Calls of an application's button, one after another."""

    def __init__(self, make_app: Callable[..., Any], comparisons: Comparisons) -> None:
        self.faults: list[str] = []
        self.made = self.right = 0
        self.in_a_thread = False
        self._make_app = make_app
        self._comparisons = comparisons
        self._scheduler = KSTScheduler()
        self._may_end = asyncio.Event()

    async def make(self) -> Calls:
        """Press the button with and without a key, twice, and in a drain."""
        due = kst(2100, 1, 1)  # never while this runs
        self._scheduler.add_job(self._may_end.wait, "date", run_date=due, id=CRAWL)
        self._scheduler.add_job(asyncio.sleep, "date", run_date=due, args=[0], id="token")
        self._scheduler.start()
        drain = None
        try:
            app = require_app(self._make_app(self._scheduler, KEY))
            self.in_a_thread = not _require_endpoint(app)
            await self._without_a_key(app)
            await self._with_the_key(app)
            drain = asyncio.create_task(self._scheduler.drain(5))
            await asyncio.sleep(0)
            await self._call(app, "while the scheduler drains", 503, job_id="token")
        finally:
            self._may_end.set()
            await (drain or self._scheduler.drain(5))
        return self

    async def _without_a_key(self, app: Any) -> None:
        await self._call(app, "without a key", 401, header=None)
        self._comparisons.taken()
        await self._call(app, "with another key", 401, header=f"Bearer {KEY[:-1]}4")
        self._comparisons.wrong = self._comparisons.taken()
        for how, header in WRONG_HEADERS.items():
            await self._call(app, how, 401, header=header)
        await self._call(app, "with the key in the address", 401, header=None, query=f"?key={KEY}")
        await self._call(app, "without a key, for an unknown id", 401, header=None, job_id="craw1")
        await self._refuse_runs("Without the key")
        await self._get(app)
        await self._refuse_runs("By a GET")

    async def _refuse_runs(self, how: str) -> None:
        if running := self._scheduler.running_occurrences():
            self.faults.append(f"{how} a run has begun: {running[0].job_id}.")
            self._may_end.set()
            await asyncio.sleep(0.01)
            self._may_end.clear()

    async def _with_the_key(self, app: Any) -> None:
        self._comparisons.taken()
        answer = await self._call(app, "with the key", 202)
        self._comparisons.right = self._comparisons.taken()
        running = self._scheduler.running_occurrences()
        if not running:
            self.faults.append("With the key: no run begins.")
        elif answer and running[0].key not in answer:
            self.faults.append(f"With the key: the answer does not name the run. It is `{answer}`")
        answer = await self._call(app, "again, while it runs", 409)
        if running and answer and running[0].key not in answer:
            self.faults.append(
                f"Again, while it runs: the answer does not name that run. It is `{answer}`"
            )
        await self._call(app, "with the key, for an unknown id", 404, job_id="craw1")
        if not self.faults:
            await self._require_compared(app)

    async def _require_compared(self, app: Any) -> None:
        """Look at what was compared, and whether the endpoint goes by the result."""
        if fault := self._comparisons.fault():
            self.faults.append(f"With another key: {fault}")
            return
        with self._comparisons.all_unequal():
            response = await _answer(app, "POST", PATH, GOOD)
        if response.status_code != UNAUTHORIZED:
            self.faults.append(
                "With the key, and a `compare_digest` that says it is another one: "
                f"{response.status_code}, so something else decides."
            )

    async def _get(self, app: Any) -> None:
        """Ask as a browser does that opens the address; whatever the answer is, no run begins."""
        with contextlib.suppress(Exception):
            await _answer(app, "GET", PATH, GOOD)

    async def _call(
        self,
        app: Any,
        how: str,
        status: int,
        *,
        header: bytes | str | None = GOOD,
        job_id: str = CRAWL,
        query: str = "",
    ) -> str | None:
        """Return the text of an answer that has the right status."""
        self.made += 1
        try:
            answer = await _answer(app, "POST", f"/admin/jobs/{job_id}/run{query}", header)
        except Exception as error:  # noqa: BLE001 - said to the reader
            got = f"the endpoint raises `{type(error).__name__}`"
        else:
            if answer.status_code == status:
                self.right += 1
                return str(answer.text)
            got = str(answer.status_code)
        self.faults.append(f"{how[0].upper()}{how[1:]}: {got}, expected {status}.")
        return None


async def _answer(app: Any, method: str, path: str, header: bytes | str | None) -> Any:
    import httpx  # noqa: PLC0415 - slow to load, and only this exercise needs it

    value = header.encode() if isinstance(header, str) else header
    headers = {} if value is None else {b"Authorization": value}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.request(method, path, headers=headers)


@contextlib.contextmanager
def _watched_comparisons(answer: Any) -> Iterator[Comparisons]:
    """Note each call of compare_digest, which all three modules share, in the block."""
    comparisons = Comparisons()
    stand_in = {hmac.compare_digest: comparisons.compare_digest}
    with replace_functions(answer, stand_in, (hmac, secrets, _operator)):
        yield comparisons


def _require_endpoint(app: Any) -> bool:
    """Raise NotYetError when the path leads nowhere; return False when it leads into a thread."""
    from starlette.routing import Match  # noqa: PLC0415 - slow to load

    request = {"type": "http", "path": PATH, "method": "POST", "headers": []}
    routes = [route for route in app.routes if route.matches(request)[0] == Match.FULL]
    if not routes:
        theirs = [route.path for route in app.routes if "/docs" not in route.path]
        paths = ", ".join(path for path in theirs if path not in {"/openapi.json", "/redoc"})
        raise NotYetError(f"Nothing answers to POST {PATH}. Your paths: {paths or 'none'}.")
    endpoint = getattr(routes[0], "endpoint", None)
    return endpoint is None or returns_awaitable(endpoint)
