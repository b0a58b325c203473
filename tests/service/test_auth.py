"""Who may call what: a list of all routes, so that a new one without a key fails here."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import iter_route_contexts

from in_loop import in_loop
from kst_scheduler.service import create_app
from served import KEY

if TYPE_CHECKING:
    from fastapi import FastAPI

    from served import Serve


PUBLIC = {
    # For load balancers and monitors; says nothing but whether the service is well.
    *(
        (method, f"/{probe}")
        for method in ("GET", "HEAD")
        for probe in ("livez", "readyz", "healthz")
    ),
    # What the routes are called and take is no secret: this source is public.
    ("GET", "/openapi.json"),
    ("HEAD", "/openapi.json"),
}
BY_BASIC = {("GET", "/timeline")}


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """Return every method and path that the application has, in its schema or not."""
    found = set()
    for route in iter_route_contexts(app.routes):
        assert route.path is not None
        assert route.methods, f"{route.path} takes no methods, so it cannot be asked for its key"
        found |= {(method, route.path) for method in route.methods}
    return found


def address(path: str) -> str:
    """Return the path with a job's id in it."""
    return path.replace("{job_id:any_text}", "nightly")


def basic(password: str, name: str = "reader") -> str:
    """Return the header that a browser sends for HTTP Basic."""
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def test_all_routes_are_known() -> None:
    """Whoever adds a route decides here how it is guarded."""
    guarded = routes(create_app()) - PUBLIC
    assert guarded == BY_BASIC | {
        ("GET", "/admin/jobs"),
        ("POST", "/admin/jobs/{job_id:any_text}/run"),
        ("POST", "/admin/jobs/{job_id:any_text}/pause"),
        ("POST", "/admin/jobs/{job_id:any_text}/resume"),
        ("GET", "/admin/runs"),
    }


@in_loop
async def test_every_route_that_is_not_public_wants_the_key(serve: Serve) -> None:
    """Without it, or with another, all answer 401, and say which way to send it."""
    async with serve() as it:
        for method, path in routes(it.app) - PUBLIC:
            scheme = "Basic" if (method, path) in BY_BASIC else "Bearer"
            for given in ("", f"Bearer {KEY}x", basic(f"{KEY}x"), "Bearer", "Basic", "Digest x"):
                answer = await it.client.request(
                    method, address(path), headers={"Authorization": given}
                )
                assert answer.status_code == 401, (method, path, given)
                assert answer.headers["WWW-Authenticate"].startswith(scheme)
                assert KEY not in answer.text


@in_loop
async def test_a_route_without_a_key_would_be_noticed(serve: Serve) -> None:
    """The test above does call what it lists: an unguarded route answers something else."""
    async with serve() as it:
        it.app.add_api_route("/open", lambda: None)
        assert ("GET", "/open") in routes(it.app) - PUBLIC
        answer = await it.client.get("/open", headers={"Authorization": ""})
        assert answer.status_code != 401


@in_loop
async def test_public_routes_answer_without_a_key(serve: Serve) -> None:
    """The list of public ones has none that is not."""
    async with serve(admin_key=None) as it:
        for method, path in PUBLIC:
            answer = await it.client.request(method, path, headers={"Authorization": ""})
            assert answer.status_code == 200, path


@in_loop
async def test_without_an_admin_key_all_that_wants_one_is_off(serve: Serve) -> None:
    """It is closed, not open, and says what to set; also to an empty key."""
    async with serve(admin_key=None) as it:
        for method, path in routes(it.app) - PUBLIC:
            for given in ("", "Bearer ", f"Bearer {KEY}", basic(KEY), basic("")):
                answer = await it.client.request(
                    method, address(path), headers={"Authorization": given}
                )
                assert answer.status_code == 403, (method, path, given)
                assert "set KST_SCHEDULER_ADMIN_KEY" in answer.json()["detail"]


@in_loop
async def test_basic_reads_the_timeline_and_nothing_else(serve: Serve) -> None:
    """A browser sends Basic along with another site's form, which must not start a job."""
    async with serve() as it:
        for method, path in routes(it.app) - PUBLIC:
            answer = await it.client.request(
                method, address(path), headers={"Authorization": basic(KEY)}
            )
            assert answer.status_code == (200 if (method, path) in BY_BASIC else 401)


@in_loop
async def test_the_scheme_may_be_written_in_any_case(serve: Serve) -> None:
    """As RFC 9110 has it (11.1); the name of Basic does not matter."""
    async with serve() as it:
        answer = await it.client.get("/admin/jobs", headers={"Authorization": f"bearer {KEY}"})
        assert answer.status_code == 200
        for name in ("", "누구나"):
            answer = await it.client.get("/timeline", headers={"Authorization": basic(KEY, name)})
            assert answer.status_code == (200 if name.isascii() else 401)


@pytest.mark.parametrize(
    "given",
    [
        b"Bearer \xff\xfe",
        "Bearer 열쇠".encode(),
        b"Bearer " + b"x" * 1_000_000,
        b"Bearer  two  blanks",
        b"Basic \xff",
        b"Basic " + b64encode("reader:열쇠".encode()),
        b"Basic " + b64encode(b"no-colon"),
        b"Basic %%%",
        b"\xff",
    ],
    ids=[
        "bytes",
        "hangul",
        "1 MB",
        "blanks",
        "basic-bytes",
        "basic-hangul",
        "colon",
        "base64",
        "x",
    ],
)
@in_loop
async def test_malformed_keys_are_wrong_keys(serve: Serve, given: bytes) -> None:
    """None is a fault of the service."""
    async with serve() as it:
        for path in ("/admin/jobs", "/timeline"):
            answer = await it.client.get(path, headers={b"Authorization": given})
            assert answer.status_code == 401


@in_loop
async def test_the_key_is_asked_for_first(serve: Serve) -> None:
    """Who has none learns nothing about jobs or parameters."""
    async with serve() as it:
        for method, path in (
            ("GET", "/admin/runs?limit=0"),
            ("GET", "/timeline?hours=x"),
            ("POST", "/admin/jobs/no-such-job/run"),
        ):
            answer = await it.client.request(method, path, headers={"Authorization": ""})
            assert answer.status_code == 401


@in_loop
async def test_documentation_is_off_unless_asked_for(serve: Serve) -> None:
    """Its page loads a script from another site, beside the field for the admin key."""
    async with serve() as it:
        assert (await it.client.get("/docs")).status_code == 404
        assert (await it.client.get("/openapi.json")).status_code == 200
    async with serve(docs=True) as it:
        assert (await it.client.get("/docs")).status_code == 200
