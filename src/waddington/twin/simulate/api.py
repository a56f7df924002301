"""One call that simulates a perturbation screen of differentiating myeloid cells, with its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from waddington._checks import check_in_range
from waddington.twin.data.conditions import Condition, condition_label, make_condition
from waddington.twin.data.modalities import COUNTS_LAYER, MODALITIES
from waddington.twin.simulate.cascade import Wiring
from waddington.twin.simulate.cells import grow
from waddington.twin.simulate.design import default_conditions, lay_out_screen
from waddington.twin.simulate.fates import STATE_NAMES, classify, progress
from waddington.twin.simulate.observation import BatchEffects, NoiseModel, count_fragments, count_messengers, count_tags
from waddington.twin.simulate.truth import HOURS, mean_changes, natural_units

__all__ = ["simulate"]

Array = npt.NDArray[np.float32]


def simulate(
    *,
    n_cells: int = 5000,
    n_genes: int = 200,
    n_peaks: int = 400,
    n_proteins: int = 24,
    conditions: Sequence[Condition] | None = None,
    control_fraction: float = 0.4,
    hours: Sequence[float] = HOURS,
    n_batches: int = 2,
    noise: NoiseModel | None = None,
    n_truth_cells: int = 120,
    seed: int = 0,
    wiring_seed: int = 0,
) -> md.MuData:
    """Simulate paired RNA, ATAC and protein counts of perturbed, differentiating myeloid cells.

    Progenitors are edited, left to differentiate along the network of Krumsiek et al. 2011 and harvested at several
    hours; every cell keeps its own pace. Names of markers are real, all numbers are invented.

    Parameters
    ----------
    n_cells
        Cells in all.
    n_genes
        Genes, the 11 regulators included.
    n_peaks, n_proteins
        Peaks and surface proteins; 0 leaves the modality out.
    conditions
        What cells receive; None takes :func:`~waddington.twin.datasets.default_conditions` (control, 19 singles, 12
        doubles). Genes must be regulators, modes knockout, knockdown, activation or overexpression.
    control_fraction
        Part of the cells that stay unperturbed, where control is among the conditions.
    hours
        Hours of harvest; every condition is spread evenly over them.
    n_batches
        Batches, into which every condition is spread evenly.
    noise
        The count model; None takes the defaults of :class:`NoiseModel`.
    n_truth_cells
        Paired counterfactual cells behind each true mean change in ``uns``; 0 leaves those out.
    seed
        Of cells and counts. The same arguments give the same bits.
    wiring_seed
        Of what lies downstream of the regulators: another number is another genome, another ``seed`` another
        experiment.

    Returns
    -------
    mudata.MuData
        Modalities ``rna``, ``atac``, ``protein``, each with counts in ``X`` and ``layers["counts"]`` (CSR, float32) and
        the noise-free profile in ``layers["truth"]`` (RNA: molecules per ten thousand; ATAC: probability that the site
        is open; protein: tags per ten thousand without background). ``obs``: ``perturbation``, ``perturbation_mode``,
        ``time`` (hours), ``batch``, ``cell_type`` (nearest of four fates and the progenitor, edited genes not counted),
        ``true_pseudotime`` in [0, 1]. ``obsm["regulators"]``: their true concentrations. ``uns["simulation"]``:
        arguments, ``conditions`` and, for each modality, ``true_response`` and ``true_response_log1p`` of shape
        (conditions, features).

    Raises
    ------
    ArgumentError
        When a number is outside its range, or there are fewer cells than conditions.
    UnknownNameError
        When a condition names a gene that is not a regulator.
    UnsupportedError
        When a condition's mode has no meaning for a gene network.

    Examples
    --------
    >>> from waddington.twin.datasets import simulate
    >>> mdata = simulate(n_cells=200, n_genes=60, n_peaks=80, n_proteins=10, n_truth_cells=0)
    >>> mdata["rna"].shape
    (200, 60)
    """
    check_in_range("n_truth_cells", n_truth_cells, 0)
    check_in_range("seed", seed, 0)
    check_in_range("wiring_seed", wiring_seed, 0)
    noise = noise or NoiseModel()
    screen = default_conditions() if conditions is None else tuple(make_condition(one) for one in conditions)
    wiring = Wiring.draw(n_genes=n_genes, n_peaks=n_peaks, n_proteins=n_proteins, seed=wiring_seed)
    rng = np.random.default_rng([seed, 2])
    obs, codes = lay_out_screen(
        n_cells, screen, control_fraction=control_fraction, hours=hours, n_batches=n_batches, rng=rng
    )

    truths: dict[str, list[Array]] = {name: [] for name in MODALITIES}
    counts: dict[str, list[sparse.csr_matrix]] = {name: [] for name in MODALITIES}
    regulators = np.empty((n_cells, wiring.genes.n_regulators), dtype=np.float32)
    types, pseudotime = np.empty(n_cells, dtype=np.int64), np.empty(n_cells, dtype=np.float32)
    effects = BatchEffects.draw((n_genes, n_peaks, n_proteins), n_batches, noise.batch_effect, rng)
    batch = obs["batch"].cat.codes.to_numpy()
    soup: Array | None = None
    for block, cells in grow(wiring, screen, codes, obs["time"].to_numpy(np.float32), seed=seed):
        regulators[block] = cells.regulators.T
        types[block] = classify(cells.regulators, cells.touched)
        pseudotime[block] = progress(cells.regulators)
        rna, atac, protein = (cells.profiles[name] for name in MODALITIES)
        if soup is None:
            # Cells are in random order, so the first block stands for the whole suspension.
            soup = rna.mean(axis=1) / max(float(rna.mean(axis=1).sum()), 1e-12)
        here = batch[block]
        counts["rna"].append(count_messengers(rna, effects.rna[:, here], soup, noise, rng))
        counts["atac"].append(count_fragments(atac, effects.atac[:, here], wiring.peaks.scale, noise, rng))
        counts["protein"].append(count_tags(protein, effects.protein[:, here], wiring.proteins.background, noise, rng))
        for name, profile in natural_units(cells.profiles).items():
            truths[name].append(np.ascontiguousarray(profile.T))

    obs["cell_type"] = pd.Categorical(np.array(STATE_NAMES, dtype=object)[types], categories=list(STATE_NAMES))
    obs["true_pseudotime"] = pseudotime
    variables = _variables(wiring)
    mods = {
        name: _modality(
            sparse.vstack(counts[name], format="csr"), np.concatenate(truths[name]), obs.index, variables[name]
        )
        for name in MODALITIES
        if len(variables[name])
    }
    with md.set_options(pull_on_update=False):
        mdata = md.MuData(mods)
    for column in obs:
        mdata.obs[column] = obs[column]
    mdata.obsm["regulators"] = regulators
    mdata.uns["simulation"] = {
        "n_cells": n_cells, "n_genes": n_genes, "n_peaks": n_peaks, "n_proteins": n_proteins, "n_batches": n_batches,
        "control_fraction": control_fraction, "hours": np.asarray(hours, dtype=np.float64), "noise": asdict(noise),
        "n_truth_cells": n_truth_cells, "seed": seed, "wiring_seed": wiring_seed,
        "regulators": np.array(wiring.genes.names[: wiring.genes.n_regulators], dtype=object),
        "conditions": np.array([condition_label(one) for one in screen], dtype=object),
        **_truth(wiring, screen, hours, n_truth_cells, seed, tuple(mods)),
    }  # fmt: skip
    return mdata


def _truth(
    wiring: Wiring, screen: Sequence[Condition], hours: Sequence[float], n_cells: int, seed: int, kept: Sequence[str]
) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
    if not n_cells:
        return {}
    linear, log1p = mean_changes(wiring, screen, hours, n_cells=n_cells, seed=seed)
    return {
        "true_response": {name: linear[name] for name in kept},
        "true_response_log1p": {name: log1p[name] for name in kept},
    }


def _variables(wiring: Wiring) -> dict[str, pd.DataFrame]:
    """Describe the features of each modality."""
    genes, peaks, proteins = wiring.genes, wiring.peaks, wiring.proteins
    linked = [genes.names[row] if row >= 0 else "" for row in peaks.genes]
    return {
        "rna": pd.DataFrame(
            {"feature_types": "Gene Expression", "kind": genes.kinds, "program": genes.programs},
            index=list(genes.names),
        ),
        "atac": pd.DataFrame({"feature_types": "Peaks", "kind": peaks.kinds, "gene": linked}, index=list(peaks.names)),
        "protein": pd.DataFrame(
            {"feature_types": "Antibody Capture", "gene": [genes.names[row] for row in proteins.genes]},
            index=list(proteins.names),
        ),
    }


def _modality(counts: sparse.csr_matrix, truth: Array, cells: pd.Index, var: pd.DataFrame) -> Any:
    adata = ad.AnnData(X=counts, obs=pd.DataFrame(index=cells), var=var)
    adata.layers[COUNTS_LAYER] = counts.copy()
    adata.layers["truth"] = truth
    return adata
