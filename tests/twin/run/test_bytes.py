"""The same run leaves the same bytes, whatever process made it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.twin.run.tiny import TINY

from waddington import twin


@pytest.mark.slow
def test_two_runs_leave_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file, those of the jobs too, but for the store, which says when each job ran and how long it took.

    `workers` and paths of input are written down, and so are the same here.
    """
    left = []
    for process in (1, 22_222):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        out = twin.run(out=tmp_path / str(process), **TINY).out
        files = [path for path in out.rglob("*") if path.is_file() and path.name != "jobs.sqlite"]
        left.append({path.relative_to(out): path.read_bytes() for path in files})
    assert left[0].keys() == left[1].keys()
    assert not [str(name) for name in left[0] if left[0][name] != left[1][name]]
