"""Own code beside the libraries that do the same: time, agreement, and what the library costs before it begins.

    OMP_NUM_THREADS=1 python benchmarks/libraries.py [--cells 2000] [--genes 3000] [--repeats 3] [--json FILE]

Run by hand; two minutes on a quiet core. Simulated cells for graphs, pseudotime and normalization; counts of cells that
lie on a few axes, with Poisson noise, for principal components. Ratios are of processor times in one process, of the
fastest of the repeats; a first call is named apart, because it compiles. Imports are timed in processes of their own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import anndata as ad
import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigvalsh
from scipy.stats import spearmanr

from measuring import threading, write
from waddington.twin.datasets import simulate
from waddington.twin.preprocess import REDUCED, Preprocessor
from waddington.twin.preprocess.components import leading_axes
from waddington.twin.preprocess.graph import connectivities
from waddington.twin.preprocess.neighbors import knn_graph, neighbor_table
from waddington.twin.preprocess.transforms import log_normalize
from waddington.twin.trajectory.pseudotime import diffusion_pseudotime

IMPORTS = ("sklearn.decomposition", "umap", "scanpy")


def seconds_of(call: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Processor seconds of the first call and of the fastest of the others, and what came out."""
    times = []
    for _ in range(repeats + 1):
        started = time.process_time()
        result = call()
        times.append(time.process_time() - started)
    return times[0], min(times[1:]), result


def row(
    name: str, ours: tuple[float, float, Any], theirs: tuple[float, float, Any], **agreement: float
) -> dict[str, Any]:
    """Put two ways of doing one thing side by side, and print them."""
    record = {"name": name, "ours": ours[1], "theirs": theirs[1], "their first": theirs[0], **agreement}
    said = ", ".join(f"{key} {value:.6g}" for key, value in agreement.items())
    print(
        f"{name}: ours {ours[1]:.3f} s, theirs {theirs[1]:.3f} s (first call {theirs[0]:.3f} s), ours/theirs ", end=""
    )
    print(f"{ours[1] / max(theirs[1], 1e-9):.2f}; {said}", flush=True)
    return record


def profiles(n_cells: int, n_genes: int) -> sp.csr_matrix:
    """Log-normalized counts of cells on ten axes, 3,000 molecules each."""
    rng = np.random.default_rng(0)
    rate = np.exp(rng.normal(size=(n_cells, 10)) @ rng.normal(size=(10, n_genes)) * 0.3 + rng.normal(size=n_genes))
    counts = sp.csr_matrix(rng.poisson(3000 * rate / rate.sum(axis=1, keepdims=True)).astype(np.float32))
    return log_normalize(counts, target_sum=3000.0)


def kept(matrix: sp.csr_matrix, axes: np.ndarray, centre: np.ndarray) -> float:
    """Sum of squares along some axes."""
    return float((((matrix @ axes) - centre @ axes) ** 2).sum())


def components(matrix: sp.csr_matrix, repeats: int) -> list[dict[str, Any]]:
    """PCA and LSI of a matrix, 50 axes: how much of the variance of the exact ones is kept."""
    from sklearn.decomposition import PCA, TruncatedSVD

    wide, rows = matrix.astype(np.float64), []
    mean, zero = np.asarray(wide.mean(axis=0)).ravel(), np.zeros(matrix.shape[1])
    solvers: dict[str, tuple[Any, np.ndarray]] = {
        "PCA, arpack": (PCA(50, svd_solver="arpack", random_state=0), mean),
        "PCA, covariance_eigh": (PCA(50, svd_solver="covariance_eigh"), mean),
        "LSI, arpack": (TruncatedSVD(50, algorithm="arpack", random_state=0), zero),
        "LSI, randomized": (TruncatedSVD(50, algorithm="randomized", random_state=0), zero),
    }
    gram = (wide.T @ wide).toarray()
    for name, (solver, centre) in solvers.items():
        centred = gram - matrix.shape[0] * np.outer(centre, centre)
        exact = float(eigvalsh(centred, subset_by_index=(len(gram) - 50, len(gram) - 1)).sum())
        ours = seconds_of(partial(leading_axes, matrix, 50, centred=name.startswith("PCA")), repeats)
        theirs = seconds_of(partial(fitted_axes, solver, wide), repeats)
        shares = {"kept by ours": kept(wide, ours[2], centre), "by theirs": kept(wide, theirs[2], centre)}
        shares = {key: share / exact for key, share in shares.items()}
        rows.append(row(f"{name}, {matrix.shape[0]} x {matrix.shape[1]}", ours, theirs, **shares))
    return rows


def fitted_axes(solver: Any, matrix: sp.csr_matrix) -> np.ndarray:
    """Axes that one of scikit-learn's solvers finds, features x axes."""
    return np.asarray(solver.fit(matrix).components_.T)


def graphs(x: np.ndarray, repeats: int) -> dict[str, Any]:
    """Fuzzy connectivities of the same neighbours."""
    from umap.umap_ import fuzzy_simplicial_set

    distances = knn_graph(x, n_neighbors=15, metric="euclidean")
    table, d = neighbor_table(distances)
    itself = np.arange(len(x))[:, None]
    table, d = np.hstack([itself, table]), np.hstack([np.zeros((len(x), 1)), d]).astype(np.float32)

    def theirs() -> sp.csr_matrix:
        graph, *_ = fuzzy_simplicial_set(
            x,
            16,
            random_state=np.random.RandomState(0),
            metric="euclidean",
            knn_indices=table,
            knn_dists=d,
        )
        return graph.tocsr()

    ours, other = seconds_of(lambda: connectivities(distances), repeats), seconds_of(theirs, repeats)
    return row("connectivities", ours, other, **{"largest difference": float(abs(ours[2] - other[2]).max())})


def orders(x: np.ndarray, root: int, repeats: int) -> dict[str, Any]:
    """Diffusion pseudotime of the same graph from the same root."""
    import scanpy as sc

    graph = connectivities(knn_graph(x, n_neighbors=15, metric="euclidean"))
    cells = ad.AnnData(x)
    cells.obsp["connectivities"], cells.uns["iroot"] = graph, root
    cells.uns["neighbors"] = {"connectivities_key": "connectivities", "params": {"n_neighbors": 15, "method": "umap"}}

    def theirs() -> np.ndarray:
        sc.tl.diffmap(cells, n_comps=16)
        sc.tl.dpt(cells, n_dcs=16)
        return cells.obs["dpt_pseudotime"].to_numpy()

    ours, other = seconds_of(lambda: diffusion_pseudotime(graph, root=root), repeats), seconds_of(theirs, repeats)
    return row(
        "diffusion pseudotime", ours, other, **{"rank correlation": float(spearmanr(ours[2], other[2]).statistic)}
    )


def depths(counts: sp.csr_matrix, repeats: int) -> dict[str, Any]:
    """Normalization to a depth and the logarithm."""
    import scanpy as sc

    def theirs() -> sp.csr_matrix:
        cells = ad.AnnData(counts.copy())
        sc.pp.normalize_total(cells, target_sum=1e3)
        sc.pp.log1p(cells)
        return cells.X

    ours, other = seconds_of(lambda: log_normalize(counts, target_sum=1e3), repeats), seconds_of(theirs, repeats)
    return row("normalization", ours, other, **{"largest difference": float(abs(ours[2] - other[2]).max())})


def import_seconds(module: str) -> float:
    """Median processor time that an import adds to a Python with NumPy, SciPy, pandas and anndata."""
    code = "import time, anndata, scipy.sparse; t = time.process_time(); import {}; print(time.process_time() - t)"
    ran = [
        subprocess.run([sys.executable, "-c", code.format(module)], check=True, capture_output=True) for _ in range(3)
    ]
    return statistics.median(float(done.stdout) for done in ran)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--genes", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(threading())
    imports = {module: import_seconds(module) for module in IMPORTS}
    print(
        "imports, seconds: " + ", ".join(f"{module} {seconds:.1f}" for module, seconds in imports.items()), flush=True
    )
    rows = components(profiles(arguments.cells, arguments.genes), arguments.repeats)
    mdata = simulate(n_cells=arguments.cells, seed=0, n_truth_cells=0)
    counts = sp.csr_matrix(mdata["rna"].X, dtype=np.float32)
    Preprocessor().fit(mdata).transform(mdata)
    x = np.asarray(mdata["rna"].obsm[REDUCED["rna"]], dtype=np.float32)
    root = int(mdata.obs["true_pseudotime"].to_numpy().argmin())
    rows += [graphs(x, arguments.repeats), orders(x, root, arguments.repeats), depths(counts, arguments.repeats)]
    if arguments.json is not None:
        write(arguments.json, {"imports": imports, "rows": rows})


if __name__ == "__main__":
    main()
