"""The encoder's problem is the encoder's training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from waddington import bench
from waddington.bench.schedule import Schedule
from waddington.bench.training import Plan, train
from waddington.twin.embed import training
from waddington.twin.objectives import TWIN_ENCODER, embedding
from waddington.twin.objectives.screen import simulated_screen

TASK = bench.Task(name="twin-encoder", **TWIN_ENCODER)
SMALL = {name: value for name, value in TASK.tiny.items() if name != "steps"}


def by_the_bench(steps: int, *, evaluations: int = 1, **parameters: Any) -> tuple[torch.nn.Module, list[Any]]:
    problem = TASK.problem(0, **SMALL, **parameters)
    assert problem.parameters is not None
    optimizer = torch.optim.AdamW(problem.parameters(problem.model), lr=1e-2)
    found = train(problem, optimizer, Schedule(), Plan(steps=steps, seed=0, evaluations=evaluations))
    return problem.model, found.curve


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize(("balanced", "refresh_steps"), [(False, 500), (True, 2)])
def test_the_bench_trains_as_the_encoder_does(
    monkeypatch: pytest.MonkeyPatch, balanced: bool, refresh_steps: int
) -> None:
    epochs: Iterator[int] = iter(range(3))
    monkeypatch.setattr(embedding, "_epoch_generator", lambda generator: np.random.default_rng((0, 2, next(epochs))))
    for module in (embedding, training):
        monkeypatch.setattr(module, "REFRESH_STEPS", refresh_steps)
    data = embedding._with_own_states(embedding._neighbors(SMALL["cells"], 15)[0])
    n_batches = -(-data.train.size // SMALL["batch_size"])
    assert n_batches == 3
    found, curve = by_the_bench(3 * n_batches, evaluations=3, balanced=balanced)

    encoder = TASK.problem(0, **SMALL, balanced=balanced)
    config = encoder.loss.keywords["config"]  # type: ignore[attr-defined]
    history = training.train(
        encoder.model,  # type: ignore[arg-type]
        data,
        config,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
        epochs=3,
        batch_size=SMALL["batch_size"],
        schedule="constant",
        seed=0,
        checkpoint=None,
        progress=None,
        settings={},
    )
    assert same(found, encoder.model)
    assert [row["loss"] for row in curve[1:]] == [losses["total"] for losses in history.validation]


def test_balanced_modalities_and_starts_are_chosen() -> None:
    plain, balanced, at_components = (
        by_the_bench(6, **one) for one in ({}, {"balanced": True}, {"start": "components"})
    )
    assert plain[1][0] == pytest.approx(balanced[1][0], nan_ok=True)
    assert not same(plain[0], balanced[0])
    assert at_components[1][0]["loss"] != plain[1][0]["loss"]


def test_evaluations_do_not_disturb_the_training() -> None:
    assert same(by_the_bench(3, evaluations=1)[0], by_the_bench(3, evaluations=3)[0])


def test_parts_are_apart_and_together_all_cells() -> None:
    rows = simulated_screen(SMALL["cells"]).rows
    assert {name: len(one) for name, one in rows.items()} == {"train": 168, "validation": 36, "test": 36}
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(SMALL["cells"]))
