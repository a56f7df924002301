"""The whole command on a small size: killed at any moment, it ends with the same tables."""

from __future__ import annotations

import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mudata as md
import pandas as pd
import pytest

from waddington.twin.data import io
from waddington.twin.datasets import simulate

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "paper_tables.py"
SMALL = [
    "--steps", "256", "--seeds", "1", "--episodes", "3", "--horizon", "12", "--net", "8", "8", "--encoder-epochs", "1",
    "--rows", "ASGD-Adam", "Adam", "--regimes", "1", "2", "--workers", "2",
]  # fmt: skip


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, str(SCRIPT), "--out", str(out), *SMALL, *more]


def run_here(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> None:
    """Run the command in this process, which has imported all that it needs."""
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)  # the script's own process would end
    monkeypatch.setattr(sys, "argv", command(out, *more)[1:])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def records_in(out: Path) -> int:
    """Count what is recorded in a folder that may not be there yet."""
    path = out / "work" / "jobs.sqlite"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT COUNT(*) FROM jobs WHERE record IS NOT NULL").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed with two workers, and gone on with one process, it leaves what one does."""
    cells = ("--cells", "240")
    run_here(monkeypatch, tmp_path / "whole", *cells, "--workers", "1")
    running = subprocess.Popen(
        command(tmp_path / "killed", *cells), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while running.poll() is None and records_in(tmp_path / "killed") < 6:
        time.sleep(0.05)
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert records_in(tmp_path / "killed") >= 6, "its two workers did some of the work"
    capsys.readouterr()
    run_here(monkeypatch, tmp_path / "killed", *cells, "--report")
    assert "tables.md" in capsys.readouterr().out
    run_here(monkeypatch, tmp_path / "killed", *cells, "--workers", "1")
    for name in ("records.csv", "tables.csv"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()
    table = pd.read_csv(tmp_path / "whole" / "tables.csv")
    assert set(table["protocol"]) == {"paper", "held-out"}
    assert set(table["regime"]) == {1, 2}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--data", "eccite", "--cells", "300"], "cannot use --cells 300 without --data simulated"),
        (["--data", "eccite", "--file", "x.h5ad"], "cannot use --data beside --file"),
        (["--name", "mine"], "cannot use --name mine without --file"),
        (["--trials", "3"], "cannot use --trials 3 without --tuned"),
        (["--data", "eccit"], "Did you mean 'eccite'"),
        (["--data", "eccite"], "WADDINGTON_DATA is not set"),
        (["--cells", "300", "--workers", "-1"], "workers=-1"),
    ],
)
def test_what_would_say_nothing_is_refused(
    given: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WADDINGTON_DATA", raising=False)
    with pytest.raises(SystemExit, match=message):
        run_here(monkeypatch, tmp_path / "out", *given)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_users_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mdata = simulate(n_cells=240, seed=0)
    two = md.MuData({name: mdata[name] for name in ("rna", "atac")})
    io.write(two, tmp_path / "cells.h5mu")
    own = ("--file", str(tmp_path / "cells.h5mu"), "--name", "mine", "--protocols", "paper", "--workers", "1")
    run_here(monkeypatch, tmp_path / "out", *own)
    assert set(pd.read_csv(tmp_path / "out" / "records.csv")["modality"]) == {"rna", "atac", "all"}
    with pytest.raises(SystemExit, match="there is no such file"):
        run_here(monkeypatch, tmp_path / "out", "--file", str(tmp_path / "none.h5"))
