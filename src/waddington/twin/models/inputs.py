"""What a response model learns from, read out of an AnnData or MuData: profiles, conditions, representation, groups."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import numpy.typing as npt

from waddington._text import counted
from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.twin.data.setup import Cells, Labels, Setup, parts_of, read_labels
from waddington.twin.data.splits import Split
from waddington.twin.preprocess.cells import profiles
from waddington.twin.respond.base import ResponseModel, Values
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.respond.registry import DEFAULT_MODEL

__all__ = ["ResponseInputs", "default_model", "groups_of", "latent_of", "response_inputs", "split_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseInputs:
    """All cells, of which the split marks those of training."""

    values: Values
    """Normalized profiles by modality; or the representation itself, where effects are predicted in that."""
    names: dict[str, npt.NDArray[np.str_]]
    """Names of the features."""
    split: Split
    representation: npt.NDArray[np.float32] | None
    """(cells, dimensions), where the model learns in one."""
    groups: npt.NDArray[np.str_] | None
    """(cells,)."""
    notes: tuple[str, ...] = ()
    """Columns that bear a usual name and could not be read."""


def default_model(use_rep: str | None) -> str:
    """Name the model where a user names none: one that learns in the representation, where there is one."""
    return DEFAULT_MODEL if use_rep is None else DecodedResponse.name


def response_inputs(
    data: Cells,
    model: type[ResponseModel],
    *,
    use_rep: str | None = None,
    group_key: str | None = None,
    setup: Setup | None = None,
) -> ResponseInputs:
    """Read what a response model learns from.

    Parameters
    ----------
    data
        Cells after :func:`waddington.twin.pp.preprocess`, or normalized by scanpy; not changed.
    model
        Its class.
    use_rep
        Key of ``obsm``. A model that learns in a representation learns in this one and predicts features; any other
        predicts the effect on the representation itself.
    group_key
        Column of ``obs`` within whose groups effects are measured.
    setup
        Which columns hold what; None takes what is registered.

    Raises
    ------
    ArgumentError
        When the model learns in a representation and none is named.
    UnsupportedError
        When groups are named for a model that passes over them.
    DataError
        When cells bear neither perturbations nor times, a key is missing, or profiles are not normalized.
    """
    if model.uses_representation and use_rep is None:
        have = ", ".join(map(repr, data.obsm)) or "none"
        raise ArgumentError(
            f"cannot fit the response model {model.name!r} without a representation of the cells: accepted is use_rep=,"
            f" a key of obsm (keys found: {have})"
        )
    if group_key is not None and not model.uses_groups:
        raise UnsupportedError(
            f"cannot use group_key={group_key!r} with the response model {model.name!r}: it measures effects over all "
            "cells; accepted is another model"
        )
    labels = read_labels(data, setup)
    split = _split(labels, data)
    groups = None if group_key is None else _training_groups(data, group_key, split)
    representation = None if use_rep is None else latent_of(data, use_rep)
    if use_rep is not None and representation is not None and not model.uses_representation:
        dimensions = np.array([f"{use_rep}_{i + 1}" for i in range(representation.shape[1])])
        values, names = {use_rep: representation}, {use_rep: dimensions}
        return ResponseInputs(
            values=values, names=names, split=split, representation=None, groups=groups, notes=labels.unused
        )
    found = profiles(parts_of(data))
    return ResponseInputs(
        values=found.inputs, names=found.names, split=split, representation=representation, groups=groups,
        notes=labels.unused,
    )  # fmt: skip


def latent_of(data: Cells, use_rep: str) -> npt.NDArray[np.float32]:
    """Give the representation that responses and dynamics live in.

    Raises
    ------
    DataError
        When it is missing, holds NaN, or is no table of numbers.
    """
    if use_rep not in data.obsm:
        have = ", ".join(map(repr, data.obsm)) or "none"
        raise DataError(
            f"cannot use use_rep={use_rep!r}: found no such key of obsm (keys found: {have}); accepted is data after "
            "twin.tl.embed, or another key"
        )
    found = data.obsm[use_rep]
    try:
        latent = np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"cannot use obsm[{use_rep!r}]: {error}; accepted are finite numbers") from error
    if not np.isfinite(latent).all():
        raise DataError(f"cannot use obsm[{use_rep!r}]: found NaN or infinity; accepted are finite numbers")
    return latent


def split_of(data: Cells, setup: Setup | None = None) -> Split:
    """Give conditions and training cells.

    Raises
    ------
    DataError
        When cells bear neither perturbations nor times.
    """
    return _split(read_labels(data, setup), data)


def _split(labels: Labels, data: Cells) -> Split:
    found = labels.to_split()
    if found is None:
        why = "".join(f"; {note}" for note in labels.unused)
        have = ", ".join(map(repr, data.obs.columns)) or "none"
        raise DataError(
            f"cannot use this data: cells bear neither perturbations nor times (columns of obs: {have}); accepted is a "
            "column of either under a usual name, or registered by "
            f"twin.Twin.{'setup_anndata' if isinstance(data, ad.AnnData) else 'setup_mudata'}"
            f"(data, perturbation_key=, control=, time_key=){why}"
        )
    return found


def groups_of(data: Cells, group_key: str) -> npt.NDArray[np.str_]:
    """Read the group of each cell.

    Raises
    ------
    DataError
        When there is no such column, or a cell bears none.
    """
    if group_key not in data.obs.columns:
        have = ", ".join(map(repr, data.obs.columns)) or "none"
        raise DataError(f"cannot use group_key={group_key!r}: no such column of obs (columns found: {have})")
    if (without := int(data.obs[group_key].isna().sum())) > 0:
        raise DataError(
            f"cannot use group_key={group_key!r}: {counted(without, 'cell')} bear none; accepted is one for each cell"
        )
    return np.asarray(data.obs[group_key].astype(str), dtype=np.str_)


def _training_groups(data: Cells, group_key: str, split: Split) -> npt.NDArray[np.str_]:
    """Read the group of each cell; at least one group holds training controls and another training condition."""
    groups = groups_of(data, group_key)
    controls = set(groups[split.cells(split.control, train=True)].tolist())
    others = set(groups[split.train & np.isin(split.labels, split.seen)].tolist())
    if not controls & others:
        raise DataError(
            f"cannot use group_key={group_key!r}: none of its {counted(len(set(groups.tolist())), 'group')} holds "
            f"training cells of {split.control!r} and of another condition; accepted: at least one that does"
        )
    return groups
