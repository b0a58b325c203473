"""The service against its own OpenAPI schema: in process, and the same cases every time."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import SecretStr
from schemathesis import GenerationMode

from kst_scheduler import cron, every
from kst_scheduler.service import Service, Settings, create_app
from served import BEARER, KEY

BASIC = f"Basic {b64encode(f'reader:{KEY}'.encode()).decode()}"
ANSWERS = {
    ("/livez", "get"): {200, 503},
    ("/readyz", "get"): {200, 503},
    ("/healthz", "get"): {200, 503},
    ("/admin/jobs", "get"): {200, 401, 403, 503},
    ("/admin/jobs/{job_id}/run", "post"): {202, 401, 403, 404, 409, 422, 503},
    ("/admin/jobs/{job_id}/pause", "post"): {200, 401, 403, 404, 422},
    ("/admin/jobs/{job_id}/resume", "post"): {200, 401, 403, 404, 409, 422},
    ("/admin/runs", "get"): {200, 401, 403, 422, 503},
    ("/timeline", "get"): {200, 401, 403, 422, 503},
}
PROBES = ("/livez", "/readyz", "/healthz")
EXAMPLES = 25


def jobs(service: Service) -> None:
    """Add two jobs that do nothing."""
    service.scheduler.add_job(asyncio.sleep, cron(hour=3), [0], id="nightly")
    service.scheduler.add_job(asyncio.sleep, every(hours=1), [0], id="hourly")


@pytest.fixture(scope="module")
def schema() -> Any:
    """Return the schema that the application serves."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("DATABASE_URL", "REDIS_URL"):
            environment.delenv(name, raising=False)
        app = create_app(Settings(jobs=jobs, admin_key=SecretStr(KEY)))
        return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_every_answer_is_declared() -> None:
    """Also those that say what is wrong: whoever generates a client sees them all."""
    paths = create_app(Settings(jobs=jobs)).openapi()["paths"]
    found = {
        (path, method): {int(status) for status in route["responses"]}
        for path, of in paths.items()
        for method, route in of.items()
    }
    assert found == ANSWERS


def test_what_needs_a_key_says_so() -> None:
    """By the scheme that the route takes; documentation pages ask for it."""
    paths = create_app(Settings(jobs=jobs)).openapi()["paths"]
    schemes = {
        path: [[*scheme] for scheme in route.get("security", [])]
        for path, of in paths.items()
        for route in of.values()
    }
    for probe in PROBES:
        assert schemes.pop(probe) == []
    assert schemes.pop("/timeline") == [["HTTPBasic"]]
    assert all(scheme == [["HTTPBearer"]] for scheme in schemes.values())


def trials() -> list[tuple[str, str, GenerationMode, str | None]]:
    """Return each route with valid and with invalid requests, and for a job that exists."""
    return [
        (*route, mode, job_id)
        for route in ANSWERS
        for mode in GenerationMode
        for job_id in ([None, "nightly"] if "{job_id}" in route[0] else [None])
        if route[0] not in PROBES or mode.is_positive  # nothing can be wrong with its requests
    ]


@pytest.mark.parametrize(("path", "method", "mode", "job_id"), trials(), ids=str)
def test_it_conforms(
    schema: Any, path: str, method: str, mode: GenerationMode, job_id: str | None
) -> None:
    """No 5xx, no undeclared status, body or type, nothing invalid accepted, no route unguarded."""
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=5 if path == "/timeline" else EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def conforms(case: Any) -> None:
        if job_id:
            case.path_parameters["job_id"] = job_id
        case.call_and_validate(headers={"Authorization": BASIC if path == "/timeline" else BEARER})

    conforms()
