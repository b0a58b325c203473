from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from kst_workbook.jupyter import cli, folder
from kst_workbook.jupyter.lab import lab_options
from lab_server import COMMAND, TOKEN, fetch, own_environment, running_lab, wait_until_it_answers


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a clone of two notebooks."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    for name, source in (("00_start_here", "1 + 1"), ("01_install", "1 / 0")):
        notebook = new_notebook(cells=[new_code_cell(source)])
        nbformat.write(notebook, notebooks / f"{name}.ipynb")
    monkeypatch.setattr(folder, "CHECKOUT", tmp_path / "site")
    monkeypatch.delenv("KST_WORKBOOK_FOLDER", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, list[str]]]:
    """Return what JupyterLab would have been started with: a notebook, and options."""
    calls: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(cli, "_check_home", lambda: None)
    monkeypatch.setattr(cli, "_launch", lambda *call: calls.append(call))
    return calls


def test_without_arguments_it_opens_the_readers_copy_of_the_first_notebook(
    clone: Path, launched: list[tuple[Path, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is made at the first start, and a line says where; the second start says nothing."""
    for _ in range(2):
        assert cli.main([]) == 0
    assert launched == 2 * [(clone / "my_notebooks/00_start_here.ipynb", [])]
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line == f"kst-workbook: made your own copies of the notebooks in {clone / 'my_notebooks'}"
    )


def test_copies_with_outputs_are_in_a_folder_of_their_own(
    clone: Path, launched: list[tuple[Path, list[str]]]
) -> None:
    """The option is not handed on to JupyterLab, which does not know it."""
    assert cli.main(["--outputs", "--no-browser"]) == 0
    folder = clone / "my_notebooks/with_outputs"
    assert launched == [(folder / "00_start_here.ipynb", ["--no-browser"])]


def test_a_notebook_of_another_folder_is_opened_as_it_is(
    tmp_path: Path, launched: list[tuple[Path, list[str]]]
) -> None:
    """A reader's own file is not copied, and no copies are made beside it."""
    (tmp_path / "own.ipynb").touch()
    assert cli.main([str(tmp_path / "own.ipynb")]) == 0
    assert launched == [(tmp_path / "own.ipynb", [])]
    assert not (tmp_path / "my_notebooks").exists()


def test_reset_puts_one_copy_back(
    clone: Path, launched: list[tuple[Path, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named by its number, or its name; what was there is kept, and others stay."""
    cli.main([])
    files = [clone / f"my_notebooks/{name}.ipynb" for name in ("00_start_here", "01_install")]
    made = [file.read_text("utf-8") for file in files]
    for file in files:
        file.write_text("mine", "utf-8")
    assert cli.main(["reset", "01"]) == 0
    assert [file.read_text("utf-8") for file in files] == ["mine", made[1]]
    assert capsys.readouterr().out == (
        "01_install.ipynb is put back; what was there is now 01_install.before.ipynb\n"
    )
    assert cli.main(["reset", "my_notebooks/00_start_here.ipynb"]) == 0
    assert cli.main(["reset", "7"]) == 1
    assert "no notebook 7; write one of 00_start_here.ipynb, 01_in" in capsys.readouterr().err
    assert len(launched) == 1


def test_options_are_handed_on_to_jupyterlab(launched: list[tuple[Path, list[str]]]) -> None:
    """What begins with a dash, and its value, arrive unchanged and in order."""
    assert cli.main(["--no-browser", "--port", "9999"]) == 0
    assert launched[0][1] == ["--no-browser", "--port", "9999"]


def test_another_notebook_can_be_opened(
    clone: Path, launched: list[tuple[Path, list[str]]]
) -> None:
    """A name that ends in .ipynb takes the first notebook's place; the path of an original, too."""
    assert cli.main(["--no-browser", "01_install.ipynb"]) == 0
    assert cli.main(["notebooks/01_install.ipynb"]) == 0
    copy = clone / "my_notebooks/01_install.ipynb"
    assert launched == [(copy, ["--no-browser"]), (copy, [])]


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_only_where_the_user_is_root(
    user: int, allowed: bool, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's root gets in; nobody else is told to lower the guard."""
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    assert ("--allow-root" in lab_options(clone / "x.ipynb")) is allowed


def test_the_address_opens_the_notebook(clone: Path) -> None:
    """With letters that an address has to write in another way."""
    options = lab_options(clone / "notebooks" / "내 것.ipynb")
    assert "--LabApp.default_url=/lab/tree/%EB%82%B4%20%EA%B2%83.ipynb" in options
    assert f"--ServerApp.root_dir={clone / 'notebooks'}" in options


def test_a_home_that_cannot_be_written_to_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JupyterLab keeps its state there, and would end in a traceback."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", "/proc/nobody/runtime")
    assert cli.main(["--no-browser"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kst-workbook: /proc/nobody/runtime cannot be written to (")
    assert "set HOME, or JUPYTER_RUNTIME_DIR, to a folder of yours" in line


def test_an_unknown_word_is_refused(
    launched: list[tuple[Path, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt verb does not open JupyterLab on something else."""
    assert cli.main(["refersh"]) == 1
    assert "cannot open 'refersh'; write one notebook" in capsys.readouterr().err
    assert launched == []


def test_help_explains_without_starting_anything(
    launched: list[tuple[Path, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the verbs and where JupyterLab's own options stand."""
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "kst-workbook reset" in shown
    assert "KST_WORKBOOK_FOLDER" in shown
    assert "kst-workbook refresh" in shown
    assert "kst-workbook page" in shown
    assert "jupyter lab --help" in shown
    assert launched == []


def test_a_folder_without_notebooks_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1 and the message says where to run the command."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert cli.main([]) == 1
    assert "kst-workbook: no 00_start_here.ipynb in " in capsys.readouterr().err


def test_a_missing_jupyterlab_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to install."""
    monkeypatch.setattr(cli, "find_spec", lambda _name: None)
    assert cli.main([]) == 1
    assert "pip install 'kst-scheduler[workbook]'" in capsys.readouterr().err


def test_refresh_reports_each_notebook_and_fails_where_one_fails(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without names it takes all of them, two at once here; a bad one does not stop the others."""
    assert cli.main(["refresh", "-j", "2"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "00_start_here.ipynb: outputs renewed\n"
    assert "kst-workbook: 01_install.ipynb, cell 1 ('1 / 0')" in shown.err
    (stored,) = json.loads((clone / "notebooks/00_start_here.ipynb").read_text("utf-8"))["cells"]
    assert stored["outputs"][0]["data"]["text/plain"] == ["2"]


def test_page_writes_the_site_and_says_where_it_begins(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the folder that is named, or in site."""
    assert cli.main(["page"]) == 0
    assert cli.main(["page", "elsewhere"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{Path(name, 'index.html')}: the first of 3 pages" for name in ("site", "elsewhere")
    ]
    assert (clone / "elsewhere/notebooks/01_install.html").is_file()


def test_page_writes_nothing_when_a_link_is_broken(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, and the message lists the links."""
    (clone / "README.md").write_text("# A workbook\n\n[gone](GONE.md)\n", encoding="utf-8")
    assert cli.main(["page"]) == 1
    assert "index.html: the link to GONE.html leads nowhere" in capsys.readouterr().err
    assert not (clone / "site").exists()


def test_jupyterlab_starts_with_the_readers_settings_and_without_news(clone: Path) -> None:
    """The real server: no question about news, no update check, the reader's own theme kept."""
    settings = clone / "settings"
    (settings / "@jupyterlab/apputils-extension").mkdir(parents=True)
    theme = settings / "@jupyterlab/apputils-extension/themes.jupyterlab-settings"
    theme.write_text('{"theme": "JupyterLab Dark"}', encoding="utf-8")
    notebook = clone / "notebooks/01_install.ipynb"
    with running_lab(notebook, clone, JUPYTERLAB_SETTINGS_DIR=str(settings)) as url:
        news = fetch(f"{url}/lab/api/settings/@jupyterlab/apputils-extension:notification")
        defaults = news["schema"]["properties"]
        assert defaults["fetchNews"]["default"] == "false"
        assert defaults["checkForUpdates"]["default"] is False
        notebooks = fetch(f"{url}/lab/api/settings/@jupyterlab/notebook-extension:tracker")
        assert notebooks["schema"]["properties"]["kernelShutdown"]["default"] is True
        themes = fetch(f"{url}/lab/api/settings/@jupyterlab/apputils-extension:themes")
        assert themes["settings"]["theme"] == "JupyterLab Dark"
        kernels = fetch(f"{url}/api/kernelspecs")
        assert kernels["kernelspecs"]["python3"]["spec"]["argv"][0] == sys.executable
        names = sorted(entry["name"] for entry in fetch(f"{url}/api/contents")["content"])
        assert names == ["00_start_here.ipynb", "01_install.ipynb"]


def test_it_says_what_it_serves_where_and_how_it_ended(clone: Path) -> None:
    """Four things a reader needs; Ctrl-C ends it without a question, and with exit code 0."""
    notebook = clone / "notebooks/01_install.ipynb"
    options = ["--no-browser", "--port=0", f"--IdentityProvider.token={TOKEN}"]
    with subprocess.Popen(  # noqa: S603 - the command under test
        [str(COMMAND), str(notebook), *options],
        env=own_environment(clone),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as lab:
        assert lab.stderr is not None
        begin = [lab.stderr.readline() for _ in range(2)]
        wait_until_it_answers(begin[1].split()[2].split("/lab/")[0], lab)
        lab.send_signal(signal.SIGINT)
        rest = lab.stderr.read()
    assert lab.returncode == 0
    assert begin[0] == (
        f"kst-workbook: serving {notebook.parent}; Ctrl-C ends it, and the notebooks' kernels\n"
    )
    assert re.fullmatch(
        r"kst-workbook: open http://localhost:\d+/lab/tree/01_install\.ipynb.*\n", begin[1]
    )
    assert rest.endswith("kst-workbook: ended; what you saved is in the notebooks\n")
