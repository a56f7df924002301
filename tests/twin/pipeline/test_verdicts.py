from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from waddington.twin.pipeline.verdicts import compare, verdicts


def tidy(
    errors: dict[tuple[str, str], float], *, seeds: int = 5, noise: float = 0.01, protocol: str = "held-out"
) -> pd.DataFrame:
    """Make metrics in which every contestant has its own mean error, the same in both modalities but for units."""
    rng = np.random.default_rng(0)
    split = "combo_seen2" if protocol == "held-out" else "double, as published"
    rows = []
    for (predictor, optimizer), error in errors.items():
        for seed, (modality, unit) in itertools.product(range(seeds), {"rna": 1.0, "all": 100.0}.items()):
            value = error * unit * np.exp(noise * rng.standard_normal())
            about = {"protocol": protocol, "predictor": predictor, "optimizer": optimizer, "seed": seed, "split": split}
            rows += [
                {**about, "modality": modality, "metric": "mse", "value": value},
                {**about, "modality": modality, "metric": "pearson", "value": 1.0 - value / unit},
            ]
    return pd.DataFrame(rows)


def test_an_error_is_compared_as_a_ratio_so_units_don_t_decide() -> None:
    metrics = tidy({("response", "Adam"): 0.5, ("mean", "none"): 1.0})
    found = compare(metrics, {"predictor": "response"}, {"predictor": "mean"}, "mse")
    assert found is not None
    assert found.better
    assert not found.worse
    assert found.gain == pytest.approx(np.log(2), abs=0.05)
    assert found.text.startswith("-5") or found.text.startswith("-4")
    mirrored = compare(metrics, {"predictor": "mean"}, {"predictor": "response"}, "mse")
    assert mirrored is not None
    assert mirrored.worse


def test_one_seed_decides_nothing() -> None:
    found = compare(tidy({("a", "x"): 0.1, ("b", "x"): 9.0}, seeds=1), {"predictor": "a"}, {"predictor": "b"}, "mse")
    assert found is not None
    assert not found.better
    assert not found.worse
    assert "one seed" in found.text


def test_noise_is_not_a_difference() -> None:
    found = compare(
        tidy({("a", "x"): 1.0, ("b", "x"): 1.0}, noise=0.3), {"predictor": "a"}, {"predictor": "b"}, "pearson"
    )
    assert found is not None
    assert not found.better
    assert not found.worse


def test_without_a_pair_there_is_no_comparison() -> None:
    metrics = tidy({("a", "x"): 1.0})
    assert compare(metrics, {"predictor": "a"}, {"predictor": "nobody"}, "mse") is None


@pytest.mark.parametrize(("error", "answer"), [(0.1, "yes"), (0.7, "partly"), (3.0, "no")])
def test_the_answer_follows_from_the_numbers(error: float, answer: str) -> None:
    metrics = tidy(
        {("response", "Adam"): error, ("no change", "none"): 1.0, ("mean", "none"): 0.9, ("additive", "none"): 0.5}
    )
    first = verdicts(metrics, optimizers=("Adam",))[0]
    assert first.answer == answer
    if answer == "partly":
        assert "beats no change and mean" in first.sentence
        assert "is worse than additive" in first.sentence


def test_switching_optimizers_are_judged_against_adam() -> None:
    base = {("no change", "none"): 1.0, ("mean", "none"): 1.0, ("additive", "none"): 1.0, ("random", "none"): 1.0}
    better = tidy({**base, ("response", "Adam"): 0.5, ("response", "ASGDAdam"): 0.3})
    found = {v.question: v for v in verdicts(better, optimizers=("Adam", "ASGDAdam"))}
    assert found["Do switching optimizers train better encoders than Adam, each at its tuned rate?"].answer == "yes"


def test_the_published_error_is_least_for_who_does_nothing() -> None:
    metrics = tidy({("agent", "Adam"): 2.0, ("do nothing", "none"): 0.1}, protocol="paper")
    (verdict,) = verdicts(metrics, optimizers=("Adam",))
    assert verdict.answer == "no"
    assert "the less a policy moves" in verdict.sentence
