"""Grids say how many decades of rates are good, whether batches matter, and nothing where noise could have said it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import grids
from waddington.claims.experiments.sensitivity import betas, decades, grid, rates, resampled

LRS = [1e-4, 1e-3, 1e-2, 1e-1]
FLAT, NARROW = [0.90, 0.905, 0.905, 0.90], [0.5, 0.6, 0.9, 0.6]


def made(arm: str, accuracy: list[float], *, size: int = 64, noise: float = 0.001, seeds: int = 8) -> list[Any]:
    draw = np.random.default_rng(size)
    rows = []
    for seed in range(seeds):
        values = [one + float(e) for one, e in zip(accuracy, draw.normal(0.0, noise, len(accuracy)), strict=True)]
        rows.append(record({"arm": arm, "seed": seed, "batch_size": size, "steps": 1, "lrs": LRS, "test": values,
                            "validation": values, "rose": [False] * 4}))  # fmt: skip
    return rows


def test_a_grid_of_rates_is_run_with_one_batch_size() -> None:
    found = rates(0, task="digits", arm="AMVT", lrs=[1e-2, 1e8], batch_size=16, examples=640, parameters={"hidden": 8})
    assert json.loads(json.dumps(found)) == found
    assert found["steps"] == 40
    assert 0.0 <= found["test"][0] <= 1.0
    assert found["rose"] == [False, True]


def test_betas_are_run_in_all_combinations() -> None:
    found = betas(0, task="digits", lr=1e-2, steps=5, beta1=[0.85, 0.9], beta2=[0.99], beta3=[0.9, 0.99],
                  parameters={"hidden": 8})  # fmt: skip
    assert found["cells"] == [[0.85, 0.99, 0.9], [0.85, 0.99, 0.99], [0.9, 0.99, 0.9], [0.9, 0.99, 0.99]]
    assert len(found["test"]) == 4


def test_decades_are_measured_between_the_crossings() -> None:
    assert decades(LRS, np.array([90.0, 90.0, 90.0, 90.0])) == pytest.approx(3.0)
    assert decades(LRS, np.array([80.0, 90.0, 80.0, 90.0])) == pytest.approx(0.2)  # the island beyond is none
    assert decades(LRS, np.array([88.0, 89.5, 90.0, 80.0])) == pytest.approx(1.0 + 0.5 / 1.5 + 0.1)


def test_lost_runs_count_as_no_accuracy() -> None:
    rows = made("AMVT", FLAT, seeds=1)
    rows[0].result["test"][3] = None
    assert grid(rows)["AMVT"][64][0, 3] == 0.0


def test_a_statistic_of_seeds_has_an_interval() -> None:
    values = np.arange(8.0)
    middle, interval = resampled(8, lambda drawn: float(values[drawn].mean()))
    assert middle == 3.5
    assert interval.low < 3.5 < interval.high


def test_two_decades_hold_or_not_or_cannot_be_told() -> None:
    assert grids.is_wide("AMVT")(made("AMVT", FLAT)).holds is True
    assert grids.is_wide("AMVT")(made("AMVT", NARROW)).holds is False
    assert grids.is_wide("AMVT")(made("AMVT", [0.895, 0.9, 0.9, 0.891], noise=0.02)).holds is None


def test_an_arm_is_wider_only_where_it_is() -> None:
    assert grids.is_wider("AMVT", "Adam")([*made("AMVT", FLAT), *made("Adam", NARROW)]).holds is True
    assert grids.is_wider("AMVT", "Adam")([*made("AMVT", FLAT), *made("Adam", FLAT)]).holds is False
    assert grids.is_wider("AMVT", "Adam")([*made("AMVT", NARROW), *made("Adam", FLAT)]).holds is False


def test_one_arm_drops_where_the_other_stays() -> None:
    judge = grids.drops("Adam", "AMVT", low=1e-4, high=1e-2)
    assert judge([*made("AMVT", FLAT), *made("Adam", NARROW)]).holds is True
    assert judge([*made("AMVT", NARROW), *made("Adam", NARROW)]).holds is False
    assert judge([*made("AMVT", FLAT), *made("Adam", FLAT)]).holds is False
    unclear = [*made("AMVT", FLAT), *made("Adam", [0.82, 0.9, 0.9, 0.9], noise=0.03)]
    assert judge(unclear).holds is None


def test_batches_are_stable_where_their_best_rates_are_alike() -> None:
    judge = grids.is_stable("AMVT", sizes=(64, 128))
    assert judge([*made("AMVT", FLAT), *made("AMVT", FLAT, size=128)]).holds is True
    assert judge([*made("AMVT", FLAT), *made("AMVT", NARROW, size=128), *made("AMVT", [0.8] * 4, size=2)]).holds is True
    assert judge([*made("AMVT", FLAT), *made("AMVT", [0.8] * 4, size=128)]).holds is False


def test_small_batches_degrade_only_where_every_one_does() -> None:
    judge = grids.degrades(("AMVT",), sizes=(2, 4), against=32)
    bad, good = [0.8, 0.85, 0.85, 0.8], FLAT
    worse = [*made("AMVT", bad, size=2), *made("AMVT", bad, size=4), *made("AMVT", good, size=32)]
    assert judge(worse).holds is True
    same = [row for size in (2, 4, 32) for row in made("AMVT", good, size=size, noise=0.0)]
    assert judge(same).holds is False
    assert judge([*made("AMVT", bad, size=2), *made("AMVT", good, size=4), *made("AMVT", good, size=32)]).holds is False


def test_rates_outside_lose_where_both_ends_do() -> None:
    judge = grids.outside(("AMVT",), lrs=(1e-4, 1e-1))
    assert judge(made("AMVT", NARROW)).holds is True
    assert judge(made("AMVT", FLAT)).holds is False


@pytest.mark.parametrize(("spread", "holds"), [(0.0, True), (0.05, False), (0.012, None)])
def test_betas_are_flat_where_their_means_are(spread: float, holds: bool | None) -> None:
    draw = np.random.default_rng(0)
    cells = [[0.85, 0.99, 0.9], [0.9, 0.99, 0.9], [0.95, 0.99, 0.9]]
    means = np.array([0.9, 0.9 + spread / 2, 0.9 + spread])
    rows = [
        record({"seed": seed, "cells": cells, "test": (means + draw.normal(0.0, 0.004, 3)).tolist()})
        for seed in range(8)
    ]
    found = grids.is_flat_in_betas(rows)
    assert found.holds is holds
    assert found.figures["by chance"] > 0.0


def test_lost_rates_are_counted_by_seed() -> None:
    rows = made("AMVT", FLAT, seeds=2)
    rows[1].result["rose"] = [False, False, True, True]
    assert grids.lost_rates(rows) == {"AMVT": [0.0, 2.0]}


def test_pictures_have_a_curve_for_each_arm() -> None:
    pytest.importorskip("matplotlib")
    rows = [*made("AMVT", FLAT), *made("Adam", NARROW), *made("AMVT", FLAT, size=128), *made("Adam", FLAT, size=128)]
    for draw in (grids.rates_picture(1e-4, 1e-2), grids.sizes_picture):
        (axes,) = draw(rows).axes
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["AMVT", "Adam"]
