"""The cells of the embedding benchmarks: a data set each, its labels, a random split, preprocessed on training cells.

All but the simulator are read below the folder WADDINGTON_DATA, which the project does not hold. The cell types of
SNARE-seq are the source's own clusters, found in components of these cells: they favour components. The hours of
sci-CAR are the experiment's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import scipy.sparse as sp

from waddington.twin.datasets import simulate
from waddington.twin.preprocess import Preprocessor

__all__ = ["CELLS", "Cells", "available", "load", "thinned"]

_TRAIN = 0.75
_FEWEST = 12  # cells of a label that is asked for


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """One data set under one split."""

    name: str
    mdata: Any
    """Preprocessed, counts in a layer."""
    preprocessor: Preprocessor
    train: np.ndarray
    """(cells,)."""
    labels: dict[str, np.ndarray]
    """Text or numbers by name, (cells,); empty text and NaN are not asked for."""

    @property
    def asked(self) -> dict[str, np.ndarray]:
        """Labels that a probe can be asked for: numbers, and text of two values or more."""
        return {
            name: values
            for name, values in self.labels.items()
            if values.dtype.kind == "f" or len(set(values.tolist()) - {""}) > 1
        }


def load(name: str, seed: int, *, limit: int) -> Cells:
    """Read a data set, take at most so many cells of it, split it and preprocess it."""
    mdata, labels = CELLS[name](seed, limit)
    rng = np.random.default_rng((seed, 11))
    kept = np.arange(mdata.n_obs)
    if mdata.n_obs > limit:
        kept = np.sort(rng.choice(mdata.n_obs, limit, replace=False))
    mdata = md.MuData({key: part[kept].copy() for key, part in mdata.mod.items()})
    for part in mdata.mod.values():
        if "counts" not in part.layers:
            part.layers["counts"] = sp.csr_matrix(part.X, dtype=np.float32)
    labels = {key: _frequent(value[kept]) for key, value in labels.items()}
    train = rng.random(mdata.n_obs) < _TRAIN
    preprocessor = Preprocessor(n_top_genes=1000, n_top_peaks=2000).fit(mdata, train)
    preprocessor.transform(mdata)
    return Cells(name=name, mdata=mdata, preprocessor=preprocessor, train=train, labels=labels)


def thinned(cells: Cells, seed: int) -> tuple[Any, Any]:
    """Deal every cell's molecules into two halves at random, and normalize both as the whole was.

    References
    ----------
    Batson, Royer and Webber, *Molecular cross-validation for single-cell RNA-seq*, 2019.
    """
    rng = np.random.default_rng((seed, 12))
    halves: list[dict[str, ad.AnnData]] = [{}, {}]
    for name, part in cells.mdata.mod.items():
        counts = sp.csr_matrix(part.layers["counts"]).copy()
        first = counts.copy()
        first.data = rng.binomial(np.rint(counts.data).astype(np.int64), 0.5).astype(np.float32)
        second = counts - first
        for half, matrix in zip(halves, (first, second), strict=True):
            matrix = sp.csr_matrix(matrix)
            matrix.eliminate_zeros()
            half[name] = ad.AnnData(X=matrix, obs=part.obs.copy(), var=part.var[[]].copy())
            half[name].layers["counts"] = matrix.copy()
    made = [md.MuData(half) for half in halves]
    for one in made:
        cells.preprocessor.transform(one)
    return made[0], made[1]


def available(name: str) -> bool:
    """Say whether a data set can be had here."""
    return name == "simulator" or "WADDINGTON_DATA" in os.environ


def _simulated(seed: int, limit: int) -> tuple[Any, dict[str, np.ndarray]]:
    mdata = simulate(n_cells=limit, seed=seed, wiring_seed=seed, n_truth_cells=0)
    edits = mdata.obs["perturbation"].astype(str) + "/" + mdata.obs["perturbation_mode"].astype(str)
    return mdata, {
        "fate": mdata.obs["cell_type"].astype(str).to_numpy(),
        "perturbation": edits.to_numpy(),
        "pseudotime": mdata.obs["true_pseudotime"].to_numpy(float),
    }


def _snare(seed: int, limit: int) -> tuple[Any, dict[str, np.ndarray]]:
    rna, atac = _read("snareseq_mouse_cortex/rna"), _read("snareseq_mouse_cortex/atac")
    return md.MuData({"rna": _bare(rna), "atac": _bare(atac)}), {"cell type": rna.obs["cluster"].astype(str).to_numpy()}


def _scicar(seed: int, limit: int) -> tuple[Any, dict[str, np.ndarray]]:
    rna, atac = _read("scicar_a549/rna"), _read("scicar_a549/atac_tf")
    full = np.asarray(atac.X.sum(axis=1)).ravel() > 0
    rna, atac = rna[full].copy(), atac[full].copy()
    return md.MuData({"rna": _bare(rna), "atac": _bare(atac)}), {
        "hours": rna.obs["treatment_time"].astype(str).to_numpy()
    }


def _eccite(seed: int, limit: int) -> tuple[Any, dict[str, np.ndarray]]:
    protein = _read("eccite_pbmc_ctrl/adt")
    protein.var_names = [f"{name} (protein)" for name in protein.var_names]
    return md.MuData({"rna": _bare(_read("eccite_pbmc_ctrl/rna")), "protein": _bare(protein)}), {}


def _citeseq(seed: int, limit: int) -> tuple[Any, dict[str, np.ndarray]]:
    rna = _read("pbmc_citeseq_10x/pbmc5k_200cells")
    tags = sp.csr_matrix(np.asarray(rna.obsm["protein_counts"], dtype=np.float32))
    protein = ad.AnnData(X=tags, obs=rna.obs[[]].copy())
    protein.var_names = [f"{name} (protein)" for name in rna.uns["protein_names"]]
    return md.MuData({"rna": _bare(rna), "protein": protein}), {}


def _asap(seed: int, limit: int) -> tuple[Any, dict[str, np.ndarray]]:
    protein = _read("asap_cite_pbmc_adt/adt_4batches")
    return md.MuData({"protein": _bare(protein)}), {
        "cell type": protein.obs["coarse_cluster"].astype(str).to_numpy(),
        "stimulation": protein.obs["assay_condition"].astype(str).to_numpy(),
    }


def _papalexi(seed: int, limit: int) -> tuple[Any, dict[str, np.ndarray]]:
    rna = _read("papalexi_thp1/rna_299genes")
    rna = rna[rna.obs["grna_top_frac"] > 0.8].copy()
    target = rna.obs["target_top"].astype(str).to_numpy()
    # The interferon pathway's, which differ from the controls, and as many others; a cell of another knock-out asks
    # nothing but is seen.
    asked = np.isin(target, ["IFNGR1", "IFNGR2", "JAK2", "STAT1", "SMAD4", "IRF1", "CUL3", "BRD4", "non-targeting"])
    return md.MuData({"rna": _bare(rna)}), {"knock-out": np.where(asked, target, "")}


CELLS: dict[str, Callable[[int, int], tuple[Any, dict[str, np.ndarray]]]] = {
    "simulator": _simulated,
    "snare": _snare,
    "scicar": _scicar,
    "eccite": _eccite,
    "citeseq": _citeseq,
    "asap": _asap,
    "papalexi": _papalexi,
}
"""How each data set is read, by name."""


def _read(path: str) -> ad.AnnData:
    found = ad.read_h5ad(Path(os.environ["WADDINGTON_DATA"]) / f"{path}.h5ad")
    found.var_names = [str(one).removeprefix("hg19_") for one in found.var_names]
    found.var_names_make_unique()
    return found


def _bare(data: ad.AnnData) -> ad.AnnData:
    return ad.AnnData(X=data.X.copy(), obs=data.obs[[]].copy(), var=data.var[[]].copy())


def _frequent(values: np.ndarray) -> np.ndarray:
    """Blank labels that too few cells bear to be learned and tested."""
    if values.dtype.kind == "f":
        return values
    names, counts = np.unique(values, return_counts=True)
    return np.where(np.isin(values, names[counts >= _FEWEST]), values, "")
