"""Theorems of paper 000 beside real runs, with the constants that the runs meet: do they hold, do they say anything?"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from waddington import jobs
from waddington._checks import check_known
from waddington._text import counted
from waddington.analysis.bounds import asgd as theory
from waddington.analysis.bounds.bound import Judgement
from waddington.bench.tasks.digits import digits_splits
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment
from waddington.claims.pictures import curves
from waddington.optim import ASGDAdam, ASGDAMSGrad

__all__ = ["PROBLEMS", "confirmed", "convex", "ergodic", "nonergodic", "picture_of", "regret", "theorems"]

PROBLEMS = ("quadratic", "logistic", "mlp")
"""A noisy bowl in 50 dimensions, logistic regression on digits, a net of 193 parameters: in double precision."""
_OPTIMIZERS = {"ASGDAdam": ASGDAdam, "ASGDAMSGrad": ASGDAMSGrad}
_POINTS = 40
"""Of a curve that is kept."""
Drawn = Callable[[nn.Module, int], torch.Tensor]
Whole = Callable[[nn.Module], torch.Tensor]


@experiment()
def theorems(seed: int, *, problem: str, optimizer: str, rate: float, steps: int, runs: int = 2) -> Mapping[str, Any]:
    """Run Algorithm 1 or 2 to the letter, and put the runs beside Theorems 2 and 3.

    Parameters
    ----------
    seed
        First of the runs' seeds.
    problem
        One of :data:`PROBLEMS`.
    optimizer
        ``"ASGDAdam"`` or ``"ASGDAMSGrad"``, rule ``mean``, no bias correction; the small rate is a thousandth.
    rate, steps, runs
        Large rate, steps of each run, and runs whose mean stands for an expectation.

    Returns
    -------
    Constants, the share of coordinates' effective rates that rose at a step, and for each theorem, form and place of ε
    what was judged, with thinned curves.
    """
    made = _OPTIMIZERS[check_known("optimizer", optimizer, _OPTIMIZERS)]
    found = []
    for one in range(seed, seed + runs):
        model, whole, drawn = _problem(problem, one)
        stepped = made(model.parameters(), lr=rate, alpha_min=1e-3 * rate, switch="mean", bias_correction=False)
        found.append(theory.measure_run(model, whole, drawn, stepped, steps, every=max(1, steps // 4)))
    constants = found[0].constants
    judged: list[dict[str, Any]] = []
    for place, form in itertools.product(get_args(theory.EpsPlace), get_args(theory.Form)):
        pair = theory.judge_runs(found, form=form, eps_place=place)
        judged += [{"theorem": name, "form": form, "eps": place, **_row(judgement)} for name, judgement in pair.items()]
    return {
        "problem": problem,
        "optimizer": optimizer,
        "rate": rate,
        "steps": steps,
        "runs": runs,
        "dimension": constants.dimension,
        "smoothness": constants.slope,
        "gradient_bound": constants.gradient_bound,
        "gap": constants.gap,
        "widened": max(run.widened for run in found) / (constants.dimension * (steps - 1)),
        "judged": judged,
    }


@experiment()
def regret(
    seed: int, *, problem: str, optimizer: str, steps: int, momentum_decay: float | None, rate: float = 0.1
) -> Mapping[str, Any]:
    """Run on convex losses in the box [-1, 1], as Theorem 1 has it, and put the regret beside the theorem.

    Parameters
    ----------
    seed
        Of the data.
    problem
        ``"quadratic"`` or ``"logistic"``.
    optimizer, rate, steps
        As for :func:`theorems`; the rate falls like 1/√t.
    momentum_decay
        λ of the theorem; None is what Algorithms 1 and 2 do.
    """
    made = _OPTIMIZERS[check_known("optimizer", optimizer, _OPTIMIZERS)]
    check_known("problem", problem, ("quadratic", "logistic"))
    model, _, drawn = _problem(problem, seed)
    if problem == "quadratic":
        nn.init.constant_(model.get_parameter("x"), 0.9)
    stepped = made(model.parameters(), lr=rate, alpha_min=rate, switch="mean", bias_correction=False)
    ends = sorted({max(1, steps // 10), steps})
    draw = torch.Generator().manual_seed(seed)
    seeds = [int(one) for one in torch.randint(2**31, (steps,), generator=draw)]
    measured = theory.measure_regret(
        model, lambda model, at: drawn(model, at), seeds, stepped,
        low=-1.0, high=1.0, at=ends, momentum_decay=momentum_decay, tolerance=1e-4,
    )  # fmt: skip
    judged = [
        {"theorem": "regret", "form": form, "eps": "outside", **_row(theory.judge_regret(measured, form=form))}
        for form in ("printed", "mended")
    ]
    about = {"problem": problem, "optimizer": optimizer, "rate": rate, "steps": steps, "runs": 1}
    return {**about, "momentum_decay": momentum_decay, "judged": judged}


def ergodic(records: Sequence[jobs.Record]) -> Finding:
    """Judge Theorem 2 as printed, with ε where the algorithms have it."""
    return confirmed(records, "ergodic")


def nonergodic(records: Sequence[jobs.Record]) -> Finding:
    """Judge Theorem 3 likewise."""
    return confirmed(records, "nonergodic")


def convex(records: Sequence[jobs.Record]) -> Finding:
    """Judge Theorem 1 likewise."""
    return confirmed(records, "regret")


def confirmed(records: Sequence[jobs.Record], theorem: str) -> Finding:
    """Say whether a bound, as printed, holds on every run, says something there, and has its assumptions."""
    rows = [(dict(record.result or {}), one) for record in records for one in _judged(record, theorem)]
    held = [one["holds"] for _, one in rows]
    says = [not one["vacuous"] for _, one in rows]
    sound = [not one["violated"] for _, one in rows]
    names = Counter(name for _, one in rows for name in one["violated"])
    least = min(one["tightest"] for _, one in rows)
    useful = min(one["useful_from"] for _, one in rows)
    since = f"from T = {useful:.2g} on at the earliest" if math.isfinite(useful) else "at no T"
    words = (
        f"of {counted(len(rows), 'setting')} the bound holds in {sum(held)} and says more than bounded gradients do in"
        f" {sum(says)}; it is {least:.2g} times the measured curve or more, and would say something {since}"
    )
    if names:
        words += f"; violated are {', '.join(f'{name} (in {count})' for name, count in names.items())}"
    figures = {"bound over curve, least": least, "useful from T": useful, "settings that hold": float(sum(held))}
    return Finding(holds=bool(rows) and all(held) and all(says) and all(sound), words=words, figures=figures)


def picture_of(theorem: str) -> Callable[[Sequence[jobs.Record]], Any]:
    """Draw, of each problem, the curve of its first record and the bound above it."""

    def picture(records: Sequence[jobs.Record]) -> Any:
        lines: dict[str, tuple[list[float], list[float]]] = {}
        for record in records:
            about = dict(record.result or {})
            (one,) = _judged(record, theorem)
            if f"{about['problem']}, measured" not in lines:
                lines[f"{about['problem']}, measured"] = one["at"], one["measured"]
                lines[f"{about['problem']}, bound"] = one["at"], one["allowed"]
        what = {"regret": "mean regret", "ergodic": "mean ‖∇g‖²", "nonergodic": "least ‖∇g‖"}[theorem]
        return curves(lines, x="steps T", y=what, logs="xy")

    return picture


def _judged(record: jobs.Record, theorem: str) -> list[dict[str, Any]]:
    """Give what is judged of a theorem as printed, with ε beside the root."""
    return [
        one
        for one in (record.result or {})["judged"]
        if (one["theorem"], one["form"], one["eps"]) == (theorem, "printed", "outside")
    ]


def _row(one: Judgement) -> dict[str, Any]:
    kept = np.unique(np.geomspace(1, len(one.steps), _POINTS).astype(int) - 1)
    return {
        "holds": one.holds,
        "vacuous": one.is_vacuous,
        "tightest": one.tightest,
        "useful_from": one.bound.useful_from(),
        "trivial": one.bound.trivial,
        "violated": [each.name for each in one.violated],
        "unknown": [each.name for each in one.bound.assumptions if each.holds is None],
        "at": [float(value) for value in one.steps[kept]],
        "measured": [float(value) for value in one.measured[kept]],
        "allowed": [float(value) for value in one.allowed[kept]],
    }


# --- problems ---


class _Point(nn.Module):
    def __init__(self, start: torch.Tensor) -> None:
        super().__init__()
        self.x = nn.Parameter(start)


def _problem(name: str, seed: int) -> tuple[nn.Module, Whole, Drawn]:
    """Give a model, the loss on all data, and the loss on what a step draws."""
    return {"quadratic": _quadratic, "logistic": _logistic, "mlp": _mlp}[check_known("problem", name, PROBLEMS)](seed)


def _quadratic(seed: int) -> tuple[nn.Module, Whole, Drawn]:
    curvature = torch.logspace(-2, 0, 50, dtype=torch.float64)
    start = torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def drawn(model: nn.Module, step: int) -> torch.Tensor:
        noise = torch.randn(50, generator=_generator(seed, step), dtype=torch.float64)
        return 0.5 * (curvature * (model.get_parameter("x") - noise) ** 2).sum()

    return _Point(start), lambda model: 0.5 * (curvature * model.get_parameter("x") ** 2).sum(), drawn


def _logistic(seed: int) -> tuple[nn.Module, Whole, Drawn]:
    """Tell odd digits from even ones, from zero weights."""
    pixels, labels = digits_splits()["train"]
    x, y = pixels.flatten(1).double(), (labels % 2).double()
    model = nn.Linear(x.shape[1], 1, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    loss = nn.functional.binary_cross_entropy_with_logits
    return _on_batches(model, x, y, lambda output, target: loss(output[:, 0], target), seed, 64)


def _mlp(seed: int) -> tuple[nn.Module, Whole, Drawn]:
    """Fit a product of two inputs; the data are the same for every seed."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 10, generator=generator, dtype=torch.float64)
    y = torch.tanh(x[:, :1] * x[:, 1:2]) + 0.1 * torch.randn(500, 1, generator=generator, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    return _on_batches(model, x, y, nn.functional.mse_loss, seed, 16)


def _on_batches(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    seed: int,
    size: int,
) -> tuple[nn.Module, Whole, Drawn]:
    def drawn(model: nn.Module, step: int) -> torch.Tensor:
        chosen = torch.randint(len(x), (size,), generator=_generator(seed, step))
        return loss(model(x[chosen]), y[chosen])

    return model, lambda model: loss(model(x), y), drawn


def _generator(seed: int, step: int) -> torch.Generator:
    """Give the random numbers of a step: the same whenever it is asked for."""
    return torch.Generator().manual_seed(1_000_003 * seed + step + 1)
