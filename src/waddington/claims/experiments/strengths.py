"""AlphaAdam's strength α before it is capped, and how far its steps go: bands over a run, and equal effective rates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from waddington import bench, jobs
from waddington.analysis.bounds import alphaadam as theory
from waddington.analysis.bounds.alphaadam.states import adam_states
from waddington.bench.statistics import Interval
from waddington.claims import pictures
from waddington.claims.experiments.comparing import log_ratio, mean_of
from waddington.claims.experiments.own_rates import RATES, best_rate, trained
from waddington.claims.experiments.walking import walk
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.optim import AlphaAdam

__all__ = [
    "TensorStep", "band", "draw_bands", "draw_equal", "equal_rates", "looked_at", "stays_in_the_band",
    "wins_at_equal_rates",
]  # fmt: skip

_CAP = 2.0
_WAYS = ("by tensor", "by coordinate")


@experiment()
def band(
    seed: int, *, task: str, steps: int, rate: float = 1e-3, every: int = 5, warmup: float = 0.1, **parameters: Any
) -> Mapping[str, Any]:
    """Train by AlphaAdam, whose α is capped at 2; quantiles of what α is before the cap, after a tenth of the steps.

    For Algorithm 1's form and for Eq. 9's root; every tensor weighs alike, or as its coordinates.
    """
    made = bench.get_task(task).problem(seed, **parameters)
    optimizer = AlphaAdam(made.model.parameters(), lr=rate)
    found: dict[str, list[list[float]]] = {"squared": [], "root": []}
    for step, _ in walk(made, optimizer, steps=steps, seed=seed):
        if step > max(1, warmup * steps) and step % every == 0:
            squared = [one.strength for one in looked_at(made.model, optimizer)]
            found["squared"].append(squared)
            found["root"].append([one**0.5 for one in squared])
    sizes = np.array([param.numel() for param in made.model.parameters()])
    return {
        "task": task,
        "tensors": len(sizes),
        **{
            form: {
                way: dataclasses.asdict(theory.strength_band(np.array(values), weights, cap=_CAP))
                for way, weights in zip(_WAYS, (None, sizes), strict=True)
            }
            for form, values in found.items()
        },
    }


def stays_in_the_band(records: Sequence[jobs.Record]) -> Finding:
    """Say whether 90 % of α before the cap, over tensors and steps, lies between 1 and 2 in every run."""
    rows = results_of(records)
    words, highs = [], {}
    for task in dict.fromkeys(row["task"] for row in rows):
        mine = [row for row in rows if row["task"] == task]
        said = []
        for way in _WAYS:
            low, middle, high, above = (
                mean_of([row["squared"][way][key] for row in mine]) for key in ("low", "median", "high", "above_cap")
            )
            highs[task, way] = high
            said.append(
                f"{way} 5, 50 and 95 % are {low.middle:.2f}, {middle.middle:.2f} and {high.words()}, and"
                f" {above.middle:.1%} is above 2"
            )
        root = mean_of([row["root"][_WAYS[0]]["high"] for row in mine])
        words.append(f"{task}: {'; '.join(said)}; Eq. 9's root by tensor has its 95 % at {root.words()}")
    inside = all(row["squared"][_WAYS[0]]["low"] >= 1.0 and row["squared"][_WAYS[0]]["high"] <= _CAP for row in rows)
    decisive = max((one for (_, way), one in highs.items() if way == _WAYS[0]), key=lambda one: one.high)
    return Finding(
        holds=inside,
        words="; ".join(words),
        figures={f"95 % quantile, {task}, {way}": one.middle for (task, way), one in highs.items()},
        interval=decisive.interval,
        detectable=decisive.detectable,
    )


def draw_bands(records: Sequence[jobs.Record]) -> Any:
    """Draw the bands, means over seeds."""
    rows, shown = results_of(records), []
    for task in dict.fromkeys(row["task"] for row in rows):
        for way in _WAYS:
            low, middle, high = (
                float(np.mean([row["squared"][way][key] for row in rows if row["task"] == task]))
                for key in ("low", "median", "high")
            )
            shown.append(pictures.Row(name=f"{task}, {way}", middle=middle, interval=Interval(low, high)))
    return pictures.forest(shown, label="α before the cap, median", line=1.0, limit=_CAP, spans="from 5 to 95 %")


@experiment(version=2)
def equal_rates(seed: int, *, rates: Sequence[float] = RATES, steps: int = 400, hidden: int = 64) -> Mapping[str, Any]:
    """Tune AlphaAdam and AdamW on digits; train AdamW at AlphaAdam's rate, too, and at its effective rate.

    The effective rate is AlphaAdam's times the mean over steps of the length of its update over that of AdamW's from
    the same moments.
    """
    settings: dict[str, Any] = {"steps": steps, "parameters": {"hidden": hidden}}
    rate, at_end = best_rate(seed, rates, optimizer="AlphaAdam", **settings)
    own, own_at_end = best_rate(seed, rates, optimizer="AdamW", **settings)
    factor = _stretch(seed, rate, steps, hidden)

    def loss(optimizer: str, rate: float) -> float | None:
        _, found, _ = trained(seed, optimizer=optimizer, rate=rate, **settings)
        return None if found.test is None else found.test["loss"]

    return {
        "rate": rate,
        "at_end": at_end or own_at_end,
        "own_rate": own,
        "factor": factor,
        "AlphaAdam": loss("AlphaAdam", rate),
        "equal": loss("AdamW", rate * factor),
        "same": loss("AdamW", rate),
        "tuned": loss("AdamW", own),
    }


def wins_at_equal_rates(records: Sequence[jobs.Record]) -> Finding:
    """Say whether AlphaAdam's test loss is below AdamW's at its effective rate: the ratio's interval is below 1."""
    rows = results_of(records)
    found = {key: log_ratio([row["AlphaAdam"] for row in rows], [row[key] for row in rows]) for key in _AGAINST}
    factor = mean_of([row["factor"] for row in rows])
    first = found["equal"]
    words = (
        f"AlphaAdam's update is {factor.words()} times as long as AdamW's from the same moments; its test loss on"
        f" digits is {first.words()} times that of AdamW at this effective rate, {found['same'].words()} times that at"
        f" the same nominal rate, and {found['tuned'].words()} times that at AdamW's own tuned rate"
    )
    return Finding(
        holds=first.high < 1.0,
        words=words,
        figures={f"loss ratio, {said}": found[key].middle for key, said in _AGAINST.items()}
        | {"length": factor.middle},
        interval=first.interval,
        detectable=first.detectable,
    )


def draw_equal(records: Sequence[jobs.Record]) -> Any:
    """Draw the three ratios."""
    rows, shown = results_of(records), []
    for key, said in _AGAINST.items():
        one = log_ratio([row["AlphaAdam"] for row in rows], [row[key] for row in rows])
        shown.append(pictures.Row(name=f"AdamW, {said}", middle=one.middle, interval=one.interval))
    return pictures.forest(shown, label="AlphaAdam's test loss over AdamW's", line=1.0)


_AGAINST = {"equal": "equal effective rate", "same": "same nominal rate", "tuned": "own tuned rate"}


@dataclasses.dataclass(frozen=True)
class TensorStep:
    """A tensor's update between gradient and step: its square, what the mask keeps of it, and how much both moves."""

    square: float
    kept: float
    strength: float
    moved: float
    """Squared length of what AlphaAdam does, over the rate."""


def looked_at(model: torch.nn.Module, optimizer: AlphaAdam) -> list[TensorStep]:
    """Look at the step that AlphaAdam is about to take, by the optimizer's own functions."""
    found = []
    params = [param for param in model.parameters() if param.requires_grad]
    for param, state in zip(params, adam_states(model, optimizer), strict=True):
        if param.grad is None:
            raise RuntimeError("a parameter without a gradient has no update")
        pair = theory.masked_updates(
            param.grad, state.exp_avg, state.exp_avg_sq, betas=state.betas, eps=state.eps, step=state.step + 1
        )
        kept = pair.update * pair.asynchronous
        square, left = float(pair.update.double().square().sum()), float(kept.double().square().sum())
        strength = float(theory.mask_strength(pair.update.double(), pair.asynchronous.double()))
        count = float(pair.asynchronous.sum())
        multiplier = min(strength, _CAP) * param.numel() / (count + 1.0)
        found.append(TensorStep(square, left, strength, multiplier**2 * left))
    return found


def _stretch(seed: int, rate: float, steps: int, hidden: int) -> float:
    """Give the mean over steps of the length of AlphaAdam's update over AdamW's from the same moments."""
    made = bench.get_task("digits").problem(seed, hidden=hidden)
    optimizer = AlphaAdam(made.model.parameters(), lr=rate)
    course = bench.Schedule(name="cosine")
    found = []
    for step, _ in walk(
        made, optimizer, steps=steps, seed=seed, factor=lambda step: course.factor(step - 1, steps=steps, seed=seed)
    ):
        if step > 1:
            tensors = looked_at(made.model, optimizer)
            whole, moved = sum(one.square for one in tensors), sum(one.moved for one in tensors)
            found.append(math.sqrt(moved / whole))
    return float(np.mean(found))
