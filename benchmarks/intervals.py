"""How many observed means lie in the 90 % intervals of the hierarchical additive model, calibrated and not?

    python benchmarks/intervals.py [--worlds 3] [--screens 2] [--doubles 5 12 40] [--data FILE.h5ad] [--key COLUMN]

Run by hand; some minutes. Simulated screens (RNA alone): 22 single perturbations and some doubles of 100 training cells
each, 400 controls; the truth are 20 other doubles of which both singles were measured, 200 cells each. With `--data`, a
file of normalized cells: every combination is left out in turn, with half of the controls. Features that a condition
edits itself do not count, nor those that 5 % of cells or fewer show. `normal` takes 1.645 standard deviations,
`conformal` the factor from 5 folds over the training conditions, `changed` counts the latter over features of which the
observed effect lies more than 3 standard errors from none, and `sampling` is the scaled additive model with the
sampling error of its cells alone.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import anndata as ad
import numpy as np
import pandas as pd

from measuring import say, write
from waddington import twin
from waddington.twin.data.splits import Split
from waddington.twin.datasets import edit_sets
from waddington.twin.respond import (
    MODELS,
    Calibration,
    Measured,
    Training,
    calibrate,
    coverage,
    expressed_features,
    fit_model,
)  # fmt: skip

CELLS, CONTROLS, UNSEEN_CELLS, UNSEEN = 100, 400, 200, 20
NORMAL = Calibration(quantiles={}, why="not calibrated")
WAYS = {"normal": "hierarchical additive", "conformal": "hierarchical additive", "sampling": "scaled additive"}


def covered(training: Training, unseen: Measured, *, conformal: bool = True) -> pd.DataFrame:
    """Count coverage of one fit in every way, with the factor that was used."""
    known = training.measured
    options: dict[str, Any] = {
        "control": {"rna": known.tables["rna"].mean[0]},
        "spread": {"rna": np.sqrt(known.pooled_variance("rna"))},
        "scored": expressed_features(training.values, training.split.train),
    }
    rows = []
    for way, name in WAYS.items():
        found = calibrate(MODELS[name], training) if way == "conformal" and conformal else NORMAL
        table = coverage(fit_model(name, training), unseen, calibration=found, **options)
        rows.append(table.assign(way=way, factor=found.factor("rna")))
    return pd.concat(rows, ignore_index=True)


def in_simulation(doubles: int, wiring: int, seed: int) -> pd.DataFrame:
    """Draw one screen and ask for doubles that it does not hold."""
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
    hidden = [twin.data.conditions.condition_label(one) for one in pairs[doubles:]]
    train = np.zeros(len(labels), dtype=bool)
    for label in set(labels.tolist()) - set(hidden):
        cells = np.flatnonzero(labels == label)
        train[cells[: CONTROLS if label == "control" else CELLS]] = True
    tested = np.isin(labels, [*hidden, "control"]) & ~train
    names = {"rna": np.asarray(rna.var_names, dtype=np.str_)}
    split = Split(kind="perturbation", labels=labels, control="control", train=train, split_of={})
    training = Training(values={"rna": x}, split=split, names=names)
    seen = Split(kind="perturbation", labels=labels, control="control", train=tested, split_of={})
    return covered(training, Measured.of({"rna": x}, seen, names=names))


def in_file(path: Path, key: str, mode: str, halves: int) -> pd.DataFrame:
    """Leave every combination of a file out in turn; the model learns from one half of the controls."""
    adata = ad.read_h5ad(path)
    twin.Response.setup_anndata(adata, perturbation_key=key, perturbation_mode=mode, normalization="none")
    labels = twin.data.setup.read_labels(adata).condition
    x = np.asarray(adata.X.todense() if hasattr(adata.X, "todense") else adata.X, dtype=np.float32)
    names = {"rna": np.asarray(adata.var_names, dtype=np.str_)}
    tables = []
    for half in range(halves):
        rng = np.random.default_rng(half)
        control = np.flatnonzero(labels == "control")
        known = np.ones(len(labels), dtype=bool)
        known[rng.permutation(control)[: len(control) // 2]] = False
        for label in sorted(set(labels.tolist())):
            if "+" not in label:
                continue
            train = known & (labels != label)
            seen = (labels == label) | ~known
            splits = [
                Split(kind="perturbation", labels=labels, control="control", train=one, split_of={})
                for one in (train, seen)
            ]
            training = Training(values={"rna": x}, split=splits[0], names=names)
            tables.append(covered(training, Measured.of({"rna": x}, splits[1], names=names)))
            say(f"{path.stem}, half {half}: {label}")
    return pd.concat(tables, ignore_index=True)


def summed(table: pd.DataFrame) -> pd.DataFrame:
    """Average over screens and conditions, weighted by features: a row for each support."""
    rows = []
    for (where, support), block in table.groupby(["where", "support"], sort=False):
        known: dict[str, Any] = {"where": where, "support": support}
        for column, way, features in (
            *((way, way, "expressed") for way in WAYS), ("changed", "conformal", "changed"),
        ):  # fmt: skip
            part = block[(block["way"] == way) & (block["features"] == features)]
            known[column] = np.average(part["coverage"], weights=part["n"]) if len(part) else np.nan
        conformal = block[(block["way"] == "conformal") & (block["features"] == "expressed")]
        rows.append({
            **known, "factor": conformal["factor"].mean(), "conditions": int(conformal["n_conditions"].sum()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--screens", type=int, default=2)
    parser.add_argument("--doubles", type=int, nargs="*", default=[5, 12, 40])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--key", default="perturbation")
    parser.add_argument("--mode", default="activation")
    parser.add_argument("--halves", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    tables = []
    for doubles in arguments.doubles:
        for wiring in range(arguments.worlds):
            for seed in range(arguments.screens):
                found = in_simulation(doubles, wiring, seed)
                tables.append(found.assign(where=f"simulator, {doubles} training doubles"))
                say(f"{doubles} doubles, wiring {wiring}, screen {seed}")
    if arguments.data is not None:
        found = in_file(arguments.data, arguments.key, arguments.mode, arguments.halves)
        tables.append(found.assign(where=arguments.data.stem))
    table = summed(pd.concat(tables, ignore_index=True))
    print("share of observed means inside 90 % intervals")
    print(table.to_string(index=False, float_format="{:.3f}".format))
    if arguments.json is not None:
        write(arguments.json, {"coverage": table.to_dict("records")})


if __name__ == "__main__":
    main()
