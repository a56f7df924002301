"""Arms where they have the same training loss: gap, norm and curvature there, beside Adam slowed by AMVT's penalty.

AMVT's penalty is a lower rate for the most part. What it does beyond is seen against Adam at the rate times the mean
penalty: the same effective rate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from waddington.analysis import BatchLoss, PathRecorder, compare_paths, eigenvalues, watch_diagnostics
from waddington.claims.experiments.arms import Pass, Trial, pass_over, rounded
from waddington.claims.measurement import experiment

__all__ = ["SLOWED", "at_equal_loss", "paths"]

SLOWED = "Adam at the mean penalty"
"""Adam at AMVT's rate times AMVT's mean penalty."""
_EVERY = 10


class _ReachedError(Exception):
    """Ends a training whose loss is low enough."""


@experiment()
def at_equal_loss(
    seed: int,
    *,
    task: str,
    target: float,
    lr: float = 1e-3,
    most: int = 4_000,
    every: int = 10,
    parameters: Mapping[str, Any] | None = None,
    cases: int = 1_000,
    curved_cases: int = 1_000,
    max_products: int = 300,
) -> Mapping[str, Any]:
    """Train AMVT, Adam and Adam at the mean penalty until their loss over training data is low enough; measure there.

    Parameters
    ----------
    seed
        Of initialization and data order.
    task, parameters
        Of the bench.
    target
        Training loss at which a run ends; it is looked at after every so many steps.
    lr
        Rate; the paper's default is 0.001.
    most, every
        Steps at most, and between two looks.
    cases, curved_cases
        Training data over which the loss is taken, and the Hessian.
    max_products
        Hessian-vector products of one eigenvalue at most.

    Returns
    -------
    dict
        ``penalty``, the mean one, and ``arms``: by name ``step``, ``fit_loss``, ``gap``, ``norm``, ``sharpness`` (the
        Hessian's largest eigenvalue), ``preconditioned`` (as the steps meet it), ``relative`` (times the square of the
        norm), and ``settled``: whether the eigenvalues converged. All are None of an arm that did not get there.
    """
    given = parameters or {}
    data = pass_over(task, seed, given, cases=cases)
    curved = pass_over(task, seed, given, cases=curved_cases).loss
    settings: dict[str, Any] = {
        "task": task, "parameters": given, "seed": seed, "steps": most, "evaluations": max(1, most // every),
    }  # fmt: skip
    amvt = Trial(**settings, arm="AMVT", lr=lr)
    with watch_diagnostics(amvt.optimizer, min(_EVERY, every)) as watched:
        arms = {"AMVT": _ended(amvt, data, curved, target, max_products)}
    penalty = float(np.nanmean(watched.curves().figures["penalty"]))
    for name, factor in (("Adam", 1.0), (SLOWED, penalty)):
        arms[name] = _ended(Trial(**settings, arm="Adam", lr=lr * factor), data, curved, target, max_products)
    return {"penalty": penalty, "lr": lr, "target": target, "arms": arms}


def _ended(trial: Trial, data: Pass, curved: BatchLoss, target: float, max_products: int) -> dict[str, Any]:
    """Train until the target is met, and measure."""
    model = trial.problem.model
    held: dict[str, float] = {}

    def look(row: Mapping[str, float]) -> None:
        loss, right = data.measure(model)
        if loss <= target:
            held.update(step=row["step"], fit_loss=loss, right=right, test=_accuracy(trial))
            raise _ReachedError

    with contextlib.suppress(_ReachedError):
        trial.train(look, test=False)
    if not held:
        names = ("step", "fit_loss", "gap", "norm", "sharpness", "preconditioned", "relative")
        return {**dict.fromkeys(names), "settled": False}
    plain = eigenvalues(model, curved, max_products=max_products, tolerance=1e-2)
    met = eigenvalues(model, curved, optimizer=trial.optimizer, max_products=max_products, tolerance=1e-2)
    figures = {
        "step": held["step"],
        "fit_loss": held["fit_loss"],
        "gap": held["right"] - held["test"],
        "norm": plain.parameter_norm,
        "sharpness": float(plain.largest[0]),
        "preconditioned": float(met.largest[0]),
        "relative": float(plain.largest[0]) * plain.parameter_norm**2,
    }
    return {**dict(zip(figures, rounded(figures.values()), strict=True)), "settled": plain.converged and met.converged}


def _accuracy(trial: Trial) -> float:
    model = trial.problem.model
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = float(trial.problem.evaluate(model, "test")["accuracy"])
    model.train(was_training)
    return found


@experiment()
def paths(
    seed: int, *, task: str, lr: float = 1e-3, steps: int = 600, parameters: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Record every step of AMVT, Adam and Adam at the mean penalty, from the same start through the same batches.

    Parameters
    ----------
    seed
        Of initialization and data order.
    task, parameters, steps
        Of the bench.
    lr
        Rate of AMVT and Adam.

    Returns
    -------
    dict
        ``penalty``, the mean one, and ``arms``: by name ``tortuosity`` (path length over displacement), ``mean_turn``
        (radians), ``oscillation`` (of the batches' losses, share that goes upwards) and ``mean_step``.
    """
    settings: dict[str, Any] = {"task": task, "parameters": parameters or {}, "seed": seed, "steps": steps}
    amvt = Trial(**settings, arm="AMVT", lr=lr)
    with watch_diagnostics(amvt.optimizer, _EVERY) as watched:
        walked = {"AMVT": _walked(amvt, lr)}
    penalty = float(np.nanmean(watched.curves().figures["penalty"]))
    for name, factor in (("Adam", 1.0), (SLOWED, penalty)):
        walked[name] = _walked(Trial(**settings, arm="Adam", lr=lr * factor), lr)  # one nominal rate for the comparison
    names = ("tortuosity", "mean_turn", "oscillation", "mean_step")
    arms = {
        name: dict(zip(names, rounded(found[one] for one in names), strict=True))
        for name, found in compare_paths(walked).items()
    }
    return {"penalty": penalty, "lr": lr, "arms": arms}


def _walked(trial: Trial, lr: float) -> Any:
    """Train with a record of every step; its loss is that of the batch that it was made from."""
    recorder = PathRecorder(trial.problem.model, snapshots=4)
    plain = trial.problem.loss
    losses: list[torch.Tensor] = []

    def loss(model: torch.nn.Module, batch: Any) -> torch.Tensor:
        losses.append(plain(model, batch))
        return losses[-1]

    trial.problem.loss = loss
    recorder.record()
    handle = trial.optimizer.register_step_post_hook(lambda *_: recorder.record(losses[-1].detach(), lr))
    try:
        trial.train(test=False)
    finally:
        handle.remove()
    return recorder.path()
