from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from waddington.twin.run import RunConfig, artifacts


def test_another_run_in_the_same_folder_is_not_mistaken_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "load", lambda folder: object())

    def run(*, seeds: int, data: str) -> tuple[object, RunConfig]:
        (tmp_path / "config.json").write_text(json.dumps(RunConfig.of("smoke", seeds=seeds).to_dict()))
        (tmp_path / "data.txt").write_text(data)
        return artifacts.shared(tmp_path)

    first = run(seeds=1, data="a")
    assert run(seeds=1, data="a")[0] is first[0], "read once for one run"
    other = run(seeds=2, data="a")
    assert other[1].seeds == 2
    assert other[0] is not first[0]
    assert run(seeds=2, data="b")[0] is not other[0]


def test_the_same_weights_are_the_same_bytes_whatever_process_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for process in (1, 22_222):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        artifacts.save_state(tmp_path / f"{process}.pt", {"weight": torch.arange(3.0)})
        written.append((tmp_path / f"{process}.pt").read_bytes())
    assert written[0] == written[1]
    assert torch.equal(torch.load(tmp_path / "1.pt", weights_only=True)["weight"], torch.arange(3.0))
