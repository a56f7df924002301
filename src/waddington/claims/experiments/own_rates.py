"""How far an optimizer gets at a tuned rate: tuned on one seed's validation data, measured on another's test data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from waddington import analysis, bench, jobs
from waddington.bench.arm import build_optimizer
from waddington.bench.statistics import corrected
from waddington.bench.training import Trained, state_bytes
from waddington.claims import pictures
from waddington.claims.experiments.comparing import Estimate, log_ratio
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.optim import Masked

__all__ = [
    "NARROW",
    "RATES",
    "beats_in_most",
    "best_rate",
    "draw_flatness",
    "draw_ratios",
    "is_better",
    "is_flatter",
    "reached",
    "trained",
]

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Rates that are tried of optimizers of Adam's kind."""
NARROW = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Of Lion, whose steps are signs."""
_TUNING = 1000
"""Seeds of tuning are so far from those that are measured."""


def trained(
    seed: int,
    *,
    optimizer: str,
    rate: float,
    steps: int,
    arguments: Mapping[str, Any] | None = None,
    around: Any = None,
    test: bool = True,
    parameters: Mapping[str, Any] | None = None,
    task: str = "digits",
) -> tuple[bench.Problem, Trained, torch.optim.Optimizer]:
    """Train once with a cosine to zero; give what was trained, how it went, and the optimizer.

    Parameters
    ----------
    seed
        Of initialization and data order.
    optimizer, rate, arguments
        A name of the registry, its rate and what else it is given.
    steps
        How many.
    around
        What is put around the optimizer, ``optimizer -> optimizer``; None is nothing.
    test
        Whether the test data are looked at.
    parameters, task
        Of the bench's task.
    """
    problem = bench.get_task(task).problem(seed, **(parameters or {}))
    inner = build_optimizer(optimizer, problem.model.parameters(), {"lr": rate, **(arguments or {})})
    made = inner if around is None else around(inner)
    plan = bench.Plan(steps=steps, seed=seed, evaluations=10, test=test)
    return problem, bench.train(problem, made, bench.Schedule(name="cosine"), plan), made


def best_rate(seed: int, rates: Sequence[float], **settings: Any) -> tuple[float, bool]:
    """Give the rate with the least validation loss on a seed of tuning, and whether it lies at an end of those tried.

    A rate that diverges is the worst.
    """
    losses = []
    for rate in rates:
        _, found, _ = trained(seed + _TUNING, rate=rate, test=False, **settings)
        losses.append(math.inf if found.diverged else found.curve[-1]["loss"])
    at = min(range(len(rates)), key=lambda one: losses[one])
    return rates[at], at in (0, len(rates) - 1)


@experiment(version=2)
def reached(
    seed: int,
    *,
    optimizer: str,
    rates: Sequence[float] = RATES,
    steps: int = 400,
    arguments: Mapping[str, Any] | None = None,
    masked: bool = False,
    curvature: bool = False,
    hidden: int = 64,
) -> Mapping[str, Any]:
    """Tune a rate, train on digits, and give the loss on test data; sharpness at the end where it is asked for."""
    settings: dict[str, Any] = {
        "optimizer": optimizer,
        "steps": steps,
        "arguments": arguments,
        "around": Masked if masked else None,
        "parameters": {"hidden": hidden},
    }
    rate, at_end = best_rate(seed, rates, **settings)
    problem, found, made = trained(seed, rate=rate, **settings)
    loss = None if found.test is None else found.test["loss"]
    result: dict[str, Any] = {
        "optimizer": optimizer,
        "masked": masked,
        "rate": rate,
        "at_end": at_end,
        "loss": loss,
        "accuracy": None if found.test is None else found.test["accuracy"],
        "state_bytes": state_bytes(made),
    }
    if curvature:
        result |= _curvature(problem, seed, hidden)
    return result


def beats_in_most(records: Sequence[jobs.Record]) -> Finding:
    """Say whether masks lower the test loss of most optimizers, by Holm's correction over them."""
    found, p_values = _masked_ratios(records)
    helped = [name for name, one in found.items() if one.high < 1.0 and (p_values[name] or 1.0) < 0.05]
    harmed = [name for name, one in found.items() if one.low > 1.0 and (p_values[name] or 1.0) < 0.05]
    words = (
        f"of {len(found)} optimizers at tuned rates masks help {len(helped)} ({', '.join(helped) or 'none'}) and harm"
        f" {len(harmed)} ({', '.join(harmed) or 'none'}); test loss with the mask over that without: "
        + ", ".join(f"{name} {one.words()}" for name, one in found.items())
        + _ends(results_of(records))
    )
    middle = sorted(found.values(), key=lambda one: one.middle)[len(found) // 2]
    return Finding(
        holds=2 * len(helped) > len(found),
        words=words,
        figures={f"loss ratio, {name}": one.middle for name, one in found.items()},
        interval=middle.interval,
        detectable=middle.detectable,
    )


def draw_ratios(records: Sequence[jobs.Record]) -> Any:
    """Draw the ratio of losses for every optimizer."""
    found, _ = _masked_ratios(records)
    rows = [pictures.Row(name=name, middle=one.middle, interval=one.interval) for name, one in found.items()]
    return pictures.forest(rows, label="test loss with the mask over that without", line=1.0)


def is_flatter(records: Sequence[jobs.Record]) -> Finding:
    """Say whether AMGT ends where the largest eigenvalue is smaller than where Adam ends: the ratio's interval < 1."""
    rows, ratios = results_of(records), _flatness(records)
    first = ratios["sharpness"]
    words = (
        f"at tuned rates AMGT's largest eigenvalue of the Hessian is {first.words()} times Adam's, times the squared"
        f" length of the parameters {ratios['relative_sharpness'].words()}; its training loss is"
        f" {ratios['train_loss'].words()} times Adam's, its rate {ratios['rate'].words()}" + _ends(rows)
    )
    return Finding(
        holds=first.high < 1.0,
        words=words,
        figures={f"ratio of {key.replace('_', ' ')}": one.middle for key, one in ratios.items()},
        interval=first.interval,
        detectable=first.detectable,
    )


def is_better(records: Sequence[jobs.Record]) -> Finding:
    """Say whether AMGT's test loss is below Adam's, both at tuned rates: the ratio's interval lies below 1."""
    rows, found = results_of(records), _flatness(records)["loss"]
    words = (
        f"on digits, at tuned rates, AMGT's test loss is {found.words()} times Adam's, and lower on {found.wins} of"
        f" {found.seeds} seeds" + _ends(rows)
    )
    return Finding(
        holds=found.high < 1.0,
        words=words,
        figures={"loss ratio": found.middle},
        interval=found.interval,
        detectable=found.detectable,
    )


def draw_flatness(records: Sequence[jobs.Record]) -> Any:
    """Draw the ratios."""
    rows = [pictures.Row(name=key.replace("_", " "), middle=one.middle, interval=one.interval)
            for key, one in _flatness(records).items()]  # fmt: skip
    return pictures.forest(rows, label="AMGT over Adam, at tuned rates", line=1.0)


def _flatness(records: Sequence[jobs.Record]) -> dict[str, Estimate]:
    rows = results_of(records)
    arms = {name: [row for row in rows if row["optimizer"] == name] for name in ("AMGT", "Adam")}
    return {
        key: log_ratio([row[key] for row in arms["AMGT"]], [row[key] for row in arms["Adam"]])
        for key in ("loss", "sharpness", "relative_sharpness", "train_loss", "rate")
    }


def _masked_ratios(records: Sequence[jobs.Record]) -> tuple[dict[str, Estimate], dict[str, float | None]]:
    rows = results_of(records)
    names = list(dict.fromkeys(row["optimizer"] for row in rows))
    found = {}
    for name in names:
        arms = [
            [row["loss"] for row in rows if row["optimizer"] == name and row["masked"] is on] for on in (True, False)
        ]
        found[name] = log_ratio(*arms, n_contrasts=len(names))
    return found, dict(zip(names, corrected([one.p for one in found.values()]), strict=True))


def _ends(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say how often the best rate was at an end of those tried."""
    ends = sum(row["at_end"] for row in rows)
    return f" (in {ends} of {len(rows)} runs the best rate was at an end of those tried)" if ends else ""


def _curvature(problem: bench.Problem, seed: int, hidden: int) -> dict[str, float]:
    whole = bench.get_task("digits").problem(seed, hidden=hidden, batch_size=1000)
    images = whole.batch(torch.Generator().manual_seed(0), 0)

    def loss(model: torch.nn.Module) -> torch.Tensor:
        return problem.loss(model, images)

    largest = analysis.sharpness(problem.model, loss)
    length = float(analysis.parameter_vector(problem.model).double().square().sum())
    return {
        "sharpness": largest,
        "relative_sharpness": largest * length,
        "train_loss": float(loss(problem.model).detach()),
    }
