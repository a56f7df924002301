"""How well a dose that was not measured is predicted from those around it, on simulated dose series.

    python benchmarks/doses.py [--seeds 6] [--repeats 2] [--json FILE]

Run by hand; two minutes on a quiet core. Every gene follows a Hill curve of its drug, with a half-effective dose of its
own; a fifth of the responding genes turn back at higher doses. Each dose with another on either side is hidden in turn
and predicted from the others (the evaluator's split "held-out dose"). The table says squared error (0 is perfect, 1 is
no change), Pearson r of the effect and the share of genes, and of those that changed, inside the 90 % intervals (with
their factor from doses that were left out of training), averaged over screens; and how the default compares with each
other model, screen by screen.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from measuring import say, write
from waddington.twin.evaluate.protocol import Screen, evaluate_screen

MODELS = ("no change", "mean over doses", "nearest", "additive", "empirical-Bayes additive", "hierarchical additive")
DEFAULT = "hierarchical additive"
WAY = "held-out dose"
FEATURES = ["expressed", "changed"]

Array = npt.NDArray[np.float64]

_GENES, _RESPONDING, _TURNING = 300, 0.3, 0.2
_CELLS, _CONTROLS = 60, 300


def curves(doses: Array, rng: np.random.Generator) -> Array:
    """Draw one drug's effects, in standard deviations of cells, (doses, genes)."""
    middle = rng.uniform(np.log(doses[0]), np.log(doses[-1]))
    half = np.exp(rng.normal(middle, 0.7, size=_GENES))
    steep = rng.uniform(0.8, 2.5, size=_GENES)
    top = rng.normal(0.0, 0.7, size=_GENES) * (rng.random(_GENES) < _RESPONDING)
    turns = rng.random(_GENES) < _TURNING
    rise = 1.0 / (1.0 + (half / doses[:, None]) ** steep)
    fall = 1.0 / (1.0 + (8.0 * half / doses[:, None]) ** steep)
    return np.asarray(top * (rise - turns * fall))


def dose_screen(n_doses: int, seed: int, *, drugs: int = 6) -> Screen:
    """Simulate a screen of drugs at doses over four orders of magnitude."""
    rng = np.random.default_rng([seed, n_doses])
    doses = np.geomspace(0.01, 100.0, n_doses)
    labels, effects = ["control"] * _CONTROLS, [np.zeros(_GENES)] * _CONTROLS
    for drug in range(drugs):
        for dose, effect in zip(doses, curves(doses, rng), strict=True):
            labels += [f"drug{drug}@{dose:.4g}:drug"] * _CELLS
            effects += [effect] * _CELLS
    noise = rng.standard_normal((len(labels), _GENES))
    return Screen(
        values={"rna": (5.0 + np.stack(effects) + noise).astype(np.float32)},
        names={"rna": np.array([f"g{gene}" for gene in range(_GENES)])},
        labels=np.array(labels),
        control="control",
    )


def judge(n_doses: int, seed: int, repeats: int) -> pd.DataFrame:
    """Score every model on one screen: a row each."""
    found = evaluate_screen(
        dose_screen(n_doses, seed), models=MODELS, splits=[WAY], repeats=repeats, null_repeats=0, seed=seed
    )
    summary = found.summary[(found.summary["split"] == WAY) & (found.summary["conditions"] == "all")]
    wide = summary[summary["metric"].isin(["ncse", "pearson"])].pivot_table(
        index="model", columns="metric", values="value"
    )
    told = found.coverage[found.coverage["interval"] == "conformal"]
    covered = told.pivot_table(index="model", columns="features", values="coverage").reindex(columns=FEATURES)
    return wide.join(covered).reset_index().assign(doses=n_doses, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6, help="screens of each form")
    parser.add_argument("--repeats", type=int, default=2, help="halvings")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for n_doses in (3, 4, 7):
        table = pd.concat([judge(n_doses, seed, options.repeats) for seed in range(options.seeds)])
        say(f"\n{n_doses} doses from .01 to 100, {options.seeds} screens of 6 drugs, {_CELLS} cells a dose")
        say(
            f"{'model':<26}{'ncSE':>9}{'r':>9}{'90 %':>9}{'changed':>9}   ncSE of the default less this, best and worst"
        )
        ncse = table.pivot_table(index="seed", columns="model", values="ncse")
        for model in MODELS:
            rows = table[table["model"] == model]
            if rows.empty:
                continue
            mean = rows[["ncse", "pearson", *FEATURES]].mean()
            less = ncse[DEFAULT] - ncse[model] if model in ncse else pd.Series(dtype=float)
            ends = f"   {less.min():+.3f}, {less.max():+.3f}" if model != DEFAULT and len(less) else ""
            shown = "".join(f"{'-' if np.isnan(value) else f'{value:.3f}':>9}" for value in mean)
            say(f"{model:<26}{shown}{ends}")
            result[f"{n_doses}/{model}"] = {**mean.to_dict(), "difference": less.tolist()}
    if options.json:
        write(options.json, result)


if __name__ == "__main__":
    main()
