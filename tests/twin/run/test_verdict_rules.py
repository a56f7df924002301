from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from waddington.twin.evaluate.measurability import CIRCULAR
from waddington.twin.run.comparison import compare
from waddington.twin.run.verdict_rules import verdicts


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


def test_verdicts_of_one_seed_say_that_it_is_one() -> None:
    errors = {("response", "Adam"): 0.1, ("response", "ASGDAdam"): 0.1, ("agent", "Adam"): 0.1, ("mean", "none"): 9.0}
    published = tidy({("agent", "Adam"): 0.1, ("do nothing", "none"): 1.0}, seeds=1, protocol="paper")
    metrics = pd.concat([tidy({**errors, ("do nothing", "none"): 9.0}, seeds=1), published])
    found = [
        verdict for verdict in verdicts(metrics, optimizers=("Adam", "ASGDAdam")) if "one seed" in verdict.evidence
    ]
    assert len(found) == 4
    assert {verdict.answer for verdict in found} == {"not measurable"}
    assert all(verdict.sentence.startswith("One seed") for verdict in found)


def test_noise_is_not_a_difference() -> None:
    found = compare(
        tidy({("a", "x"): 1.0, ("b", "x"): 1.0}, noise=0.3), {"predictor": "a"}, {"predictor": "b"}, "pearson"
    )
    assert found is not None
    assert not found.better
    assert not found.worse


def test_a_gain_within_rounding_is_none() -> None:
    metrics = tidy({("a", "x"): 1.0, ("b", "x"): 1.0}, noise=0.0)
    metrics.loc[(metrics["predictor"] == "a"), "value"] *= 1.0 - 1e-12
    found = compare(metrics, {"predictor": "a"}, {"predictor": "b"}, "mse")
    assert found is not None
    assert not found.better
    assert not found.worse


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("spoiled", ["a", "b"])
def test_a_seed_without_a_defined_error_leaves_a_comparison_open(value: float, spoiled: str) -> None:
    metrics = tidy({("a", "x"): 0.5, ("b", "x"): 1.0})
    metrics.loc[(metrics["predictor"] == spoiled) & (metrics["seed"] == 1), "value"] = value
    found = compare(metrics, {"predictor": "a"}, {"predictor": "b"}, "mse")
    assert found is not None
    assert found.undefined == (1,)
    assert not found.better
    assert not found.worse
    assert "values of 1 seed are undefined or infinite" in found.text


def test_what_is_defined_for_neither_is_no_pair() -> None:
    metrics = tidy({("a", "x"): 0.5, ("b", "x"): 1.0})
    metrics.loc[metrics["modality"] == "rna", "value"] = np.nan
    found = compare(metrics, {"predictor": "a"}, {"predictor": "b"}, "mse")
    assert found is not None
    assert found.better


def test_without_a_pair_there_is_no_comparison() -> None:
    metrics = tidy({("a", "x"): 1.0})
    assert compare(metrics, {"predictor": "a"}, {"predictor": "nobody"}, "mse") is None


def counted(metrics: pd.DataFrame, split: str, n: int, *, conditions: str = "measurable") -> pd.DataFrame:
    """Give tidy metrics another split, averaged over n conditions."""
    return metrics.assign(split=split, n=n, conditions=conditions)


def test_splits_count_by_their_conditions_and_say_how_many() -> None:
    better, worse = ({("response", "Adam"): error, ("mean", "none"): 1.0} for error in (0.5, 2.0))
    metrics = pd.concat([counted(tidy(better), "held-out cells", 18), counted(tidy(worse), "combo_seen2", 2)])
    found = compare(metrics, {"predictor": "response"}, {"predictor": "mean"}, "mse")
    assert found is not None
    assert found.gain == pytest.approx(0.9 * np.log(2) - 0.1 * np.log(2), abs=0.02)
    assert found.conditions == {"held-out cells": 18, "combo_seen2": 2}
    assert "combo_seen2 2, held-out cells 18" in verdicts(metrics, optimizers=("Adam",))[0].evidence


def test_means_over_different_conditions_are_no_pair() -> None:
    metrics = pd.concat(
        [counted(tidy({("response", "Adam"): 0.5}), "s", 9), counted(tidy({("mean", "none"): 1.0}), "s", 4)]
    )
    assert compare(metrics, {"predictor": "response"}, {"predictor": "mean"}, "mse") is None


def measurability(*measurable: bool, reason: str = "replicates do not agree") -> pd.DataFrame:
    rows = [("rna", f"c{i}", found, "" if found else reason, 0.1 * i) for i, found in enumerate(measurable)]
    return pd.DataFrame(rows, columns=["modality", "condition", "measurable", "reason", "half_r"])


def test_conditions_that_cannot_be_measured_take_no_part() -> None:
    """The encoder is better on all conditions together, and worse on those that can be measured."""
    rivals = {("no change", "none"): 1.0, ("pca", "none"): 1.0}
    metrics = pd.concat(
        [
            counted(tidy({("response", "Adam"): 0.5, **rivals}), "held-out cells", 9, conditions="all"),
            counted(tidy({("response", "Adam"): 2.0, **rivals}), "held-out cells", 2),
        ]
    )
    first = verdicts(metrics, optimizers=("Adam",), measurability=measurability(True, False, False))[0]
    assert first.answer == "no"
    assert "held-out cells 2" in first.evidence


def test_a_table_without_measurable_conditions_answers_nothing() -> None:
    errors = {("response", "Adam"): 0.1, ("agent", "Adam"): 0.1, ("no change", "none"): 1.0, ("random", "none"): 1.0}
    metrics = pd.concat(
        [
            counted(tidy(errors), "held-out cells", 9, conditions="all"),
            tidy({("agent", "Adam"): 0.1, ("do nothing", "none"): 1.0}, protocol="paper").assign(conditions="all", n=4),
        ]
    )
    found = verdicts(metrics, optimizers=("Adam", "ASGDAdam"), measurability=measurability(False, False, False))
    assert len(found) == 6, "every question is still asked"
    assert {verdict.answer for verdict in found} == {"not measurable"}
    assert "none of 3 conditions" in found[0].sentence
    assert "r = 0.20" in found[0].evidence
    circular = verdicts(metrics, optimizers=("Adam",), measurability=measurability(False, reason=CIRCULAR))
    assert {verdict.answer for verdict in circular} == {"not measurable"}
    assert "agree by construction" in circular[0].sentence


@pytest.mark.parametrize("strongest", ["pca", "untrained", "additive"])
def test_the_headline_has_the_strongest_rivals(strongest: str) -> None:
    errors = dict.fromkeys((("no change", "none"), ("mean", "none")), 1.0)
    metrics = tidy({**errors, ("response", "Adam"): 0.5, (strongest, "none"): 0.2})
    first = verdicts(metrics, optimizers=("Adam",))[0]
    assert first.answer == "partly"
    assert f"is worse than {strongest}" in first.sentence


def test_agents_are_told_the_target_and_have_rivals_of_their_own() -> None:
    errors = {("agent", "Adam"): 0.5, ("do nothing", "none"): 0.3, ("random", "none"): 1.0, ("pca", "none"): 0.1}
    verdict = verdicts(tidy(errors), optimizers=("Adam",))[2]
    assert "told the target" in verdict.question
    assert "is worse than do nothing" in verdict.sentence
    assert "pca" not in verdict.sentence


def test_what_a_run_does_not_tell_apart_is_undecided() -> None:
    """Seeds scatter more than the contestants differ; where one is known to be better, the answer is no."""
    known = {("response", "Adam"): 1.0, ("no change", "none"): 1.0, ("pca", "none"): 1.0}
    first = verdicts(tidy(known, noise=0.5), optimizers=("Adam",))[0]
    assert first.answer == "undecided"
    assert "cannot be told from no change and pca" in first.sentence
    first = verdicts(tidy(known | {("mean", "none"): 0.01}, noise=0.5), optimizers=("Adam",))[0]
    assert first.answer == "no"


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
    assert found["Do switching optimizers train better encoders than Adam?"].answer == "yes"


def test_the_published_error_is_least_for_who_does_nothing() -> None:
    metrics = tidy({("agent", "Adam"): 2.0, ("do nothing", "none"): 0.1}, protocol="paper")
    (verdict,) = verdicts(metrics, optimizers=("Adam",))
    assert verdict.answer == "no"
    assert "the less a policy moves" in verdict.sentence


@pytest.mark.parametrize(
    ("errors", "answer"),
    [((1.0, 2.0), "undecided"), ((0.5, 2.0), "yes"), ((2.0, 2.0), "no"), ((1.0, 1.0), "undecided")],
)
def test_whether_any_agent_does_better_is_known_where_all_do_worse(errors: tuple[float, float], answer: str) -> None:
    agents = {("agent", name): error for name, error in zip(("Adam", "ASGDAdam"), errors, strict=True)}
    metrics = tidy({**agents, ("do nothing", "none"): 1.0}, protocol="paper", noise=0.05)
    (verdict,) = verdicts(metrics, optimizers=("Adam", "ASGDAdam"))
    assert verdict.answer == answer


def test_a_switching_optimizer_that_does_worse_is_named_beside_one_that_does_better() -> None:
    errors = {("response", "Adam"): 0.5, ("response", "ASGDAdam"): 0.3, ("response", "ASGDAMSGrad"): 0.9}
    found = {v.question: v for v in verdicts(tidy(errors), optimizers=("Adam", "ASGDAdam", "ASGDAMSGrad"))}
    verdict = found["Do switching optimizers train better encoders than Adam?"]
    assert verdict.answer == "partly"
    assert verdict.sentence == "ASGDAdam: lower error than Adam; ASGDAMSGrad: higher error than Adam."
