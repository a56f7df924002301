"""Judges of Tables II and III go by seeds, and say of noise that it is no order and no benefit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from waddington import jobs
from waddington.claims.experiments import perturbation

ROWS = [name for group in perturbation.GROUPS for name in group]
PRINTED = {name: {"accuracy": 0.7, "mse": 1.0, "recall": 0.7} for name in ROWS}


def record(row: str, seed: int, accuracy: float, mse: float, **changes: Any) -> jobs.Record:
    result: dict[str, Any] = {
        "row": row, "seed": seed, "regime": 1, "protocol": "paper", "published": PRINTED, "anisotropy": {},
        "scores": {
            row: {"deterministic": {"accuracy": accuracy, "mse": mse, "recall": accuracy}},
            "go to the mean": {"deterministic": {"accuracy": 0.7, "mse": 1.0, "recall": 0.7}},
            "random": {"stochastic": {"accuracy": 0.5, "mse": 9.0, "recall": 0.5}},
        },
        **changes,
    }  # fmt: skip
    return jobs.Record(
        key="", kind="", label="", spec={}, status="done", result=result, error=None, seeds={}, code={}, machine={},
        started="2026-11-30T00:00:00", seconds=1.0, attempts=1,
    )  # fmt: skip


def table(means: dict[str, float], *, seeds: int = 8, spread: float = 0.01) -> list[jobs.Record]:
    draw = np.random.default_rng(0)
    return [
        record(name, seed, *(mean + spread * draw.normal(), 2.0 - mean + spread * draw.normal()))
        for name, mean in means.items()
        for seed in range(seeds)
    ]


IN_ORDER = dict(zip(ROWS, (0.74, 0.73, 0.63, 0.62, 0.55, 0.54), strict=True))


def test_the_papers_order_is_one_that_every_pair_has() -> None:
    found = perturbation.is_in_order(table(IN_ORDER))
    assert found.holds is True
    assert found.figures["pairs"] == found.figures["in order"] == 16
    assert found.interval is not None
    assert found.interval.low > 0.0


@pytest.mark.parametrize("means", [dict.fromkeys(ROWS, 0.6), {**IN_ORDER, "SGD": 0.5}, dict.fromkeys(ROWS, math.nan)])
def test_noise_and_one_row_out_of_place_are_no_order(means: dict[str, float]) -> None:
    if math.isnan(next(iter(means.values()))):
        with pytest.raises(ValueError, match="NaN"):
            perturbation.is_in_order(table(means))
        return
    assert perturbation.is_in_order(table(means)).holds is False


def test_an_agent_that_diverged_is_the_worst_and_not_left_out() -> None:
    records = table({name: mean for name, mean in IN_ORDER.items() if name != "Adam"})
    records += [record("Adam", seed, 0.0, 0.0, scores={"random": {}}) for seed in range(8)]
    found = perturbation.is_in_order(records)
    assert found.holds is True


def test_figures_agree_within_a_tenth_or_two_deviations() -> None:
    same = [record(name, seed, 0.7, 1.05) for name in ROWS for seed in range(3)]
    found = perturbation.figures_agree(same)
    assert found.holds is True
    assert "'go to the mean'" in found.words
    other = [record(name, seed, 0.7, 1.05 if name != "SGD" else 2.0) for name in ROWS for seed in range(3)]
    assert perturbation.figures_agree(other).holds is False
    wide = [record(name, seed, 0.7, (0.2, 2.0, 2.6)[seed]) for name in ROWS for seed in range(3)]
    assert perturbation.figures_agree(wide).holds is True


def regimes(gaps: dict[int, float], dominance: dict[int, float]) -> list[jobs.Record]:
    draw = np.random.default_rng(1)
    found = []
    for regime, gap in gaps.items():
        for seed in range(8):
            about: Any = {
                "regime": regime,
                "anisotropy": {"hessian_dominance": dominance[regime] + 0.01 * draw.normal()},
            }
            found.append(record("ASGD-Adam", seed, 0.6 + gap + 0.01 * draw.normal(), 1.0, **about))
            found.append(record("Adam", seed, 0.6 + 0.01 * draw.normal(), 1.0, **about))
    return found


FALLING = {1: 0.9, 2: 0.8, 3: 0.7, 4: 0.6, 8: 0.3}


def test_a_benefit_vanishes_that_was_there() -> None:
    found = perturbation.benefit_vanishes(regimes({1: 0.1, 2: 0.1, 3: 0.0, 4: 0.0, 8: 0.0}, FALLING))
    assert found.holds is True
    assert found.figures["Spearman, hessian_dominance"] < -0.9


@pytest.mark.parametrize(
    ("gaps", "dominance"),
    [
        (dict.fromkeys(FALLING, 0.0), FALLING),
        (dict.fromkeys(FALLING, 0.1), FALLING),
        ({1: 0.1, 2: 0.1, 3: 0.0, 4: 0.0, 8: 0.0}, dict.fromkeys(FALLING, 0.5)),
    ],
)
def test_nothing_can_vanish_that_was_never_there(gaps: dict[int, float], dominance: dict[int, float]) -> None:
    assert perturbation.benefit_vanishes(regimes(gaps, dominance)).holds is False


def test_pictures_show_the_papers_figures() -> None:
    pytest.importorskip("matplotlib")
    assert len(perturbation.picture_of_order(table(IN_ORDER)).axes[0].get_yticks()) == len(ROWS)
    gaps = perturbation.picture_of_anisotropy(regimes(dict.fromkeys(FALLING, 0.0), FALLING))
    assert len(gaps.axes[0].get_yticks()) == len(FALLING)


@pytest.mark.slow
def test_an_agent_is_trained_once_and_its_record_is_small(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    size = {
        "n_cells": 240, "steps": 128, "episodes": 3, "horizon": 12, "net": [8, 8], "n_envs": 4, "batch_size": 32,
        "encoder_epochs": 1,
    }  # fmt: skip
    given: Any = {"folder": tmp_path, "row": "ASGD-Adam", "regime": 1, "protocol": "paper", "size": size}
    found = dict(perturbation.agent(0, **given))
    assert found["published"]["ASGD-Adam"]["accuracy"] == 0.737
    assert set(found["scores"]["ASGD-Adam"]) == {"deterministic", "stochastic"}
    assert found["anisotropy"]["hessian_dominance"] > 0.0
    assert len(json.dumps(found)) < 20_000
    assert dict(perturbation.agent(0, **given)) == found
