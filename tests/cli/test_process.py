"""The command as a process: what it loads, how it ends, and what it says where an extra is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("torch", "numpy", "pandas", "scipy", "anndata", "matplotlib")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; from waddington.cli._app import run_app; assert run_app({arguments!r}) == 0;"
        f"print(*set({HEAVY!r}) & set(sys.modules), file=sys.stderr)"
    )
    done = python(code)
    assert done.returncode == 0
    assert done.stderr.split() == []


def test_completion_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom waddington.cli._app import app\n"
        "try: app(prog_name='waddington')\nexcept SystemExit: pass\n"
        f"print(*set({HEAVY!r}) & set(sys.modules), file=sys.stderr)"
    )
    done = python(code, _WADDINGTON_COMPLETE="complete_bash", COMP_WORDS="waddington r", COMP_CWORD="1")
    assert "run" in done.stdout
    assert done.stderr.split() == []


def without(*modules: str) -> str:
    """Give code that makes modules as good as not installed."""
    return (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {modules!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("pandas", ["data", "describe", "cells.h5ad"]),
        pytest.param("sklearn", ["run"], marks=pytest.mark.slow),
        pytest.param("mudata", ["simulate", "cells.h5mu"], marks=pytest.mark.slow),
    ],
)
def test_a_missing_extra_is_named(missing: str, arguments: list[str]) -> None:
    code = without(missing) + f"from waddington.cli._app import run_app\nsys.exit(run_app({arguments!r}))"
    done = python(code)
    assert done.returncode == 2, done.stderr
    assert f"error: '{missing}' is not installed" in " ".join(done.stderr.split())
    assert "waddington[twin]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_extra_is_named_in_python_too() -> None:
    done = python(without("anndata") + "from waddington import twin\ntwin.data")
    assert "MissingExtraError: 'anndata' is not installed; it belongs to the extra 'twin'" in done.stderr


def test_the_command_line_itself_is_an_extra() -> None:
    done = python(without("typer") + "from waddington.cli import main\nmain(['--help'])")
    assert done.returncode == 2
    assert "error: 'typer' is not installed; the command line belongs to the extra 'cli'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_ends_a_run_with_what_to_do_next(tmp_path: Path, number: signal.Signals, code: int) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "waddington", "run", "--preset", "smoke", "--out", str(out)]
    with (tmp_path / "log").open("w") as log:
        # Of whoever runs the tests in the background a process inherits that SIGINT is ignored.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while process.poll() is None and not (out / "work").exists():  # the run has begun
            time.sleep(0.1)
        process.send_signal(number)
        assert process.wait() == code
    said = " ".join((tmp_path / "log").read_text().split())
    assert "interrupted; the same command with --resume goes on" in said
    assert "Traceback" not in said
