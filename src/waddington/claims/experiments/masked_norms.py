"""Theorem 3.8 along runs with all data at each step: how fast the masked gradient falls, and how long the steps are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from waddington import analysis, jobs
from waddington.analysis.bounds import alphaadam as theory
from waddington.analysis.bounds import judge
from waddington.bench.problem import Problem
from waddington.bench.tasks.digits import digits_splits
from waddington.claims import pictures
from waddington.claims.experiments.comparing import mean_of
from waddington.claims.experiments.walking import largest_move, log_spaced, walk
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.optim import AlphaAdam

__all__ = [
    "ARMS", "draw_norms", "draw_steps", "falls_as_claimed", "norms", "says_something", "stays_below", "steps_of",
]  # fmt: skip

ARMS: Mapping[str, Mapping[str, Any]] = {
    "as analysed": {"compensation": "none"},
    "α at most 2": {"compensation": "full", "alpha_max": 2.0},
    "Algorithm 1": {"compensation": "full", "alpha_max": math.inf},
}
"""θ -= η_t φ⊙m/√v, as the proof has it; the algorithm with the cap of the experiments; and as it is printed."""
_UNTIL = 20


@experiment()
def norms(seed: int, *, steps: int = 2000, rate: float = 0.02, images: int = 200, hidden: int = 8) -> Mapping[str, Any]:
    """Train a smooth network on so many digits, all of them at each step, at η/√t, as the proof has the update.

    Given are the least ‖∇L‖_φ so far, the share of coordinates that the mask keeps, and the theorem's own bound with
    the largest curvature of four points of the run as its L.
    """
    made = _smooth(seed, images, hidden)
    optimizer = _alphaadam(made.model, rate, "as analysed")
    masked, kept, losses, sharpest = [], [], [], 0.0
    looks = {1, 14, 100, steps}
    for step, loss in walk(made, optimizer, steps=steps, seed=seed, factor=lambda step: step**-0.5):
        losses.append(float(loss(made.model).detach()))
        if step > 1:
            found = theory.masked_gradient_norm(made.model, optimizer)
            masked.append(found.masked)
            kept.append(found.kept)
        if step in looks:
            sharpest = max(sharpest, analysis.sharpness(made.model, loss))
    at, curve = np.arange(2, steps + 1), np.minimum.accumulate(masked)
    size = sum(param.numel() for param in made.model.parameters())
    descent = theory.Descent(dimension=size, smoothness=sharpest, lr=rate)
    bound = theory.convergence_bound(descent, losses[descent.start - 1], full_batch=True, eps=1e-8)
    late = slice(descent.start - 2, None)
    judged = judge(bound, at[late], np.minimum.accumulate(masked[late]))
    shown = np.array([one for one in log_spaced(steps, 12) if one >= 2]) - 2
    return {
        "steps": at[shown].tolist(),
        "norms": curve[shown].tolist(),
        "kept": float(np.mean(kept)),
        "slope": float(np.polyfit(np.log(at[steps // 10 :]), np.log(curve[steps // 10 :]), 1)[0]),
        "holds": judged.holds,
        "is_vacuous": judged.is_vacuous,
        "bound": float(judged.allowed[-1]),
        "trivial": bound.trivial,
        "last": float(curve[-1]),
    }


def falls_as_claimed(records: Sequence[jobs.Record]) -> Finding:
    """Say whether every curve stays below C log T/√T with the C of its first decade."""
    rows = results_of(records)
    shares = []
    for row in rows:
        at, curve = np.array(row["steps"], dtype=float), np.array(row["norms"])
        bound = theory.fitted_bound(at, curve, until=_UNTIL)
        late = at > _UNTIL
        shares.append(float((curve[late] / bound(at[late])).max()))
    slope = mean_of([row["slope"] for row in rows])
    words = (
        f"up to T = {rows[0]['steps'][-1]:,} the least masked norm is at most {max(shares):.3f} of C log T/√T, with C"
        f" fitted up to T = {_UNTIL}; over the last decade it falls like T^{slope.words()}; the mask keeps"
        f" {np.mean([row['kept'] for row in rows]):.0%} of coordinates"
    )
    return Finding(
        holds=all(share <= 1.0 for share in shares),
        words=words,
        figures={"largest share of the fitted bound": max(shares), "slope": slope.middle},
        interval=slope.interval,
        detectable=slope.detectable,
    )


def says_something(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the theorem's bound with its constants holds and is below what holds without it, on every run."""
    rows = results_of(records)
    held, empty = sum(row["holds"] for row in rows), sum(row["is_vacuous"] for row in rows)
    last = rows[-1]
    words = (
        f"the bound holds on {held} of {len(rows)} runs and is vacuous on {empty}: at T = {last['steps'][-1]:,} it is"
        f" {last['bound']:.3g}, where smoothness and L ≥ 0 alone give {last['trivial']:.3g} and"
        f" {last['last']:.3g} was measured"
    )
    figures = {"bound": last["bound"], "trivial bound": last["trivial"], "measured": last["last"]}
    return Finding(holds=held == len(rows) and empty == 0, words=words, figures=figures)


@experiment()
def steps_of(seed: int, *, arm: str, steps: int = 300, rate: float = 1e-3, hidden: int = 32) -> Mapping[str, Any]:
    """Train on digits at a constant rate, all data at each step; the longest step of a coordinate over Lemma E.2's."""
    made = _smooth(seed, None, hidden)
    optimizer = _alphaadam(made.model, rate, arm)
    longest, before = 0.0, analysis.parameter_vector(made.model)
    for _ in walk(made, optimizer, steps=steps, seed=seed):
        now = analysis.parameter_vector(made.model)
        longest, before = max(longest, largest_move(before, now)), now
    longest = max(longest, largest_move(before, analysis.parameter_vector(made.model)))
    return {"arm": arm, "share": longest / rate / theory.step_factor()}


def stays_below(records: Sequence[jobs.Record]) -> Finding:
    """Say whether no step is longer than κη: the largest share of the bound over all seeds and arms is 1 at most."""
    found = _shares(records)
    worst = {arm: max(shares) for arm, shares in found.items()}
    words = (
        "the longest step of a coordinate over the lemma's bound: "
        + ", ".join(f"{arm} {share:.3g}" for arm, share in worst.items())
        + f"; gradients can attain {theory.attained_step_factor() / theory.step_factor():.2f} of it without α"
    )
    figures = {f"largest share, {arm}": share for arm, share in worst.items()}
    return Finding(
        holds=all(share <= 1.0 for shares in found.values() for share in shares), words=words, figures=figures
    )


def draw_norms(records: Sequence[jobs.Record]) -> Any:
    """Draw the least masked norm of some seeds."""
    rows = results_of(records)[:4]
    lines = {f"seed {at}": (row["steps"], row["norms"]) for at, row in enumerate(rows)}
    return pictures.curves(lines, x="steps T", y="least ‖∇L‖_φ", logs="xy", slopes=(-0.5,))


def draw_steps(records: Sequence[jobs.Record]) -> Any:
    """Draw the longest steps."""
    rows = [pictures.Row(name=arm, middle=max(shares)) for arm, shares in _shares(records).items()]
    return pictures.forest(rows, label="longest step over Lemma E.2's bound", line=1.0, is_log=True)


def _shares(records: Sequence[jobs.Record]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in results_of(records):
        found.setdefault(row["arm"], []).append(row["share"])
    return found


def _alphaadam(model: nn.Module, rate: float, arm: str) -> AlphaAdam:
    settings: dict[str, Any] = dict(ARMS[arm])
    return AlphaAdam(model.parameters(), lr=rate, strict_mask=True, bias_correction=False, **settings)


def _smooth(seed: int, count: int | None, hidden: int) -> Problem:
    """Make a network with tanh, in float64, whose batch is always all of so many digits: the theorem asks for both."""
    data = digits_splits()
    x, y = (part[:count] for part in data["train"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 10)).double()
    pair = (x.double(), y)
    return Problem(
        model=model,
        batch=lambda draw, step: pair,
        loss=lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]),
        evaluate=lambda model, split: {"loss": float("nan")},
    )
