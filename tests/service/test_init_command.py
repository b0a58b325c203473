from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import yaml

from kst_scheduler.service import Settings, create_app
from kst_scheduler.service.cli import main
from kst_scheduler.service.init_command import FILES
from kst_scheduler.service.stopping import SECONDS_TO_LOG, StopLimit
from served import BEARER, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parents[2]
STARTER: Final = ROOT / "src" / "kst_scheduler" / "service" / "starter"
NAME: Final = "night_crawl"
MAX_LINES: Final = 40
"""Of the service: its reader understands each of them."""
VARIABLE: Final = re.compile(r"\b(?:KST_SCHEDULER_[A-Z_]+|DATABASE_URL|REDIS_URL)\b")
PYTHON: Final = (sys.executable, "-W", "error")
INSTRUCTIONS: Final = ("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "CMD")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits as POSIX has them")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UV", raising=False)
    return tmp_path


@pytest.fixture
def folder(place: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder that was written."""
    assert main(["init", NAME]) == 0
    capsys.readouterr()
    return place / NAME


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a module of this Python in a folder, and return how it ended."""
    return subprocess.run(  # noqa: S603 - this Python
        [*PYTHON, "-m", *words], cwd=cwd, check=False, capture_output=True, text=True
    )


def test_it_prints_what_it_wrote_and_what_to_type(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file has a line; under `uv run`, the commands begin with it too."""
    assert main(["init", NAME]) == 0
    lines = capsys.readouterr().out.splitlines()
    written = {path.name for path in (place / NAME).iterdir()}
    assert {line.split()[0] for line in lines[1 : 1 + len(FILES)]} == written
    assert len(written) == len(FILES)
    jobs = f"{NAME}/{NAME}.py:register"
    assert [line.strip() for line in lines[-2:]] == [
        f"kst-scheduler rehearse {jobs}",
        f"DATABASE_URL=sqlite:///{NAME}/runs.db kst-scheduler serve --jobs {jobs}",
    ]
    monkeypatch.setenv("UV", "/usr/bin/uv")
    assert main(["init", "other"]) == 0
    assert capsys.readouterr().out.count("uv run kst-scheduler ") == 2


def test_each_template_is_written_and_nothing_of_it_is_left(folder: Path) -> None:
    """It has the name of the service, and the version of this package."""
    assert {path.name for path in STARTER.iterdir() if path.is_file()} == {*FILES}
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"my.service|-0\.0\.0", text, re.IGNORECASE), path.name
        assert text.endswith("\n")
    assert [path.name for path in folder.parent.iterdir()] == [NAME]
    service = (folder / f"{NAME}.py").read_text(encoding="utf-8")
    assert len(service.splitlines()) <= MAX_LINES


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "": "is not a name",
        "Crawl": "is not a name",
        "night-crawl": "is not a name",
        "_crawl": "is not a name",
        "crawl_": "is not a name",
        "2crawl": "is not a name",
        "크롤링": "is not a name",
        "a/crawl": "is not a name",
        "..": "is not a name",
        "crawl\n": "is not a name",
        "a\0b": "is not a name",
        "a" * 41: "is not a name",
        "import": "a keyword",
        "json": "standard library",
        "conftest": "pytest",
        "test_schedule": "pytest",
        "kst_scheduler": "an installed package",
        "fastapi": "an installed package",
        "mpl_toolkits": "an installed package",
    }.items(),
)
def test_a_name_that_would_break_the_service_is_refused(
    name: str, text: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By one line, before anything is written."""
    assert main(["init", name]) == 1
    assert [*place.iterdir()] == []
    _is_one_line(capsys, text)


def _is_one_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kst-scheduler: ")
    assert text in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["a", "x2", "a" * 40, "night__crawl", "match"])
def test_a_name_that_is_short_or_long_is_taken(name: str, place: Path) -> None:
    """The folder, the module and the label of Kubernetes all have it."""
    assert main(["init", name]) == 0
    label = name.replace("_", "-")
    deployment = yaml.safe_load((place / name / "deployment.yaml").read_text(encoding="utf-8"))
    assert deployment["metadata"]["name"] == label
    project = tomllib.loads((place / name / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == label


def test_a_module_of_the_current_folder_is_no_obstacle(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not among what the service imports, wherever Python looks first."""
    (place / f"{NAME}.py").touch()
    monkeypatch.setattr(sys, "path", ["", str(place), *sys.path])
    assert main(["init", NAME]) == 0


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_exists_is_not_overwritten(
    there: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a file of the name, nor a folder with one of its files, nor a link to nowhere."""
    taken = place / NAME
    if there == "file":
        taken.write_text("mine", encoding="utf-8")
    elif there == "folder":
        taken.mkdir()
        (taken / "README.md").write_text("mine", encoding="utf-8")
    else:
        taken.symlink_to("nowhere")
    before = _tree(place)
    assert main(["init", NAME]) == 1
    assert _tree(place) == before
    _is_one_line(capsys, "it exists, and init overwrites nothing")


def _tree(place: Path) -> dict[str, str | None]:
    return {
        path.relative_to(place).as_posix(): path.read_text() if path.is_file() else None
        for path in place.rglob("*")
    }


@pytest.mark.parametrize("step", ["first", "last", "name"])
def test_a_full_disk_leaves_nothing(
    step: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the first file has no room, or the last, or the folder's name."""
    write, count = Path.write_text, iter(range(len(FILES)))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def write_text(self: Path, text: str, **options: Any) -> int:
        if next(count) == {"first": 0, "last": len(FILES) - 1}.get(step):
            write(self, text[:10], **options)
            full()
        return write(self, text, **options)

    monkeypatch.setattr(Path, "write_text", write_text)
    if step == "name":
        monkeypatch.setattr(Path, "rename", full)
    assert main(["init", NAME]) == 1
    assert [*place.iterdir()] == []
    _is_one_line(capsys, "No space left on device")


def test_it_writes_nothing_elsewhere(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder cannot get its name from another disk, where temporary files may be."""
    monkeypatch.setattr(tempfile, "tempdir", str(place / "nowhere"))
    assert main(["init", NAME]) == 0


@posix
def test_a_file_that_may_not_be_so_large_leaves_nothing(place: Path) -> None:
    """By a limit of the system, which counts for every user."""
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        f"from kst_scheduler.service.cli import main; sys.exit(main(['init', {NAME!r}]))"
    )
    done = subprocess.run(  # noqa: S603 - this Python
        [*PYTHON, "-B", "-c", program], cwd=place, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"the folder {NAME} was not written: File too large" in done.stderr
    assert [*place.iterdir()] == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a place in which not even root can write")
def test_a_place_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the folder, and the reason of the system."""
    monkeypatch.chdir("/proc")
    assert main(["init", NAME]) == 1
    _is_one_line(capsys, f"the folder {NAME} was not written: ")


def test_its_hand_made_night(folder: Path) -> None:
    """By pytest, as its reader runs it; it takes no configuration of a folder above."""
    (folder.parent / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = "--wrong"\n'
    )
    done = run("pytest", "-q", "-p", "no:cacheprovider", "-k", "frozen", cwd=folder)
    assert "1 passed, 1 deselected" in done.stdout, done.stdout + done.stderr


@pytest.mark.long
def test_its_tests_and_its_rehearsal(folder: Path) -> None:
    """All tests pass, and two weeks of bad nights find nothing, not even a note."""
    done = run("pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    _finds_nothing(folder)


def test_a_short_rehearsal_finds_nothing(folder: Path) -> None:
    """A quiet night, and a deployment over the fire."""
    _finds_nothing(folder, "--days", "2")


def _finds_nothing(folder: Path, *options: str) -> None:
    words = ("rehearse", f"{NAME}.py:register", "--fail-on", "note", "--format", "json")
    done = run("kst_scheduler.service.cli", *words, *options, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["findings"] == []


@contextmanager
def served(words: Sequence[str | Path], cwd: Path, **variables: str) -> Iterator[str]:
    """Run a service, yield its address, and end it by SIGTERM: with exit code 0."""
    environment = os.environ | {"KST_SCHEDULER_ADMIN_KEY": KEY, "HOME": str(cwd)} | variables
    with subprocess.Popen(  # noqa: S603 - what was written
        words, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        try:
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"serving on (http://\S+)", line):
                    yield found[1]
                    break
            process.send_signal(signal.SIGTERM)
            said.append(process.stderr.read())
            assert process.wait(30) == 0, "".join(said)
        finally:
            process.kill()


def ends_ok(url: str) -> None:
    """Start a run through the admin API, and wait until its row says that it was ok."""
    with httpx.Client(base_url=url, headers={"Authorization": BEARER}) as client:
        assert client.get("/readyz").json() == {"status": "ok", "reasons": []}
        started = client.post("/admin/jobs/nightly/run")
        assert started.status_code == 202
        while not (rows := client.get("/admin/runs?status=ok").json()["runs"]):
            assert client.get("/admin/runs?status=error").json()["runs"] == []
        assert [(row["run"], row["rows"]) for row in rows] == [(started.json()["run"], 0)]


@posix
def test_its_service_runs_a_job(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the last command that was printed, on any port; the ledger is where it says."""
    assert main(["init", NAME]) == 0
    address, program, *words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    variable, _, url = address.partition("=")
    assert program == "kst-scheduler"
    command = [*PYTHON, "-m", "kst_scheduler.service.cli", *words, "--port=0"]
    with served(command, place, **{variable: url}) as service:
        ends_ok(service)
    assert (place / NAME / "runs.db").is_file()


@posix
@pytest.mark.long
def test_its_service_runs_a_job_on_postgresql(folder: Path, postgres_url: str) -> None:
    """Two of them share the ledger, as replicas in Kubernetes do; each ends at SIGTERM."""
    jobs = f"{NAME}.py:register"
    command = [*PYTHON, "-m", "kst_scheduler.service.cli", "serve", "--jobs", jobs, "--port=0"]
    with (
        served(command, folder, DATABASE_URL=postgres_url) as one,
        served(command, folder, DATABASE_URL=postgres_url) as other,
    ):
        ends_ok(one)
        with httpx.Client(base_url=other, headers={"Authorization": BEARER}) as client:
            (row,) = client.get("/admin/runs?status=ok").json()["runs"]
            assert row["job_id"] == "nightly"
    assert not [*folder.glob("*.db")]


def test_its_variables_are_settings(folder: Path) -> None:
    """Wherever a file names one, the service reads it."""
    known = {
        str(field.validation_alias or f"KST_SCHEDULER_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    named = {
        path.name: set(VARIABLE.findall(path.read_text(encoding="utf-8")))
        for path in folder.iterdir()
    }
    assert {file: names - known for file, names in named.items() if names - known} == {}
    assert named[".env.example"] >= {"DATABASE_URL", "KST_SCHEDULER_ADMIN_KEY"}


def test_its_example_variables_can_be_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once; the key is left to the reader, as an example would be no secret."""
    text = (folder / ".env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert given.pop("KST_SCHEDULER_ADMIN_KEY") == ""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.namespace == NAME
    assert settings.alert_url is not None
    assert not re.search(r"^[A-Z]", text, re.MULTILINE)


def steps_of(folder: Path) -> list[tuple[str, str]]:
    """Return the steps of the Dockerfile: an instruction, and what it is given."""
    lines = (folder / "Dockerfile").read_text(encoding="utf-8").splitlines()
    words = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in words]


def command_of(folder: Path) -> list[str]:
    """Return the command of the image, from the name of the program on."""
    words: list[str] = json.loads(dict(steps_of(folder))["CMD"])
    return words


def parsed(*words: str) -> Any:
    """Return the options of a command as ours reads them."""
    from kst_scheduler.service.cli import _parser

    assert Path(words[0]).name == "kst-scheduler"
    return _parser().parse_args(words[1:])


def test_its_image(folder: Path) -> None:
    """What is copied is there, but for the wheel; the command is one of ours, and no root's."""
    steps = steps_of(folder)
    assert {word for word, _ in steps} <= {*INSTRUCTIONS}
    copied = [rest.split()[0] for word, rest in steps if word == "COPY"]
    assert [file for file in copied if not (folder / file).is_file()] == [_wheel(folder)]
    chosen = parsed(*command_of(folder))
    assert (chosen.jobs, chosen.host) == (f"{NAME}:register", "0.0.0.0")  # noqa: S104 - in a container
    assert dict(steps)["EXPOSE"] == str(chosen.port)
    assert int(dict(steps)["USER"]) > 0
    assert f"-o {dict(steps)['USER']} /data" in dict(steps)["RUN"]
    assert dict(steps)["ENV"] == "DATABASE_URL=sqlite:////data/runs.db"


def _wheel(folder: Path) -> str:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["tool"]["uv"]["sources"]["kst-scheduler"]["path"])


def limits() -> tuple[float, float]:
    """Return how many seconds a start and a stop may take, of a service with no such settings."""
    settings = Settings()
    stop = StopLimit(settings.drain_timeout).seconds + SECONDS_TO_LOG
    return settings.start_timeout, stop


def test_its_compose_file(folder: Path) -> None:
    """It serves this host alone, on the image's port, and gives a stop its time."""
    service = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"][
        NAME
    ]
    start, stop = limits()
    port = parsed(*command_of(folder)).port
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["volumes"] == ["runs:/data"]
    assert float(service["stop_grace_period"].removesuffix("s")) >= stop
    (address,) = re.findall(r"http://[^']+", service["healthcheck"]["test"][-1])
    assert httpx.URL(address).port == port
    assert httpx.URL(address).path in _paths()
    assert float(service["healthcheck"]["start_period"].removesuffix("s")) > start


def _paths() -> set[str]:
    return {*create_app(Settings()).openapi()["paths"]}


def test_its_deployment(folder: Path) -> None:
    """Its probes ask what the service answers, and its times fit the service's."""
    deployment = yaml.safe_load((folder / "deployment.yaml").read_text(encoding="utf-8"))
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    start, stop = limits()
    port = parsed(*command_of(folder)).port
    assert [each["containerPort"] for each in container["ports"]] == [port]
    assert spec["terminationGracePeriodSeconds"] >= stop
    probes = {kind: container[f"{kind}Probe"] for kind in ("liveness", "readiness", "startup")}
    for probe in probes.values():
        assert probe["httpGet"]["path"] in _paths()
        assert probe["httpGet"]["port"] == port
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] > start
    assert [probes[kind]["httpGet"]["path"] for kind in probes] == ["/livez", "/readyz", "/livez"]
    variables = {each["name"]: each for each in container["env"]}
    drain = float(variables["KST_SCHEDULER_DRAIN_TIMEOUT"]["value"])
    assert drain == Settings().drain_timeout
    assert "value" not in variables["DATABASE_URL"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels


def test_its_unit_of_systemd(folder: Path) -> None:
    """The ledger is in the only folder that it can write to, and a stop has its time."""
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((folder / f"{NAME}.service").read_text(encoding="utf-8"))
    service = unit["Service"]
    chosen = parsed(*shlex.split(service["ExecStart"]))
    assert (chosen.jobs, chosen.host) == (f"{NAME}:register", "127.0.0.1")
    assert float(service["TimeoutStopSec"]) >= limits()[1]
    kept = f"/var/lib/{service['StateDirectory']}/runs.db"
    assert service["Environment"] == f"DATABASE_URL=sqlite:///{kept}"


@posix
@pytest.mark.long
def test_the_steps_of_its_image(folder: Path) -> None:
    """Without Docker: in an environment of its own, and in a folder for each one of the image."""
    image = folder.parent / "image"
    app, data, python = image / "app", image / "data", image / "venv" / "bin"
    (folder / "wheels").mkdir()
    _uv("build", "--wheel", "--quiet", "--out-dir", folder / "wheels", cwd=ROOT)
    _uv("venv", "--quiet", "--seed", "--python", sys.executable, image / "venv", cwd=folder)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean["PATH"] = f"{python}{os.pathsep}{os.environ['PATH']}"
    for word, rest in steps_of(folder):
        if word == "WORKDIR":
            assert rest == "/app"
            app.mkdir()
        elif word == "COPY":
            source, target = rest.split()
            shutil.copy(folder / source, app / target)
        elif word == "RUN":
            here = rest.replace("/data", str(data)).replace("10001", str(os.getuid()))
            subprocess.run(["sh", "-ec", here], cwd=app, env=clean, check=True)  # noqa: S603, S607
        elif word == "ENV":
            name, _, value = rest.partition("=")
            clean[name] = value.replace("/data", str(data))
    words = ["127.0.0.1" if word == "0.0.0.0" else word for word in command_of(folder)]  # noqa: S104
    words[words.index("--port") + 1] = "0"
    with served([python / words[0], *words[1:]], app, **clean) as url:
        ends_ok(url)
    assert (data / "runs.db").is_file()


def _uv(*words: str | Path, cwd: Path) -> None:
    subprocess.run(["uv", *words], check=True, cwd=cwd)  # noqa: S603, S607 - the uv on the PATH
