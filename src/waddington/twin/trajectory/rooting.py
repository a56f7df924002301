"""What a user may say of the root of an order, and what the cells themselves say of it.

``root`` is a cell, a cluster or a marker gene by name, or the word ``time`` or ``control``. A name that means two of
these is refused, and ``cell:``, ``cluster:`` or ``gene:`` before it says which is meant.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final, Literal

import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.errors import ArgumentError, DataError
from waddington.twin.data.io.times import parse_times
from waddington.twin.trajectory.order import RootHint
from waddington.twin.trajectory.pseudotime import earliest_cells

__all__ = ["RootChoice", "read_root", "root_hint"]

Kind = Literal["cell", "cluster", "gene", "time", "control"]

_KINDS: Final[tuple[Kind, ...]] = ("cell", "cluster", "gene")
_ACCEPTED: Final = ("a cell's barcode", "a feature's name")
_READ: Final = frozenset({"perturbation", "perturbation_mode", "time", "batch", "cell_type", "split"})
_SHOWN: Final = 4  # columns, or values of one, that a message lists
_MOST_TIMES, _MOST_CLUSTERS = 30, 60  # values of a column that may be read as one or the other


@dataclass(frozen=True, kw_only=True)
class RootChoice:
    """A checked `root`."""

    kind: Kind
    name: str = ""
    modality: str = ""
    """The modality that holds a marker gene."""


def read_root(root: str | None, mdata: md.MuData) -> RootChoice | None:
    """Find what a `root` names among the cells; done before any long work.

    Parameters
    ----------
    root
        As the user wrote it; None leaves the choice to observed times, where there are any, or to a guess.
    mdata
        Cells from :func:`waddington.twin.data.io.read`.

    Raises
    ------
    ArgumentError
        When the name means two things, or nothing here.
    DataError
        When `root` is ``time`` and no cell has one, or ``control`` and no cell is one.
    """
    if root is not None and not isinstance(root, str):
        raise ArgumentError(f"cannot use root={root!r}: accepted is text, or None")
    if root is None:
        return RootChoice(kind="time") if _has_times(mdata) else None
    if root == "time":
        if not _has_times(mdata):
            raise DataError(f"cannot use root='time': found no observed time; accepted: {_accepted(mdata)}")
        return RootChoice(kind="time")
    if root == "control":
        if not _has_controls(mdata):
            raise DataError(f"cannot use root='control': found no control cell; accepted: {_accepted(mdata)}")
        return RootChoice(kind="control")
    before, colon, after = root.partition(":")
    found = _meanings(root, mdata, _KINDS)
    if colon and before in _KINDS:
        found += _meanings(after, mdata, (before,))
    if len(found) == 1:
        return found[0]
    if found:
        meant = " and ".join(f"{choice.kind}:{choice.name}" for choice in found)
        raise ArgumentError(f"cannot use root={root!r}: it means {meant}; accepted is one of these, so written")
    known = [*_clusters(mdata), *(str(name) for part in mdata.mod.values() for name in part.var_names)]
    close = difflib.get_close_matches(after if colon else root, known, n=3)
    hint = f"; like it are {', '.join(map(repr, close))}" if close else ""
    raise ArgumentError(f"cannot use root={root!r}: nothing here has that name{hint}; accepted: {_accepted(mdata)}")


def _accepted(mdata: md.MuData) -> str:
    """Say what a root may be among these cells, and which columns would serve where none was read as such."""
    said, clusters = list(_ACCEPTED), _clusters(mdata)
    if clusters:
        said.append(f"a value of obs['cell_type'] ({_listed(clusters)})")
    if _has_times(mdata):
        said.append("'time'")
    if _has_controls(mdata):
        said.append("'control'")
    times = [] if "time" in mdata.obs else [name for name in _free_columns(mdata) if _reads_as_time(mdata.obs[name])]
    if not clusters:
        groups = [name for name in _free_columns(mdata) if name not in times and _groups_cells(mdata.obs[name])]
        said += [f"a value of a column that cell_type_key= names, such as {_listed(groups)}"] if groups else []
    if times:
        said.append(f"'time' with a column that time_key= names, such as {_listed(times)}")
    return ", ".join(said[:-1]) + f" or {said[-1]}"


def _free_columns(mdata: md.MuData) -> list[str]:
    """Name the columns of cells that nothing was read from."""
    return [str(name) for name in mdata.obs.columns if str(name).partition("_original")[0] not in _READ]


def _groups_cells(values: pd.Series) -> bool:
    """Say whether a column may name clusters: a few words, each of several cells."""
    return not pd.api.types.is_float_dtype(values) and 1 < values.nunique() <= min(_MOST_CLUSTERS, len(values) // 2)


def _reads_as_time(values: pd.Series) -> bool:
    """Say whether a column may hold times: a few different ones, with a unit in its name or its words."""
    if not 1 < values.nunique() <= min(_MOST_TIMES, len(values) // 2):
        return False
    try:
        return bool(parse_times(values).unit)
    except DataError:
        return False


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(map(repr, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _has_controls(mdata: md.MuData) -> bool:
    return "perturbation" in mdata.obs and bool((mdata.obs["perturbation"] == "control").any())


def _has_times(mdata: md.MuData) -> bool:
    return "time" in mdata.obs and bool(np.isfinite(np.asarray(mdata.obs["time"], dtype=np.float64)).any())


def _clusters(mdata: md.MuData) -> list[str]:
    return sorted({str(name) for name in mdata.obs["cell_type"]}) if "cell_type" in mdata.obs else []


def _meanings(name: str, mdata: md.MuData, kinds: tuple[str, ...]) -> list[RootChoice]:
    """Give everything that a name stands for."""
    found = []
    if "cell" in kinds and name in mdata.obs_names:
        found.append(RootChoice(kind="cell", name=name))
    if "cluster" in kinds and name in _clusters(mdata):
        found.append(RootChoice(kind="cluster", name=name))
    if "gene" in kinds:
        holders = [modality for modality, part in mdata.mod.items() if name in part.var_names]
        found += [RootChoice(kind="gene", name=name, modality=modality) for modality in holders[:1]]
    return found


def root_hint(choice: RootChoice | None, mdata: md.MuData) -> RootHint | None:
    """Turn a choice into what :func:`waddington.twin.trajectory.order.order_cells` takes.

    Parameters
    ----------
    choice
        From :func:`read_root`.
    mdata
        The cells; a marker's level is read from ``X``, so normalize before.
    """
    if choice is None:
        return None
    if choice.kind == "cell":
        return RootHint(words="the cell that was named", cells=np.asarray(mdata.obs_names == choice.name))
    if choice.kind == "cluster":
        chosen = np.asarray(mdata.obs["cell_type"].astype(str) == choice.name)
        return RootHint(words=f"the centre of cluster {choice.name!r}, which was named", cells=chosen)
    if choice.kind == "control":
        chosen = np.asarray(mdata.obs["perturbation"] == "control")
        return RootHint(words="the centre of the controls", cells=chosen)
    if choice.kind == "time":
        times = np.asarray(mdata.obs["time"], dtype=np.float64)
        return RootHint(words="the centre of the earliest cells by observed time", cells=earliest_cells(times))
    return RootHint(words=f"where the marker {choice.name!r} is highest", score=_level(choice, mdata))


def _level(choice: RootChoice, mdata: md.MuData) -> npt.NDArray[np.float64]:
    """Read a feature's level in every cell; a cell without the modality has the lowest."""
    column = mdata.mod[choice.modality][:, choice.name].X
    dense = column.toarray() if hasattr(column, "toarray") else column
    return np.nan_to_num(np.asarray(dense, dtype=np.float64).ravel(), nan=-np.inf)
