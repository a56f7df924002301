from __future__ import annotations

import json
from pathlib import Path

import pytest

from waddington.twin.pipeline import RunConfig, storage


def test_another_run_in_the_same_folder_is_not_mistaken_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "load", lambda folder: object())

    def run(*, seeds: int, data: str) -> tuple[object, RunConfig]:
        (tmp_path / "config.json").write_text(json.dumps(RunConfig.of("smoke", seeds=seeds).to_dict()))
        (tmp_path / "data.txt").write_text(data)
        return storage.shared(tmp_path)

    first = run(seeds=1, data="a")
    assert run(seeds=1, data="a")[0] is first[0], "read once for one run"
    other = run(seeds=2, data="a")
    assert other[1].seeds == 2
    assert other[0] is not first[0]
    assert run(seeds=2, data="b")[0] is not other[0]
