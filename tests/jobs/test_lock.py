from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from waddington.errors import OutputError
from waddington.jobs import holder, locked

HOLD = """
import sys
from pathlib import Path
from waddington.jobs import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_user_learns_who_holds_the_folder(tmp_path: Path) -> None:
    with locked(tmp_path, what="study"):
        found = holder(tmp_path)
        assert found is not None
        assert found["pid"] == str(os.getpid())
        said = (
            rf"another study is writing there \(process {os.getpid()} on .+, since .+ UTC\); accepted: another folder"
        )
        with pytest.raises(OutputError, match=said), locked(tmp_path, what="study"):
            pass
    assert holder(tmp_path) is None
    assert not list(tmp_path.iterdir()), "nothing is left"
    with locked(str(tmp_path)):
        assert holder(str(tmp_path)) is not None


def test_the_lock_goes_with_a_killed_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=rf"process {process.pid} on"), locked(tmp_path):
            pass
        process.kill()
        process.wait()
    with locked(tmp_path):
        found = holder(tmp_path)
        assert found is not None
        assert found["pid"] == str(os.getpid())


def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=re.escape(str(tmp_path / "none"))), locked(tmp_path / "none"):
        pass


def test_an_error_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mine"), locked(tmp_path):
        raise RuntimeError("mine")
    with locked(tmp_path):
        pass
