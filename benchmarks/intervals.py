"""How many observed changes lie in the 90 % intervals of the hierarchical additive model, calibrated and not?

    OMP_NUM_THREADS=1 python benchmarks/intervals.py [--screens 6] [--doubles 5 12 40] [--data FILE.h5ad] [--key COLUMN]

Run by hand; some minutes. Simulated screens (RNA alone, 3 wirings in turn): 22 single perturbations and some doubles of
100 training cells each, 400 controls. The truth are 20 other doubles of 200 cells, of which both singles were measured
("added"); 5 singles that were measured within doubles alone ("combined"); and those singles and the doubles that hold
them, never measured at all ("none", "partial"). With `--data`, a file of normalized cells: every condition is hidden in
turn as `waddington evaluate` does, a single also while the doubles that hold it stay. Everything is counted by the
evaluator: features that 5 % of cells or fewer show, and those that a condition edits, do not count; one half of the
hidden cells judges, the other says which features changed.

`normal` takes 1.645 standard deviations, `conformal` what conditions left out of training ask for; `unlimited` is
normal with measured effects shrunk as far as the prior wants. Width and interval score are in standard deviations of
cells: the score is the width plus 20 times how far the truth lies outside, so a width that buys nothing makes it worse.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import anndata as ad
import numpy as np
import pandas as pd

from measuring import say, write
from waddington import twin
from waddington.twin.datasets import edit_sets
from waddington.twin.evaluate.protocol import Fold, Screen, folds_of, screen_of
from waddington.twin.evaluate.protocol.covering import mean_coverage
from waddington.twin.evaluate.protocol.scores import score_models
from waddington.twin.respond import Course, HierarchicalAdditive

CELLS, CONTROLS, UNSEEN_CELLS, UNSEEN, HIDDEN = 100, 400, 200, 20, 5
OURS, UNLIMITED = "hierarchical additive", "unlimited"
MODELS = {
    OURS: HierarchicalAdditive.fit,
    UNLIMITED: lambda data: HierarchicalAdditive(data.measured, course=Course(translation=math.inf)),
}
Found = list[tuple[dict[str, str], Sequence[Any]]]


def judged(screen: Screen, folds: Sequence[Fold], where: str, unit: str, *, repeats: int = 1) -> Found:
    """Count by the evaluator; give what `mean_coverage` takes, `where` in the place of the split."""
    scores = score_models(
        screen, folds, MODELS, repeats=repeats, seed=0, cells_in=repeats, metrics=("pearson",)
    )  # fmt: skip
    return [
        (
            {"split": where, "support": scores.support[key], "model": key.model, "modality": key.modality}
            | {"unit": f"{unit} {key.perturbation}"},
            counts,
        )
        for key, counts in scores.coverage.items()
    ]


def in_simulation(doubles: int, wiring: int, seed: int) -> Found:
    """Draw one screen and ask for what it does not hold."""
    sets = edit_sets(2)
    singles = [one for one in sets if len(one) == 1]
    pairs = [one for one in sets if len(one) == 2]
    rng = np.random.default_rng([wiring, seed, 7])
    pairs = [pairs[i] for i in rng.permutation(len(pairs))[: doubles + UNSEEN]]
    conditions = [(), *singles, *pairs]
    n_cells = UNSEEN_CELLS * (len(conditions) - 1)
    mdata = twin.datasets.simulate(
        n_cells=n_cells + 2 * CONTROLS, control_fraction=2 * CONTROLS / (n_cells + 2 * CONTROLS), n_genes=200,
        n_peaks=0, n_proteins=0, conditions=conditions, n_truth_cells=0, seed=seed, wiring_seed=wiring,
    )  # fmt: skip
    rna = mdata["rna"]
    counts = np.asarray(rna.X.todense(), dtype=np.float64)
    x = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)).astype(np.float32)
    labels = np.asarray(twin.data.conditions.conditions_of(mdata.obs), dtype=np.str_)
    named = {label: [twin.data.conditions.condition_label((edit,)) for edit in one] for one in conditions[1:]
             for label in (twin.data.conditions.condition_label(one),)}  # fmt: skip
    asked = set(list(named)[len(singles) + doubles :])
    first = np.zeros(len(labels), dtype=bool)
    for label in ("control", *named):
        first[np.flatnonzero(labels == label)[: CONTROLS if label == "control" else CELLS]] = True
    held = {part for label, parts in named.items() if len(parts) > 1 and label not in asked for part in parts}
    hidden = set(rng.permutation(sorted(held))[:HIDDEN].tolist())
    ways: Mapping[str, set[str]] = {
        "doubles": asked,
        "alone": asked | hidden,
        "gone": asked | {label for label, parts in named.items() if hidden & set(parts)},
    }
    whole = Screen(
        values={"rna": x}, names={"rna": np.asarray(rna.var_names, dtype=np.str_)}, labels=labels, control="control"
    )
    found: Found = []
    for way, out in ways.items():
        screen = replace(whole, train=first & ~np.isin(labels, list(out)))
        wanted = {
            "doubles": asked,
            "alone": hidden,
            "gone": out - (asked - {one for one in asked if hidden & set(named[one])}),
        }
        folds = [
            replace(fold, targets={label: kind for label, kind in fold.targets.items() if label in wanted[way]})
            for fold in folds_of(screen)
        ]
        found += judged(screen, folds, f"simulator, {doubles} training doubles", f"{wiring} {seed} {way}")
    return found


def in_file(path: Path, key: str, mode: str, halves: int) -> Found:
    """Hide every condition of a file in turn; models learn from one half of the controls."""
    adata = ad.read_h5ad(path)
    twin.Response.setup_anndata(adata, perturbation_key=key, perturbation_mode=mode, normalization="none")
    screen = screen_of(adata)
    folds = [fold for fold in folds_of(screen) if not fold.half_of_cells]
    within = {part for label in screen.conditions if "+" in label for part in label.split("+")}
    alone = [
        Fold(way="alone", targets={label: "unseen_single"}, left_out=frozenset({label}))
        for label in screen.conditions
        if label in within
    ]
    return [
        one
        for way, some in (("in turn", folds), ("alone", alone))
        for one in judged(screen, some, path.stem, way, repeats=halves)
    ]


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Lay intervals of one support beside each other, a row for each."""
    # Folds of a calibration fit the model with its limit.
    kept = table[(table["model"] == OURS) | (table["interval"] == "normal")]
    kept = kept.assign(interval=kept["interval"].where(kept["model"] == OURS, UNLIMITED))
    columns = ["coverage", "low", "high", "width", "score"]
    wide = kept.pivot_table(index=["split", "support", "interval"], columns="features", values=columns, sort=False)
    made = pd.DataFrame(index=wide.index)
    for features in ("expressed", "changed"):
        part = {name: wide[(name, features)] for name in columns if (name, features) in wide}
        made[features] = part["coverage"]
        made[f"{features}, 95 %"] = [
            f"[{low:.3f}, {high:.3f}]" for low, high in zip(part["low"], part["high"], strict=True)
        ]
        made[f"{features}, width"], made[f"{features}, score"] = part["width"], part["score"]
    numbers = kept[kept["features"] == "expressed"].set_index(["split", "support", "interval"])["n"]
    return made.assign(conditions=numbers).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wirings", type=int, default=3)
    parser.add_argument("--screens", type=int, default=6)
    parser.add_argument("--doubles", type=int, nargs="*", default=[5, 12, 40])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--key", default="perturbation")
    parser.add_argument("--mode", default="activation")
    parser.add_argument("--halves", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    found: Found = []
    for doubles in arguments.doubles:
        for seed in range(arguments.screens):
            found += in_simulation(doubles, seed % arguments.wirings, seed)
            say(f"{doubles} doubles, screen {seed}")
    if arguments.data is not None:
        found += in_file(arguments.data, arguments.key, arguments.mode, arguments.halves)
    table = shown(mean_coverage(found))
    print("share of observed changes inside 90 % intervals, with 95 % bootstraps over conditions")
    print(table.to_string(index=False, float_format="{:.3f}".format))
    if arguments.json is not None:
        write(arguments.json, {"coverage": table.to_dict("records")})


if __name__ == "__main__":
    main()
