"""Links between peaks and genes, or surface proteins and genes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._checks import check_choice, check_count, check_in_range
from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin.data.setup import check_data, parts_of
from waddington.twin.embed.reading import attention_weights, joint_loadings
from waddington.twin.links import FOUND, averaging, implied_correlation, judge, near_pairs, places, smoothed_correlation
from waddington.twin.models.twin import Twin
from waddington.twin.preprocess.cells import ModelCells, model_cells

__all__ = ["links"]

Floats = npt.NDArray[np.float64]


def links(
    data: md.MuData,
    *,
    modality: str | None = None,
    candidates: pd.DataFrame | None = None,
    window: int = 250_000,
    method: Literal["correlation", "read-out", "attention"] = "correlation",
    model: Twin | None = None,
    n_neighbors: int = 10,
    fdr: float = 0.05,
    permutations: int = 3,
    keep: Literal["linked", "all"] = "linked",
    seed: int = 0,
) -> pd.DataFrame:
    """Find peaks, or surface proteins, that go with genes from cell to cell.

    A link is no mechanism: it says that cells with more of the one have more of the other, beyond sequencing depth,
    beyond what unpaired cells give, and beyond what other pairs of the same two partners give. Genes that one regulator
    drives share its peaks; only a list of candidates tells these apart (docs/embeddings.md has what it is worth).

    Parameters
    ----------
    data
        MuData with RNA and another modality of the same cells, after :func:`waddington.twin.pp.preprocess`, or after
        scanpy's ``normalize_total``, ``log1p`` and ``pca``; not changed. Features that models see are looked at.
    modality
        ``"atac"`` or ``"protein"``; by default the only one beside RNA.
    candidates
        Table of the pairs that may be links, with columns ``feature`` and ``gene``; further columns are kept, those
        of an earlier result excepted. By default pairs within `window`, where the places of both are known, or else
        all pairs. Places are read from ``chromosome``, ``start`` and ``end`` in ``var``, of genes, too, or from names
        such as ``chr1:100-200`` (:func:`~waddington.twin.links.places`). Peaks without places get a UserWarning.
    window
        Most bases between a peak and a gene.
    method
        ``"correlation"``: over averages of neighbouring cells, depth taken out. ``"attention"``: the same over the
        cells that a trained `model` attends to. ``"read-out"``: of what the joint decoders of `model` make of these
        cells; it has no null of unpaired cells.
    model
        A trained :class:`~waddington.twin.Twin`, for the last two.
    n_neighbors
        Cells in an average besides the cell itself, sought in the representation of RNA.
    fdr
        Expected share of links that are none.
    permutations
        Times that cells are unpaired at random for the null.
    keep
        ``"linked"``: links alone; ``"all"``: every candidate, with what was found.
    seed
        Of the permutations.

    Returns
    -------
    pandas.DataFrame
        feature, gene, columns of the candidates (distance in bases), score (Pearson's r), null (the score that the
        share `fdr` of unpaired cells' pairs exceeds), z (how far the pair stands out among those of its feature and
        gene), p_value, q_value, linked; best first. ``attrs``: method, modality, how many pairs were ``tested`` and
        ``linked``, what was asked (``pairs``), and how many candidates were ``left_out`` as no such features are here.

    Raises
    ------
    ArgumentError
        Without a trained model for ``"attention"`` or ``"read-out"``, or for a number outside its range.
    DataError
        When there are not two modalities, data were not preprocessed, a value is not finite, or no candidate is among
        the features.
    """
    check_data(data)
    check_choice("method", method, ("correlation", "read-out", "attention"))
    check_choice("keep", keep, ("linked", "all"))
    check_count("window", window, 0)
    check_count("n_neighbors", n_neighbors, 1)
    check_count("permutations", permutations, 1)
    check_in_range("fdr", fdr, 0.0, 1.0, open_low=True, open_high=True)
    other = _other(data, modality)
    parts = {name: part for name, part in parts_of(data).items() if name in ("rna", other)}
    if method == "correlation":
        cells = model_cells(parts)
    elif model is None:
        raise ArgumentError(f"cannot score by {method} without a model: accepted is model= a trained Twin")
    else:
        cells = model.prepared(data)
    _check_finite(cells, other)
    marked, table, asked, left_out = _candidates(cells, parts, other, candidates, window)
    unpaired: Floats | None = None
    if method == "read-out" and model is not None:
        scores = _read_out(model, cells, other)
    else:
        if method == "attention" and model is not None:
            averages = attention_weights(model.encoder, cells.inputs, cells.representations)
        else:
            averages = averaging(cells.representations["rna"], n_neighbors=min(n_neighbors, data.n_obs - 1), seed=seed)
        scores, unpaired = _correlated(cells, other, averages, permutations=permutations, seed=seed)
    found = pd.concat([table, judge(scores, marked, unpaired=unpaired, fdr=fdr)], axis=1)
    attrs: dict[Any, Any] = {
        "method": method,
        "modality": other,
        "pairs": asked,
        "tested": len(found),
        "left_out": left_out,
    }
    shown = found if keep == "all" else found[found["linked"]]
    shown = shown.sort_values(["q_value", "z"], ascending=[True, False], kind="stable").reset_index(drop=True)
    shown.attrs = {**attrs, "linked": int(found["linked"].sum())}
    return shown


def _other(data: md.MuData, modality: str | None) -> str:
    have = list(parts_of(data))
    others = [name for name in have if name != "rna"]
    if "rna" not in have or not others:
        raise DataError(f"cannot link {', '.join(have)} alone: accepted is a MuData of rna and another modality")
    if modality is None and len(others) > 1:
        raise ArgumentError(f"cannot choose a modality: found {', '.join(others)}; accepted is modality= one of them")
    if modality is not None:
        check_choice("modality", modality, others)
    return modality or others[0]


def _check_finite(cells: ModelCells, other: str) -> None:
    """Refuse NaN and infinity, one of which would leave every pair without a score."""
    for name in ("rna", other):
        depth = np.asarray(cells.counts[name].sum(axis=1)).ravel()
        for what, finite in (("profiles", np.isfinite(cells.inputs[name]).all(axis=1)), ("counts", np.isfinite(depth))):
            if not finite.all():
                spoiled = counted(int((~finite).sum()), "cell")
                raise DataError(
                    f"cannot link {name}: found NaN or infinity in the {what} of {spoiled}; accepted are numbers"
                )


def _candidates(
    cells: ModelCells, parts: Mapping[str, ad.AnnData], other: str, candidates: pd.DataFrame | None, window: int
) -> tuple[npt.NDArray[np.bool_], pd.DataFrame, str, int]:
    """Mark the pairs that may be links; list them in the order of the marks, and say what they are."""
    features, genes = pd.Index(cells.names[other]), pd.Index(cells.names["rna"])
    asked = "as given"
    if candidates is None:
        where = [places(parts[name].var) for name in (other, "rna")]
        where = [one[one.index.isin(names)] for one, names in zip(where, (features, genes), strict=True)]
        lacking = [name for name, one in zip((other, "rna"), where, strict=True) if one.empty]
        if other == "atac" and lacking:
            warnings.warn(
                f"no places in var of {' and of '.join(lacking)}: every peak is tried with every gene, over all "
                "chromosomes, so that a link means no more than that the two vary together; chromosome, start and end, "
                "or candidates=, keep to pairs that lie near",
                UserWarning,
                stacklevel=3,
            )
        if other != "atac" or lacking:
            marked = np.ones((len(features), len(genes)), dtype=bool)
            pairs = pd.DataFrame({"feature": np.repeat(features, len(genes)), "gene": np.tile(genes, len(features))})
            return marked, pairs, "all", 0
        candidates, asked = near_pairs(*where, window=window), f"within {window:,} bases"
        if candidates.empty:
            raise DataError(f"cannot link with window={window}: no peak is so near a gene; accepted is a wider one")
    if not isinstance(candidates, pd.DataFrame):
        raise ArgumentError(
            f"cannot use candidates of type {type(candidates).__name__}: accepted is a DataFrame with columns feature "
            "and gene"
        )
    if missing := {"feature", "gene"} - set(candidates.columns):
        raise DataError(f"cannot use candidates without columns {sorted(missing)}: accepted are feature and gene")
    row, column = features.get_indexer(pd.Index(candidates["feature"])), genes.get_indexer(pd.Index(candidates["gene"]))
    known = (row >= 0) & (column >= 0)
    if not known.any():
        raise DataError(
            f"cannot link: none of {counted(len(known), 'candidate')} ({asked}) is a pair of features that models see; "
            f"accepted are pairs such as {features[0]!r} and {genes[0]!r}"
        )
    at, first = np.unique(row[known] * len(genes) + column[known], return_index=True)
    kept = candidates.columns[~candidates.columns.isin(FOUND)]
    table = candidates.loc[known, kept].take(first)
    marked = np.zeros((len(features), len(genes)), dtype=bool)
    marked.ravel()[at] = True
    return marked, table.reset_index(drop=True), asked, int((~known).sum())


def _correlated(cells: ModelCells, other: str, averages: Any, *, permutations: int, seed: int) -> tuple[Floats, Floats]:
    """Score pairs on these cells, and on cells whose other modality is another cell's."""
    depth = {name: np.log1p(np.asarray(cells.counts[name].sum(axis=1)).ravel()) for name in ("rna", other)}

    def scored(order: npt.NDArray[np.intp]) -> Floats:
        covariates = np.column_stack([depth["rna"], depth[other][order]])
        return smoothed_correlation(
            cells.inputs[other][order], cells.inputs["rna"], averages=averages, covariates=covariates
        )

    rng, n = np.random.default_rng(seed), len(cells.inputs["rna"])
    return scored(np.arange(n)), np.stack([scored(rng.permutation(n)) for _ in range(permutations)])


def _read_out(model: Twin, cells: ModelCells, other: str) -> Floats:
    """Score pairs by what a model's joint decoders make of these cells."""
    embedding = model.encoder.embed(cells.inputs, cells.representations)["joint"]
    features, genes = joint_loadings(model.encoder, other), joint_loadings(model.encoder, "rna")
    return implied_correlation(features, genes, embedding)
