"""Preprocessing of an AnnData or MuData, in place: split, normalization and components, neighbours.

Functions write the keys of the table in ``docs/keys.md`` and return None, or the changed copy with ``copy=True``. A key
that another tool wrote is never replaced unless ``overwrite=True`` says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import anndata as ad
import numpy as np

from waddington._checks import check_in_range, check_parameters
from waddington.errors import DataError
from waddington.twin._keys import check_free, note, put, record, recorded
from waddington.twin.data.modalities import COUNTS_LAYER, VALUES_LAYER
from waddington.twin.data.setup import UNLABELLED, Cells, check_data, gather, parts_of, read_labels, registered
from waddington.twin.data.splits import draw_train_cells, split_by_condition, split_by_time
from waddington.twin.preprocess.cells import representation_key, representations
from waddington.twin.preprocess.depth import depth_notes
from waddington.twin.preprocess.fitting import Options
from waddington.twin.preprocess.graph import joint_graph
from waddington.twin.preprocess.preprocessor import REDUCED, Preprocessor

__all__ = ["neighbors", "preprocess", "split"]


def split(
    data: Cells, *, test_fraction: float = 0.2, seed: int = 0, overwrite: bool = False, copy: bool = False
) -> Cells | None:
    """Hold cells and conditions out, for :func:`waddington.twin.tl.evaluate`; called before :func:`preprocess`.

    With perturbations: half of the doubles, some singles and a share of the cells of everything else; with observed
    times, or with neither: a share of the cells.

    Parameters
    ----------
    data
        AnnData or MuData.
    test_fraction
        Share of the cells of each seen condition that is held out.
    seed
        Of the draw.
    overwrite, copy
        As everywhere here: whether another tool's keys may be replaced, and whether a changed copy is given back.

    Raises
    ------
    DataError
        When ``obs["split"]`` is there already and not ours, or too few cells are left to judge on.
    """
    check_in_range("test_fraction", test_fraction, 0.0, 1.0, open_low=True, open_high=True)
    check_data(data)
    check_free(data, "obs", ["split"], overwrite=overwrite)
    data = data.copy() if copy else data
    labels = read_labels(data)
    known = labels.condition != UNLABELLED
    if labels.perturbed:
        train = split_by_condition(labels.condition[known], test_fraction=test_fraction, seed=seed).train
    elif labels.time is not None and len(np.unique(labels.time[np.isfinite(labels.time)])) > 1:
        train = split_by_time(labels.time[known], test_fraction=test_fraction, seed=seed).train
    else:
        train = draw_train_cells(int(known.sum()), test_fraction=test_fraction, seed=seed)
    words = np.full(data.n_obs, "none", dtype=object)
    words[known] = np.where(train, "train", "test")
    put(data, "obs", "split", words, writer="pp.split")
    return data if copy else None


def preprocess(data: Cells, *, overwrite: bool = False, copy: bool = False, **parameters: Any) -> Cells | None:
    """Normalize every modality, select features and compute components, learned from training cells.

    RNA is scaled to a common total and logged, ATAC weighed by TF-IDF, protein gets centred log ratios; values that
    were registered as they are (``normalization="none"``) stay. Training cells are those of ``obs["split"]``, where
    there is such a column, or else all. Counts are found in a layer, in ``X`` or in ``raw.X``.

    Parameters
    ----------
    data
        AnnData of one modality, or MuData.
    overwrite
        Whether what another tool wrote may be replaced: normalized values in ``X``, ``obsm["X_pca"]``,
        ``var["highly_variable"]``.
    copy
        Whether to leave `data` as it is and give back a changed copy.
    **parameters
        Of :class:`~waddington.twin.preprocess.Preprocessor`: ``n_top_genes``, ``n_pcs``, ``target_sum``, …

    Writes
    ------
    In each modality ``X``, ``layers["counts"]`` where it is missing, ``obsm["X_pca"]`` (ATAC: ``obsm["X_lsi"]``),
    ``var["highly_variable"]``, ``var["train_mean"]``, ``var["train_std"]``, ``uns["waddington"]["preprocess"]``.

    Raises
    ------
    UnknownNameError
        For a parameter that there is not.
    DataError
        When a modality holds no counts, or a key is another tool's; says what is accepted.
    """
    check_data(data)
    check_parameters(
        "twin.pp.preprocess", preprocess, parameters, [field.name for field in dataclasses.fields(Options)]
    )
    fitted = Preprocessor(**parameters)
    setup = registered(data)
    labels = read_labels(data, setup)
    work = gather(data, setup)
    if fitted.options.size_factor_key is not None:
        work.obs = data.obs.copy()
    for modality, part in parts_of(data).items():
        _check_room(part, modality, overwrite=overwrite, as_given=VALUES_LAYER in work.mod[modality].layers)
    data = data.copy() if copy else data
    fitted.fit(work, labels.train).transform(work)
    for modality, part in parts_of(data).items():
        made = work.mod[modality]
        for layer in (COUNTS_LAYER, VALUES_LAYER):
            if layer in made.layers and layer not in part.layers:
                put(part, "layers", layer, made.layers[layer], writer="pp.preprocess")
        part.X = made.X
        record(part).setdefault("keys", {})["X"] = "pp.preprocess"
        put(part, "obsm", REDUCED[modality], made.obsm[REDUCED[modality]], writer="pp.preprocess")
        for column in _COLUMNS:
            put(part, "var", column, made.var[column].to_numpy(), writer="pp.preprocess")
        record(part)["preprocess"] = record(made)["preprocess"]
    note(data, *record(work)["notes"], *labels.notes, *depth_notes(work, fitted.fitted, fitted.options))
    return data if copy else None


def neighbors(
    data: Cells,
    *,
    n_neighbors: int = 15,
    use_rep: str | Mapping[str, str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    copy: bool = False,
) -> Cells | None:
    """Build the graph over all modalities: weighted nearest neighbours (Hao et al. 2021).

    Parameters
    ----------
    data
        AnnData or MuData after :func:`preprocess`, or with scanpy's components in ``obsm``.
    n_neighbors
        Neighbours of a cell.
    use_rep
        Key of ``obsm`` in which neighbours are sought, for all modalities or by modality; by default
        ``X_pca``, of ATAC ``X_lsi``.
    seed
        Of the approximate search.
    overwrite, copy
        As in :func:`preprocess`.

    Writes
    ------
    ``obsp["twin_connectivities"]``, of a MuData ``obsm["twin_weights"]``, and ``uns["waddington"]["neighbors"]``.

    Raises
    ------
    DataError
        When a representation is missing, or a key is another tool's.
    """
    check_data(data)
    check_free(data, "obsp", ["twin_connectivities"], overwrite=overwrite)
    check_free(data, "obsm", ["twin_weights"], overwrite=overwrite)
    data = data.copy() if copy else data
    parts = parts_of(data)
    places = representations(parts, use_rep=use_rep)
    connectivities, weights = joint_graph(places, n_neighbors=n_neighbors, seed=seed)
    put(data, "obsp", "twin_connectivities", connectivities, writer="pp.neighbors")
    if not isinstance(data, ad.AnnData):
        put(data, "obsm", "twin_weights", weights, writer="pp.neighbors")
    keys = {name: representation_key(part, name, use_rep) for name, part in parts.items()}
    record(data)["neighbors"] = {"n_neighbors": n_neighbors, "seed": seed, "use_rep": keys}
    return data if copy else None


_COLUMNS = ("highly_variable", "train_mean", "train_std")


def _check_room(part: ad.AnnData, modality: str, *, overwrite: bool, as_given: bool) -> None:
    """Refuse before any work what another tool wrote where results of preprocessing go."""
    of = f" of {modality}"
    check_free(part, "obsm", [REDUCED[modality]], overwrite=overwrite, of=of)
    check_free(part, "var", _COLUMNS, overwrite=overwrite, of=of)
    if part.X is None or overwrite or as_given or "X" in recorded(part).get("keys", {}):
        return
    entries = part.X.data if hasattr(part.X, "indptr") else np.asarray(part.X).ravel()
    if (entries != np.rint(entries)).any():
        raise DataError(
            f"cannot write X{of}: it holds values that are no counts, and the twin did not write them; accepted: "
            "overwrite=True to replace them, or leave this step out: twin.tl works on what scanpy left"
        )
