"""What models are given of cells that were preprocessed, by :class:`Preprocessor` or by scanpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin._keys import recorded
from waddington.twin.data.io.counts import COUNT_LAYERS
from waddington.twin.data.modalities import COUNTS_LAYER, TITLES, VALUES_LAYER
from waddington.twin.preprocess.preprocessor import REDUCED

__all__ = ["ModelCells", "Profiles", "model_cells", "profiles", "representation_key", "representations"]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Profiles:
    """Normalized values of the features that models see, by modality."""

    inputs: dict[str, Float]
    """(cells, features)."""
    names: dict[str, npt.NDArray[np.str_]]
    """Names of the features."""
    notes: tuple[str, ...] = ()
    """What was used of what another tool left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelCells:
    """What an encoder and a response model learn from, by modality; all of the same cells in the same order."""

    inputs: dict[str, Float]
    """Normalized profiles of the features that models see, (cells, features)."""
    counts: dict[str, sp.csr_matrix]
    """Raw counts of the same features; the profiles themselves where a modality is taken as given."""
    representations: dict[str, Float]
    """Where neighbours are sought, (cells, components)."""
    names: dict[str, npt.NDArray[np.str_]]
    """Names of the same features."""
    as_given: tuple[str, ...]
    """Modalities without counts: their noise is Gaussian."""
    notes: tuple[str, ...] = ()
    """What was used of what another tool left."""


def model_cells(
    parts: Mapping[str, ad.AnnData], *, use_rep: str | Mapping[str, str] | None = None, layer: str | None = None
) -> ModelCells:
    """Take what models see out of preprocessed modalities.

    A modality that the twin did not preprocess is taken as scanpy leaves it: normalized values in ``X``, of the
    features that ``var["highly_variable"]`` marks or else of all, counts in a layer of its own where there is one, and
    components in ``obsm``.

    Parameters
    ----------
    parts
        By modality; not changed.
    use_rep
        Key of ``obsm`` in which neighbours are sought, for all modalities or by modality.
    layer
        The layer of counts; None looks for its usual names.

    Raises
    ------
    DataError
        When a modality was not preprocessed, or a key is missing; says what is accepted.
    """
    places = representations(parts, use_rep=use_rep)
    found = profiles(parts)
    counts, as_given, notes = {}, [], list(found.notes)
    for modality, part in parts.items():
        counted = next((name for name in (layer, *COUNT_LAYERS) if name in part.layers), None)
        if counted is None or VALUES_LAYER in part.layers:
            as_given.append(modality)
            counts[modality] = sp.csr_matrix(found.inputs[modality])
            notes.append(f"{TITLES[modality]}: no layer of counts, values in X are learned with Gaussian noise")
        else:
            counts[modality] = sp.csr_matrix(part.layers[counted][:, _seen(part)], dtype=np.float32)
    return ModelCells(
        inputs=found.inputs,
        counts=counts,
        representations=places,
        names=found.names,
        as_given=tuple(as_given),
        notes=tuple(notes),
    )


def profiles(parts: Mapping[str, ad.AnnData], *, names: Mapping[str, Sequence[str]] | None = None) -> Profiles:
    """Take normalized values of the features that models see out of preprocessed modalities.

    Parameters
    ----------
    parts
        By modality; not changed.
    names
        Take these modalities and features, in this order; by default what the modalities themselves mark.

    Raises
    ------
    DataError
        When a modality was not normalized, or lacks a feature; says what is accepted.
    """
    if names is not None:
        return _named_profiles(parts, names)
    inputs, found, notes = {}, {}, []
    for modality, part in parts.items():
        if "preprocess" not in recorded(part):
            notes.append(_check_normalized(part, modality))
        values = part.X[:, _seen(part)]
        dense = values.toarray() if hasattr(values, "toarray") else values
        inputs[modality] = np.ascontiguousarray(dense, dtype=np.float32)
        found[modality] = np.asarray(part.var_names, dtype=np.str_)[_seen(part)]
        _check_names(found[modality], modality)
    return Profiles(inputs=inputs, names=found, notes=tuple(notes))


def _named_profiles(parts: Mapping[str, ad.AnnData], names: Mapping[str, Sequence[str]]) -> Profiles:
    inputs = {}
    for modality, wanted in names.items():
        if modality not in parts:
            raise DataError(
                f"cannot use cells without {modality}: found {', '.join(parts)}; accepted are all modalities"
            )
        part = parts[modality]
        _check_names(part.var_names[part.var_names.isin(list(wanted))], modality)
        at = part.var_names.get_indexer_for(list(wanted))
        if (at < 0).any():
            raise DataError(
                f"cannot use {modality}: {int((at < 0).sum())} of {counted(len(at), 'fitted feature')} missing, the "
                f"first is {wanted[int(np.argmin(at))]!r}; accepted are all of them, in any order and with others "
                "beside them"
            )
        if "preprocess" not in recorded(part):
            _check_normalized(part, modality)
        values = part.X[:, at]
        inputs[modality] = np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float32)
    return Profiles(inputs=inputs, names={name: np.asarray(wanted, dtype=np.str_) for name, wanted in names.items()})


def _check_names(names: Any, modality: str) -> None:
    """Refuse a name of two features: which of them an answer is about could not be told."""
    found, times = np.unique(np.asarray(names, dtype=np.str_), return_counts=True)
    if (times > 1).any():
        raise DataError(
            f"cannot use {modality}: found {counted(int((times > 1).sum()), 'name')} of more than one feature, the "
            f"first is {str(found[times > 1][0])!r}; accepted: each name once, as after var_names_make_unique()"
        )


def _seen(part: ad.AnnData) -> npt.NDArray[np.bool_]:
    """Mark the features that models see: the highly variable ones, or all where nothing marks any."""
    if "highly_variable" not in part.var:
        return np.ones(part.n_vars, dtype=bool)
    seen = np.asarray(part.var["highly_variable"], dtype=bool)
    if not seen.any():
        raise DataError("cannot use these features: var['highly_variable'] marks none; accepted is at least one")
    return seen


def representations(
    parts: Mapping[str, ad.AnnData], *, use_rep: str | Mapping[str, str] | None = None
) -> dict[str, Float]:
    """Give the coordinates in which neighbours are sought, by modality.

    A cell without a single count has no place among the others: its row is NaN.

    Raises
    ------
    DataError
        When there are none in a modality; lists what ``obsm`` has.
    """
    if use_rep is not None and not isinstance(use_rep, str | Mapping):
        raise ArgumentError(f"cannot use use_rep {use_rep!r}: accepted is a key of obsm, or one by modality")
    if isinstance(use_rep, Mapping) and (unknown := [name for name in use_rep if name not in parts]):
        raise ArgumentError(f"cannot use use_rep of {', '.join(unknown)}: modalities are {', '.join(parts)}")
    found = {}
    for modality, part in parts.items():
        key = representation_key(part, modality, use_rep)
        place = np.asarray(part.obsm[key], dtype=np.float32)
        empty = np.zeros(len(place), dtype=bool)
        if COUNTS_LAYER in part.layers and VALUES_LAYER not in part.layers:
            empty = np.asarray(part.layers[COUNTS_LAYER].sum(axis=1)).ravel() == 0
        found[modality] = np.where(empty[:, None], np.float32(np.nan), place)
    return found


def representation_key(part: ad.AnnData, modality: str, use_rep: str | Mapping[str, str] | None) -> str:
    """Name the key of ``obsm`` that holds a modality's representation.

    Raises
    ------
    DataError
        When it is missing.
    """
    named = use_rep.get(modality) if isinstance(use_rep, Mapping) else use_rep
    known = [named] if named else [REDUCED[modality], "X_pca", "X_lsi"]
    key = next((name for name in known if name in part.obsm), None)
    if key is None:
        have = ", ".join(map(repr, part.obsm)) or "none"
        what = f"the representation {named!r} of {modality}" if named else modality
        raise DataError(
            f"cannot use {what}: found no obsm[{known[0]!r}] (keys found: {have}); accepted is data after "
            "twin.pp.preprocess, or after scanpy's sc.pp.normalize_total, sc.pp.log1p and sc.pp.pca"
        )
    return key


def _check_normalized(part: ad.AnnData, modality: str) -> str:
    """Refuse raw counts in X where nobody says that they were normalized; else say what is used."""
    values: Any = part.X
    if values is None:
        raise DataError(f"cannot use {modality}: found no X; accepted are normalized values, or twin.pp.preprocess")
    entries = values.data if hasattr(values, "indptr") else np.asarray(values).ravel()
    if not np.isfinite(entries).all():
        raise DataError(f"cannot use X of {modality}: found NaN or infinity; accepted are finite numbers")
    if entries.size and (entries >= 0).all() and (np.rint(entries) == entries).all():
        raise DataError(
            f"cannot use X of {modality}: it holds raw counts; accepted is data after twin.pp.preprocess, or after "
            "scanpy's sc.pp.normalize_total and sc.pp.log1p"
        )
    chosen = "highly variable features" if "highly_variable" in part.var else "all features"
    return f"{TITLES[modality]}: {chosen} of X as another tool normalized it"
