"""Typical wrong answers to the exercises of notebook 06, and a part of what each is told."""

from __future__ import annotations

PREDICTED = """
runs = {{"report": {report}, "token": {token}, "crawl": {crawl}}}
"""
REPORT, TOKEN = ["14:20"], ["14:20", "15:50", "17:20"]
CRAWL = ["14:00", "14:20", "15:00", "16:00", "17:00"]


def endpoint(body: str, *, word: str = "async def", check: bool = True) -> str:
    """Return code of an application whose endpoint does this, once it has looked at the key."""
    checking = """
            if authorization != f"Bearer {key}":
                raise HTTPException(401)"""
    return f"""
    def make_app(scheduler, key):
        app = FastAPI()

        @app.post("/admin/jobs/{{job_id}}/run", status_code=202)
        {word} trigger(job_id: str, authorization: str = Header("")):
            pass{checking if check else ""}
            {body}

        return app
    """


AS_IN_6_7 = """
            try:
                return {"run": scheduler.run_now(job_id).key}
            except (UnknownJobError, AlreadyRunningError) as error:
                status = 404 if isinstance(error, UnknownJobError) else 409
                raise HTTPException(status, str(error)) from error"""

ALL = (
    AS_IN_6_7
    + """
            except NotRunningError as error:
                raise HTTPException(503, str(error)) from error"""
)
DECOY = """
            if {condition}:
                raise HTTPException(401)"""
UNEQUAL = 'authorization != f"Bearer {key}"'
DIGEST = 'hmac.compare_digest(authorization.encode(), f"Bearer {key}".encode())'

WRONG = {
    "6.1": [
        (
            PREDICTED.format(report=[*REPORT, "15:00"], token=TOKEN, crawl=CRAWL),
            "is `report`; you say 14:20, 15:00",
        ),
        (
            PREDICTED.format(report=REPORT, token=["14:20", "15:00", "16:30"], crawl=CRAWL),
            "you say 14:20, 15:00, 16:30. From which moment",
        ),
        (
            PREDICTED.format(report=REPORT, token=TOKEN, crawl=["14:00", "14:20", "15:20"]),
            "What does a cron trigger go by",
        ),
        (PREDICTED.format(report="'14:20'", token=TOKEN, crawl=CRAWL), "Expected a list of times"),
        (PREDICTED.format(report=[1420], token=TOKEN, crawl=CRAWL), "has `1420`, an int"),
        ('runs = ["14:20"]', "Expected a dict"),
    ],
    "6.2": [
        (
            """
            def trigger(scheduler, job_id):
                scheduler.modify_job(job_id, next_run_time=datetime.now(KST))
            """,
            "Fixed: 1 of 5 faults. Left: 4.",
        ),
        (
            """
            def trigger(scheduler, job_id):
                scheduler.modify_job(job_id, next_run_time=datetime.now())
            """,
            "raises `NaiveDatetimeError",
        ),
        (
            """
            async def trigger(scheduler, job_id):
                job = scheduler.get_job(job_id)
                scheduler.add_job(job.func, args=job.args, id=f"{job_id}-by-hand")
            """,
            "What runs is another job, such as `crawl-by-hand`",
        ),
        (
            """
            async def trigger(scheduler, job_id):
                job = scheduler.get_job(job_id)
                asyncio.create_task(job.func(*job.args))
            """,
            "is called, but the scheduler has no run of that id",
        ),
        (
            """
            def trigger(scheduler, job_id):
                if not scheduler.running_occurrences(job_id):
                    scheduler.run_now(job_id)
            """,
            "Fixed: 4 of 5 faults. Left: 1.",
        ),
        (
            """
            def trigger(scheduler, job_id):
                job = scheduler.get_job(job_id)
                due = job.next_run_time
                job.modify(next_run_time=kst(2026, 5, 11, 14, 20))
                job.modify(next_run_time=due)
            """,
            "`report` does not run at 14:20.",
        ),
        ("def trigger(job_id): return job_id", "trigger(scheduler, job_id)"),
    ],
    "6.3": [
        (endpoint(AS_IN_6_7), "While the scheduler drains: the endpoint raises `NotRunningError"),
        (endpoint(AS_IN_6_7, check=False), "Without the key a run has begun"),
        (endpoint(AS_IN_6_7, word="def"), "is a plain `def`"),
        (endpoint("return scheduler.run_now(job_id).key"), "raises `UnknownJobError"),
        (
            endpoint(
                """
            job = scheduler.get_job(job_id)
            if not job:
                raise HTTPException(404)
            job.modify(next_run_time=datetime.now(KST))
            return {"ok": True}"""
            ),
            "With the key: no run begins",
        ),
        (
            endpoint(AS_IN_6_7.replace('{"run": scheduler.run_now(job_id).key}', "press(job_id)"))
            + """
    def press(job_id):
        return {"ok": True}
            """,
            "expected 409",
        ),
        (endpoint(ALL), "is compared without `hmac.compare_digest`"),
        *(
            (endpoint(DECOY.format(condition=condition) + ALL, check=False), part)
            for condition, part in (
                (f'hmac.compare_digest(b"a", b"b") or {UNEQUAL}', "`b'a'` with `b'b'`"),
                (f'not secrets.compare_digest("a", "a") or {UNEQUAL}', "`b'a'` with `b'a'`"),
                (f"hmac.compare_digest(f'{{{UNEQUAL}}}', 'True')", "`b'True'` with `b'True'`"),
                (
                    f"not hmac.compare_digest(*[authorization.encode()] * 2) or {UNEQUAL}",
                    "with `b'Bearer the-key-of-exercise-6.4'`",
                ),
                (f"{DIGEST} is None or {UNEQUAL}", "409, so something else decides"),
            )
        ),
        ("def make_app(scheduler, key): return FastAPI()", "Your paths: none"),
        (
            """
            def make_app(scheduler, key):
                app = FastAPI()
                app.get("/admin/jobs/{job_id}/run")(print)
                return app
            """,
            "Your paths: /admin/jobs/{job_id}/run",
        ),
    ],
}
