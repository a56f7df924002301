"""``waddington claims``: verdicts from records, measuring what has none, pages; and the commands that rows print."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from waddington import bench, claims
from waddington.claims import ledger
from waddington.cli._app import run_app
from waddington.errors import UnsupportedError

COMMANDS = sorted({part.need.command for claim in claims.all_claims() for part in claim.parts if part.need is not None})

ROOT = Path(__file__).parents[2]
SCRIPTS = [command for command in COMMANDS if command.startswith("python benchmarks/")]


def test_the_list_is_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["claims", "list", "G2", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["verdict"]) == ("G2", "contradicted")
    assert run_app(["claims", "list", "g2"]) == 0
    shown = capsys.readouterr().out
    assert "contradicted" in shown
    assert "0.1, 0.3; printed is 0.3" in shown  # of one claim every part is told


def test_what_has_no_record_is_measured_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PAPERS", ("alphaadam",))  # pages of one paper, whose pictures take a while
    arguments = ["claims", "run", "L4", "--out", str(tmp_path / "store"), "--workers", "1"]
    assert run_app(arguments) == 0
    assert "Fisher p" in " ".join(capsys.readouterr().out.split())
    assert run_app(["claims", "pack", "--out", str(tmp_path / "store"), "--file", str(tmp_path / "mine.xz")]) == 0
    report = ["claims", "report", "--records", str(tmp_path / "mine.xz"), "--out", str(tmp_path / "pages")]
    assert run_app(report) == 0
    assert (tmp_path / "pages" / "claims.html").exists()


def test_a_measurement_that_fails_says_why_and_nothing_to_measure_is_no_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["claims", "run", "A4", "--out", str(tmp_path / "store"), "--workers", "1"]
    assert run_app([*arguments, "--anew"]) == 0  # no run of the study that it reads is in the store
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(r"failed: UnsupportedError: .* have no record.*--records FILE", said)
    assert run_app(["claims", "run", "L4", "--out", str(tmp_path / "other"), "--workers", "1"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "Z1"], "claim"),
        (["run", "--tier", "days"], "tier"),
        (["list", "--records", "absent.xz"], "absent.xz"),
        (["report", "--out", "/proc/none"], "/proc/none"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["claims", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", [one for one in COMMANDS if one not in SCRIPTS])
def test_a_command_for_a_larger_machine_is_one_that_the_bench_takes(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[bench.Study] = []

    def stop(study: bench.Study, *_: Any, **__: Any) -> None:
        made.append(study)
        raise UnsupportedError("not here")

    monkeypatch.setattr(bench, "run_study", stop)
    _, *arguments = shlex.split(command)
    assert run_app([*arguments, "--out", str(tmp_path), "--workers", "1"]) == 2
    assert "not here" in capsys.readouterr().err
    assert made[0].entries[0].found.tier in ("gpu", "gpus")


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_command_for_data_of_ones_own_lacks_nothing_but_the_file(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, script, *arguments = shlex.split(command)
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)  # the script's own process would end
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    lacking = re.escape(f"{arguments[arguments.index('--file') + 1]}': there is no such file")
    with pytest.raises(SystemExit, match=lacking):
        runpy.run_path(str(ROOT / script), run_name="__main__")
