"""Speed of the encoder's training, and what its embedding is worth beside an untrained one and PCA.

    OMP_NUM_THREADS=1 python benchmarks/encoder.py [--cells 2000] [--epochs 50] [--seeds 3] [--json FILE]

Simulated cells, 80% to train on. Linear probes (logistic for fate and condition, ridge for true pseudotime) are fitted
on the training cells and scored on the others; PCA has the same number of dimensions and the same cells. Processor time
stands beside wall time, which a busy machine stretches. One line of JSON at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from measuring import threading
from waddington.twin.datasets import simulate
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.preprocess import REDUCED, Preprocessor, model_counts, model_input


def probe(z: np.ndarray, obs, train: np.ndarray) -> dict[str, float]:
    scores = {}
    condition = obs["perturbation"].astype(str) + "/" + obs["perturbation_mode"].astype(str)
    for name, label in (("fate accuracy", obs["cell_type"].astype(str)), ("condition accuracy", condition)):
        y = label.to_numpy()
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.3)).fit(z[train], y[train])
        scores[name] = head.score(z[~train], y[~train])
    y = obs["true_pseudotime"].to_numpy()
    head = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))).fit(z[train], y[train])
    scores["pseudotime R2"] = head.score(z[~train], y[~train])
    return scores


def one_seed(seed: int, *, n_cells: int, epochs: int) -> dict[str, dict[str, float]]:
    mdata = simulate(n_cells=n_cells, seed=seed, n_truth_cells=0)
    train = np.random.default_rng(seed).random(n_cells) < 0.8
    Preprocessor().fit(mdata, train).transform(mdata)
    names = list(mdata.mod)
    inputs = {name: model_input(mdata, name) for name in names}
    counts = {name: model_counts(mdata, name) for name in names}
    spaces = {name: np.asarray(mdata.mod[name].obsm[REDUCED[name]], dtype=np.float32) for name in names}
    held_out = [{name: x[~train] for name, x in tables.items()} for tables in (inputs, counts, spaces)]
    results: dict[str, dict[str, float]] = {}
    for label, n in (("trained", epochs), ("untrained", 0)):
        encoder = TwinEncoder({name: x.shape[1] for name, x in inputs.items()}, seed=seed)
        wall, processor = time.perf_counter(), time.process_time()
        encoder.fit(inputs, counts, spaces, train=train, epochs=n)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        z = encoder.embed(inputs, spaces)["joint"]
        loss = encoder.reconstruction(*held_out)
        nats = {f"{name} nats": loss[f"joint/{name}"] for name in names}
        results[label] = probe(z, mdata.obs, train) | nats | {"fit seconds": wall, "fit processor seconds": processor}
    # PCA of all modalities at equal variance, as wide as the joint embedding.
    scaled = [x / np.sqrt(x[train].var(axis=0).sum()) for x in spaces.values()]
    together = np.concatenate(scaled, axis=1)
    width = encoder.config.joint_dim
    results["pca"] = probe(PCA(width, svd_solver="full").fit(together[train]).transform(together), mdata.obs, train)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(threading())
    runs = [one_seed(seed, n_cells=arguments.cells, epochs=arguments.epochs) for seed in range(arguments.seeds)]
    summary: dict[str, dict[str, tuple[float, float]]] = {}
    for label in runs[0]:
        summary[label] = {}
        for name in runs[0][label]:
            values = [run[label][name] for run in runs]
            summary[label][name] = (float(np.mean(values)), float(np.std(values)))
            print(f"{label:10s} {name:24s} {summary[label][name][0]:9.4f} ± {summary[label][name][1]:.4f}")
    line = json.dumps(
        {"cells": arguments.cells, "epochs": arguments.epochs, "seeds": arguments.seeds, "results": summary}
    )
    print(line)
    if arguments.json is not None:
        arguments.json.write_text(line + "\n")


if __name__ == "__main__":
    main()
