"""What the encoder's embedding is worth beside components, no training, random directions and noise, under one head.

    OMP_NUM_THREADS=1 python benchmarks/embeddings.py [--cells simulator,snare,…] [--seeds 3] [--quick] [--json FILE]

Run by hand; some minutes a data set. All but the simulator read data sets below the folder WADDINGTON_DATA, which the
project does not hold. Representations are 32 wide (`embeddings_made.py`), learned and read from a random three quarters
of the cells, and scored on the others (`embeddings_scoring.py`): a seed draws the split, the weights and the noise.
What is asked:

- a label by a linear probe: balanced accuracy, or R² of pseudotime; once more with labels permuted, as the floor;
- retrieval: the share of other cells that are closer than a cell's own other modality, after canonical correlation of
  the training pairs (FOSCTTM; 0.5 is chance, less is better);
- imputation: r over held-out cells, mean over features of a modality that was not given, by ridge from the embedding of
  the one that was; and by the encoder's own decoder;
- denoising: every cell's molecules are dealt into two halves; the features of one from the embedding of the other;
- prediction: r of the predicted effect of simulated doubles that were not seen with the true one, latent additive;
- ablation: labels and denoising by joint embeddings of some modalities.

The last lines are mean differences to PCA/LSI, paired by seed, with 95 % intervals of Student's t.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from embeddings_cells import CELLS, Cells, available, load, thinned
from embeddings_made import Representation, made, parts_of
from embeddings_scoring import correlation_by_feature, foscttm, probe, read_out, shared_space
from measuring import say, threading, write
from waddington.twin.data.setup import read_labels
from waddington.twin.data.splits import split_by_condition
from waddington.twin.datasets import simulate
from waddington.twin.preprocess import Preprocessor
from waddington.twin.respond import MODELS, DecodedResponse, Training

REFERENCE = "PCA/LSI"
LESS_IS_BETTER = ("retrieval",)
SIZES = {
    "simulator": 1000,
    "snare": 1500,
    "scicar": 1874,
    "eccite": 500,
    "citeseq": 200,
    "asap": 1500,
    "papalexi": 2000,
}
"""Cells of each data set."""
AS_BEFORE = ("scicar", "eccite")
"""Where the encoder is also trained as it was before its embeddings began at components."""
Row = dict[str, Any]


def one_seed(name: str, seed: int, *, limit: int, epochs: int) -> list[Row]:
    """Ask everything that a data set can be asked, under one split."""
    cells = load(name, seed, limit=limit)
    found = made(cells, seed=seed, epochs=epochs, without=() if name in AS_BEFORE else ("as it was",))
    halves = thinned(cells, seed)
    rows: list[Row] = []
    for method, representation in found.items():
        for task, space, value in itertools.chain(
            _labels(cells, representation, seed),
            _across(cells, representation),
            _denoised(cells, representation, halves),
        ):
            rows.append({"task": task, "space": space, "method": method, "value": value})
    if len(cells.mdata.mod) > 1:
        rows += _ablated(cells, found, halves, seed=seed, epochs=epochs)
    if name == "simulator":
        rows += _predicted(seed, n_cells=limit, epochs=epochs)
    return [{"cells": name, "seed": seed, **row} for row in rows]


def _labels(cells: Cells, made: Representation, seed: int) -> Iterator[tuple[str, str, float]]:
    rng = np.random.default_rng((seed, 31))
    for label, values in cells.asked.items():
        for space, x in made.spaces.items():
            if space != "joint" and len(made.spaces) == 2:
                continue  # a single modality: both are the same question
            yield f"{label}", space, probe(x, values, cells.train, seed=seed)
        shuffled = values.copy()
        for part in (cells.train, ~cells.train):
            known = part & (np.isfinite(values) if values.dtype.kind == "f" else values != "")
            shuffled[known] = rng.permutation(values[known])
        yield f"{label}, permuted", "joint", probe(made.spaces["joint"], shuffled, cells.train, seed=seed)


def _across(cells: Cells, made: Representation) -> Iterator[tuple[str, str, float]]:
    given = parts_of(cells)
    test = ~cells.train
    for first, second in itertools.combinations(given.inputs, 2):
        views = shared_space(made.spaces[first], made.spaces[second], cells.train)
        yield "retrieval", f"{first} - {second}", foscttm(views[0][test], views[1][test])
    for source, target in itertools.permutations(given.inputs, 2):
        if target == "rna" or source == target:
            continue
        values = given.inputs[target]
        predicted = read_out(made.spaces[source], values, cells.train)
        yield "imputation", f"{source} to {target}", correlation_by_feature(predicted[test], values[test])
        if made.encoder is not None and made.encoder.fitted:
            alone = parts_of(cells, [source])
            joint = made.encoder.embed(alone.inputs, alone.representations)["joint"]
            decoded = np.log(made.encoder.decode(joint, target) + 1e-9)
            yield (
                "imputation by its decoder",
                f"{source} to {target}",
                correlation_by_feature(decoded[test], values[test]),
            )


def _denoised(cells: Cells, made: Representation, halves: tuple[Any, Any]) -> Iterator[tuple[str, str, float]]:
    first, second = (parts_of(cells, mdata=half) for half in halves)
    spaces = made.again(first)
    for name, values in second.inputs.items():
        for space in (name, "joint") if len(second.inputs) > 1 else ("joint",):
            predicted = read_out(spaces[space], values, cells.train)
            r = correlation_by_feature(predicted[~cells.train], values[~cells.train])
            yield "denoising", f"{name} from {space}", r


def _ablated(
    cells: Cells, found: Mapping[str, Representation], halves: tuple[Any, Any], *, seed: int, epochs: int
) -> list[Row]:
    names = list(cells.mdata.mod)
    subsets = [["rna"], *(["rna", other] for other in names if other != "rna")]
    rows: list[Row] = []
    for subset in subsets:
        whole = len(subset) == len(names)
        some = (
            found
            if whole
            else made(cells, seed=seed, epochs=epochs, modalities=subset, only=(REFERENCE, "trained encoder"))
        )
        first = parts_of(cells, subset, mdata=halves[0])
        target = parts_of(cells, ["rna"], mdata=halves[1]).inputs["rna"]
        for method in (REFERENCE, "trained encoder"):
            row = {"space": " + ".join(subset), "method": method}
            for label, values in cells.asked.items():
                value = probe(some[method].spaces["joint"], values, cells.train, seed=seed)
                rows.append({**row, "task": f"ablation: {label}", "value": value})
            predicted = read_out(some[method].again(first)["joint"], target, cells.train)
            r = correlation_by_feature(predicted[~cells.train], target[~cells.train])
            rows.append({**row, "task": "ablation: denoising rna", "value": r})
    return rows


def _predicted(seed: int, *, n_cells: int, epochs: int) -> list[Row]:
    """Doubles that were not seen, by the latent additive model in each representation, against noise-free effects."""
    mdata = simulate(n_cells=n_cells, seed=seed + 100, wiring_seed=seed, n_truth_cells=400)
    split = split_by_condition(read_labels(mdata).condition, seed=seed)
    preprocessor = Preprocessor().fit(mdata, split.train)
    preprocessor.transform(mdata)
    cells = Cells(name="screen", mdata=mdata, preprocessor=preprocessor, train=split.train, labels={})
    given = parts_of(cells)
    simulation = mdata.uns["simulation"]
    truth = dict(zip(simulation["conditions"], simulation["true_response_log1p"]["rna"], strict=True))
    seen = np.asarray(mdata["rna"].var["highly_variable"], dtype=bool)
    doubles = [label for label, kind in split.split_of.items() if "+" in label and kind == "combo_seen2"]
    rows: list[Row] = []
    for method, representation in made(cells, seed=seed, epochs=epochs, without=("as it was",)).items():
        model = DecodedResponse(representation.spaces["joint"].astype(np.float32), given.inputs, split)
        rows.append(_effects(method, model, doubles, truth, seen))
    data = Training(values=given.inputs, split=split, names=given.names)
    for name in ("additive", "hierarchical additive"):
        rows.append(_effects(f"no representation: {name}", MODELS[name].fit(data), doubles, truth, seen))
    return rows


def _effects(method: str, model: Any, doubles: list[str], truth: Mapping[str, np.ndarray], seen: np.ndarray) -> Row:
    r = [np.corrcoef(model.predict(label)["rna"], truth[label][seen])[0, 1] for label in doubles]
    return {"task": "prediction", "space": "rna", "method": method, "value": float(np.mean(r))}


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Give mean over seeds, and the mean difference to the reference, oriented so that more is better."""
    rows = []
    for keys, part in frame.groupby(["cells", "task", "space", "method"], sort=False):
        cells, task, space, method = keys
        values = part.set_index("seed")["value"]
        row = {
            "cells": cells,
            "task": task,
            "space": space,
            "method": method,
            "value": values.mean(),
            "seeds": len(values),
        }
        same = frame[(frame["cells"] == cells) & (frame["space"] == space) & (frame["method"] == REFERENCE)]
        reference = same[same["task"] == ("imputation" if task == "imputation by its decoder" else task)]
        gain = (values - reference.set_index("seed")["value"]).dropna()
        gain = -gain if task in LESS_IS_BETTER else gain
        if method != REFERENCE and len(gain):
            half = (
                stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
            )
            row |= {"gain": gain.mean(), "low": gain.mean() - half, "high": gain.mean() + half}
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default=",".join(CELLS), help="data sets, separated by commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="two seeds, a quarter of the cells, five epochs")
    parser.add_argument("--limit", type=int, default=None, help="most cells of a data set")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    print(threading())
    rows: list[Row] = []
    seeds, epochs = (2, 5) if options.quick else (options.seeds, options.epochs)
    for name in options.cells.split(","):
        if not available(name):
            say(f"{name}: no folder WADDINGTON_DATA, left out")
            continue
        limit = max(200, SIZES[name] // 4) if options.quick else min(SIZES[name], options.limit or SIZES[name])
        for seed in range(seeds):
            say(f"{name}, seed {seed}")
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=FutureWarning)
                rows += one_seed(name, seed, limit=limit, epochs=epochs)
    table = summary(pd.DataFrame(rows))
    with pd.option_context("display.max_rows", None, "display.width", 160):
        print(table.round(3).to_string(index=False))
    if options.json is not None:
        write(options.json, {"scores": table.to_dict("records"), "seeds": seeds, "epochs": epochs})


if __name__ == "__main__":
    main()
