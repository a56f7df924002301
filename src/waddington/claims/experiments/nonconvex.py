"""A network trained by AMGT with 1/(μk): does the least squared gradient fall like 1/ln T?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from waddington import bench, jobs
from waddington.claims import pictures
from waddington.claims.experiments.comparing import Estimate, mean_of
from waddington.claims.experiments.walking import log_spaced, walk
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.optim import AMGT

__all__ = ["draw_gradients", "falls_like_1_over_log", "gradients"]

_FIRST, _UNTIL = 2, 20
"""The first decade, to which C of C/ln T is fitted; ln 1 is 0."""


@experiment()
def gradients(
    seed: int, *, mu: float, steps: int = 3000, hidden: int = 16, gamma: float = 1.0, threshold: float = 0.01
) -> Mapping[str, Any]:
    """Train on digits in batches; the squared gradient of all training images at steps evenly spaced in log T."""
    task = bench.get_task("digits")
    problem = task.problem(seed, hidden=hidden)
    whole = task.problem(seed, hidden=hidden, batch_size=1000)
    images = whole.batch(torch.Generator().manual_seed(0), 0)
    params = list(problem.model.parameters())
    optimizer = AMGT(params, lr=1.0, schedule="strongly_convex", mu=mu, gamma=gamma, threshold=threshold)
    at, found = [at for at in log_spaced(steps, 10) if at >= _FIRST], []
    for step, _ in walk(problem, optimizer, steps=steps, seed=seed):
        if step in at:
            grads = torch.autograd.grad(problem.loss(problem.model, images), params)
            found.append(sum(float(grad.double().square().sum()) for grad in grads))
    return {"mu": mu, "steps": at, "squares": found}


def falls_like_1_over_log(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the least squared gradient, a mean over seeds, stays below C/ln T with C of the first decade."""
    groups = _groups(records)
    words, verdicts = [], []
    figures: dict[str, float] = {}
    decisive: Estimate | None = None
    for mu, rows in groups.items():
        at, curves = _least(rows)
        logs = np.log(at)
        early, late = at <= _UNTIL, at > _UNTIL
        constant = (curves.mean(0) * logs)[early].max()
        share = (curves.mean(0) * logs)[late].max() / constant
        end = mean_of((curves[:, -1] * logs[-1] / constant).tolist())
        verdicts.append(bool(np.isfinite(constant)) and share <= 1.0 and end.high < 1.0)
        if decisive is None or end.high > decisive.high:
            decisive = end
        words.append(
            f"μ = {mu:g}: up to T = {at[-1]:,} the least squared gradient is at most {share:.3f} of C/ln T, and"
            f" {end.words()} of it at the end (C = {constant:.3g}, fitted up to T = {_UNTIL})"
        )
        figures |= {f"share of the bound at the end, μ = {mu:g}": end.middle, f"C, μ = {mu:g}": float(constant)}
    return Finding(
        holds=all(verdicts),
        words="; ".join(words),
        figures=figures,
        interval=decisive.interval if decisive else None,
        detectable=decisive.detectable if decisive else None,
    )


def draw_gradients(records: Sequence[jobs.Record]) -> Any:
    """Draw the least squared gradient and the fitted bound."""
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for mu, rows in _groups(records).items():
        at, curves = _least(rows)
        mean = curves.mean(0)
        constant = (mean * np.log(at))[at <= _UNTIL].max()
        lines[f"μ = {mu:g}"] = (at.tolist(), mean.tolist())
        lines[f"C/ln T, μ = {mu:g}"] = (at.tolist(), (constant / np.log(at)).tolist())
    return pictures.curves(lines, x="steps T", y="least squared gradient", logs="xy")


def _groups(records: Sequence[jobs.Record]) -> dict[float, list[dict[str, Any]]]:
    found: dict[float, list[dict[str, Any]]] = {}
    for row in results_of(records):
        found.setdefault(row["mu"], []).append(row)
    return found


def _least(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Give the steps, and the running least of every seed."""
    at = np.array(rows[0]["steps"])
    return at, np.minimum.accumulate(np.array([row["squares"] for row in rows]), axis=1)
