"""AMVT at the rate α/√t: how fast the loss of a convex problem and the gradient of a network fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from waddington import jobs
from waddington.analysis.bounds import amvt as theory
from waddington.analysis.bounds.powers import fit_power
from waddington.bench.datasets import read_a9a
from waddington.bench.statistics import number, paired
from waddington.claims.experiments.arms import Trial, pass_over, rounded
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.claims.pictures import curves

__all__ = ["falls_like", "logistic", "network", "picture"]


@experiment()
def logistic(
    seed: int,
    *,
    alpha: float = 0.1,
    penalty: float = 1e-4,
    steps: int = 30_000,
    batch_size: int = 64,
    rows: int | None = None,
    first: float = 30.0,
) -> Mapping[str, Any]:
    """Train logistic regression on a9a; without a penalty it has no minimum, and f* is SciPy's.

    Parameters
    ----------
    seed
        Of the batches.
    alpha, penalty, batch_size, steps
        As :func:`waddington.analysis.bounds.amvt.measure_logistic` takes them.
    rows
        People that are taken; None takes all.
    first
        T from which on powers are fitted.

    Returns
    -------
    dict
        ``steps``; f - f* of the ``last`` iterate and of the ``averaged`` one; their ``slopes`` in logarithms, and
        whether an exponential explains the averaged one better (``geometric``); ``error`` of f*.
    """
    train, _ = read_a9a()
    x, y = (part.numpy().astype(np.float64)[:rows] for part in train)
    found = theory.measure_logistic(
        x, y, alpha=alpha, penalty=penalty, steps=steps, batch_size=batch_size, first=first, seed=seed
    )
    return {
        "what": "loss above the least",
        "steps": found.steps.tolist(),
        "last": rounded(found.last),
        "averaged": rounded(found.averaged),
        "slopes": {"averaged": found.averaged_fit.slope, "last": found.last_fit.slope},
        "geometric": found.averaged_fit.is_geometric,
        "error": found.optimum.error,
    }


@experiment()
def network(
    seed: int,
    *,
    task: str = "digits",
    alpha: float = 0.03,
    steps: int = 10_000,
    every: int = 10,
    first: float = 30.0,
    parameters: Mapping[str, Any] | None = None,
    cases: int = 1_000,
) -> Mapping[str, Any]:
    """Train a network; at some T, evenly in log T, take the squared norm of the gradient over training data.

    Parameters
    ----------
    seed
        Of initialization and batches.
    task, parameters, steps
        Of the bench.
    alpha
        α of α/√t.
    every
        Steps between two evaluations, of which some are taken.
    first
        T from which on powers are fitted.
    cases
        Training data over which the gradient is taken.

    Returns
    -------
    dict
        ``steps``; ``last``, the squared norm there, and ``averaged``, the least one until there, which Property 2
        bounds; their ``slopes`` in logarithms; and ``geometric``.
    """
    given = parameters or {}
    data = pass_over(task, seed, given, cases=cases)
    trial = Trial(
        task=task, arm="AMVT", lr=alpha, steps=steps, seed=seed, parameters=given, schedule="inverse root",
        evaluations=max(3, steps // every),
    )  # fmt: skip
    wanted = {every * max(1, round(at / every)) for at in np.geomspace(every, steps, 40)}
    at: list[float] = []
    squares: list[float] = []

    def look(row: Mapping[str, float]) -> None:
        if row["step"] in wanted:
            model = trial.problem.model
            weights = [one for one in model.parameters() if one.requires_grad]
            slopes = torch.autograd.grad(data.loss(model), weights)
            at.append(row["step"])
            squares.append(sum(float(one.double().square().sum()) for one in slopes))

    with torch.enable_grad():
        trial.train(look, test=False)
    least = np.minimum.accumulate(squares)
    fit, last = fit_power(at, least, first=first), fit_power(at, squares, first=first)
    return {
        "what": "squared norm of the gradient",
        "steps": at,
        "last": rounded(squares),
        "averaged": rounded(least),
        "slopes": {"averaged": fit.slope, "last": last.slope},
        "geometric": fit.is_geometric,
    }


def falls_like(low: float, high: float, *, of: str) -> Any:
    """Make a judge: whether the slope of log value against log T lies in a band, all of its interval.

    Parameters
    ----------
    low, high
        The band; ``-inf`` leaves it open below, for a bound.
    of
        What the averaged curve is of, in words.
    """

    def judge(records: Sequence[jobs.Record]) -> Finding:
        rows = results_of(records)
        slopes = [row["slopes"]["averaged"] for row in rows]
        last = [row["slopes"]["last"] for row in rows]
        mean = float(np.mean(slopes))
        interval = paired(slopes, [0.0] * len(slopes)).interval
        if interval is None:
            holds = None
        else:
            inside = low <= interval.low and interval.high <= high
            outside = interval.high < low or interval.low > high
            holds = True if inside else False if outside else None
        ends = "no interval" if interval is None else f"{number(interval.low)} to {number(interval.high)}"
        words = (
            f"{of} falls like T to the power {number(mean)} ({ends}) from T = 30 to"
            f" {rows[0]['steps'][-1]:,.0f}; at the last iterate {number(float(np.mean(last)))}"
        )
        if any(row["geometric"] for row in rows):
            words += (
                f"; an exponential explains it better in {sum(row['geometric'] for row in rows)} of {len(rows)} runs"
            )
        return Finding(holds=holds, words=words, figures={"slope": mean}, interval=interval)

    return judge


def picture(records: Sequence[jobs.Record]) -> Any:
    """Draw the curves of the first seed with the slope of the claim."""
    row = results_of(records)[0]
    lines = {name: (row["steps"], [float("nan") if one is None else one for one in row[name]]) for name in _NAMES}
    named = {_NAMES[name]: line for name, line in lines.items()}
    return curves(named, x="T", y=row["what"], logs="xy", slopes=[-0.5])


_NAMES = {"averaged": "averaged, or the least until T", "last": "last iterate"}
