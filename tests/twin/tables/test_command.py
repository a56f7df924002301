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


def records_in(out: Path) -> int:
    """Count what is recorded in a folder that may not be there yet."""
    path = out / "work" / "jobs.sqlite"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT COUNT(*) FROM jobs WHERE record IS NOT NULL").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_tables(tmp_path: Path) -> None:
    cells = ("--cells", "240")
    subprocess.run(command(tmp_path / "whole", *cells), check=True, capture_output=True)
    running = subprocess.Popen(
        command(tmp_path / "killed", *cells), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while running.poll() is None and records_in(tmp_path / "killed") < 6:
        time.sleep(0.05)
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    report = subprocess.run(
        command(tmp_path / "killed", *cells, "--report"), check=True, capture_output=True, text=True
    )
    assert "tables.md" in report.stdout
    subprocess.run(command(tmp_path / "killed", *cells), check=True, capture_output=True)
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
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)  # the script's own process would end
    monkeypatch.setattr(sys, "argv", command(tmp_path / "out", *given)[1:])
    with pytest.raises(SystemExit, match=message):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_users_file_is_read(tmp_path: Path) -> None:
    mdata = simulate(n_cells=240, seed=0)
    two = md.MuData({name: mdata[name] for name in ("rna", "atac")})
    io.write(two, tmp_path / "cells.h5mu")
    subprocess.run(
        command(tmp_path / "out", "--file", str(tmp_path / "cells.h5mu"), "--name", "mine", "--protocols", "paper"),
        check=True,
        capture_output=True,
    )
    assert set(pd.read_csv(tmp_path / "out" / "records.csv")["modality"]) == {"rna", "atac", "all"}
    wrong = subprocess.run(
        command(tmp_path / "out", "--file", str(tmp_path / "none.h5")), capture_output=True, text=True, check=False
    )
    assert wrong.returncode != 0
    assert "there is no such file" in wrong.stderr
