"""ImageNet's tasks over two processes: the same training as in one, killed and gone on with, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from optim.hosts.processes import on_two_ranks
from waddington import bench
from waddington.bench.tasks import imagenet
from waddington.bench.tasks._sharding import mean_over_ranks, of_this_rank
from waddington.errors import DataError


class Killed(Exception):
    pass


def trained(folder: str | None = None, kill_at: int | None = None, name: str = "imagenet-vit") -> dict[str, Any]:
    found = bench.get_task(name)
    parameters = {key: value for key, value in found.tiny.items() if key != "steps"}
    problem = found.problem(0, **{**parameters, "jitter": 0.0, "dropout": 0.0, "batch_size": 16})
    batch = problem.batch

    def dying(generator: torch.Generator, step: int) -> Any:
        if step == kill_at:
            raise Killed
        return batch(generator, step)

    problem.batch = dying
    optimizer = torch.optim.AdamW(problem.model.parameters(), lr=1e-2)
    plan = bench.Plan(steps=6, seed=0, evaluations=3, test=True, checkpoint_s=0.0)
    found = bench.train(problem, optimizer, bench.Schedule(), plan, folder=Path(folder) if folder else None)
    return {"losses": [row["loss"] for row in found.curve], "test": found.test}


def on_a_rank(rank: int, folder: str) -> dict[str, Any]:
    whole = trained()
    with pytest.raises(Killed):
        trained(f"{folder}/{rank}", 5)
    again = trained(f"{folder}/{rank}")
    return {"whole": whole, "again": again}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")
def test_two_processes_train_as_one_and_go_on_where_they_were_killed(tmp_path: Path) -> None:
    ranks = on_two_ranks(on_a_rank, tmp_path, str(tmp_path))
    one = trained()
    for rank in ranks:
        assert rank["whole"]["losses"] == pytest.approx(one["losses"], rel=1e-4)
        assert rank["whole"]["test"] == pytest.approx(one["test"], rel=1e-4)
        assert rank["again"] == rank["whole"]


@pytest.mark.slow
def test_the_command_runs_under_torchrun(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "waddington.bench.tasks.imagenet", "imagenet-resnet50", "--size", "tiny", "--out", str(tmp_path)]
    subprocess.run([*torchrun, *command], check=True, timeout=300, capture_output=True)
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["processes"], record["diverged"], len(record["curve"])) == (2, False, 4)
    assert record["test"]["loss"] > 0


def test_the_command_runs_in_one_process(tmp_path: Path) -> None:
    assert imagenet.main(["imagenet-vit", "--size", "tiny", "--steps", "1", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["processes"], record["curve"][0]["train_loss"], len(record["curve"])) == (1, None, 2)


def test_the_command_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("WADDINGTON_DATA", str(tmp_path))
    given = ["imagenet-vit", "--size", "tiny", "--set", "data=disk", "--out", str(tmp_path)]
    assert imagenet.main(given) == 2
    assert "image-net.org/download" in capsys.readouterr().err
    with pytest.raises(DataError, match="ImageNet is not in"):
        bench.get_task("imagenet-resnet50").problem(0, device="cpu")


def test_one_process_has_the_whole_batch() -> None:
    assert of_this_rank(torch.arange(3)).tolist() == [0, 1, 2]
    assert mean_over_ranks({"loss": 6.0, "accuracy": 1.0}, 4, torch.device("cpu")) == {"loss": 1.5, "accuracy": 0.25}
