from __future__ import annotations

from pathlib import Path

import pytest
import torch

from waddington.twin.run import artifacts


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
