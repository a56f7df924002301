"""The order of cells along their differentiation."""

from __future__ import annotations

from typing import Any

import mudata as md
import numpy as np
from scipy import sparse

from waddington.errors import DataError
from waddington.twin._keys import check_free, note, put, record
from waddington.twin.data.io.files import quiet_mudata
from waddington.twin.data.setup import Cells, Labels, check_data, parts_of, read_labels
from waddington.twin.trajectory.order import Parts, order_cells, order_notes
from waddington.twin.trajectory.rooting import read_root, root_hint

__all__ = ["pseudotime"]

OURS = "twin_connectivities"


def pseudotime(
    data: Cells,
    *,
    root: str | None = None,
    parts: Parts = "main",
    neighbors_key: str | None = None,
    overwrite: bool = False,
    copy: bool = False,
) -> Cells | None:
    """Order cells by diffusion pseudotime.

    Parameters
    ----------
    data
        AnnData or MuData with a graph of neighbours: of :func:`waddington.twin.pp.neighbors`, or of scanpy.
    root
        Where the order begins: a cell, a value of the cell types, a marker gene, ``"time"`` or ``"control"``; observed
        times, where there are any, or a guess when not given. ``cell:``, ``cluster:`` or ``gene:`` before a name that
        means two of these.
    parts
        Cells that no path of the graph joins to the root: ``"main"`` leaves them without an order, ``"each"`` orders
        every part on its own, ``"refuse"`` raises.
    neighbors_key
        Key of ``uns`` under which scanpy keeps a graph; by default the twin's graph, or else scanpy's ``"neighbors"``.
    overwrite, copy
        Whether another tool's keys may be replaced, and whether a changed copy is given back.

    Writes
    ------
    ``obs["pseudotime"]`` in [0, 1], NaN for a cell without an order; ``uns["waddington"]["pseudotime"]``: the root, how
    it is known, and which graph was used.

    Raises
    ------
    DataError
        When there is no graph, or a key is another tool's; says what is accepted.
    ArgumentError
        When `root` means two things, or nothing here.
    """
    check_data(data)
    check_free(data, "obs", ["pseudotime"], overwrite=overwrite)
    data = data.copy() if copy else data
    graph, name = find_graph(data, neighbors_key)
    labels = read_labels(data)
    whole = _as_mudata(data, labels)
    hint = root_hint(read_root(root, whole), whole)
    order = order_cells(
        graph, hint=hint, candidates=labels.condition == "control", parts=parts, groups=labels.cell_type
    )
    put(data, "obs", "pseudotime", order.pseudotime, writer="tl.pseudotime")
    names = np.asarray(data.obs_names, dtype=np.str_)
    first = order.roots[min(order.roots)]
    record(data)["pseudotime"] = {
        "root": str(names[first.cell]),
        "how": first.words,
        "is_guess": order.is_guess,
        "is_descent": order.is_descent,
        "others": [str(names[cell]) for cell in first.others],
        "graph": name,
    }
    settled = "A cell, a cluster or a marker gene" if labels.cell_type is not None else "A cell or a marker gene"
    note(data, *order_notes(order, names=names, groups=labels.cell_type, settled_by=settled))
    return data if copy else None


def find_graph(data: Cells, neighbors_key: str | None) -> tuple[sparse.csr_matrix, str]:
    """Give a graph of connectivities, and its key in ``obsp``.

    Raises
    ------
    DataError
        When there is none; lists what ``obsp`` has.
    """
    entry: Any = data.uns.get(neighbors_key or "neighbors", {})
    scanpys = entry.get("connectivities_key", "connectivities") if hasattr(entry, "get") else "connectivities"
    wanted = scanpys if neighbors_key is not None else OURS if OURS in data.obsp else scanpys
    if wanted not in data.obsp or (neighbors_key is not None and neighbors_key not in data.uns):
        have = ", ".join(map(repr, data.obsp)) or "none"
        asked = f"neighbors_key={neighbors_key!r}" if neighbors_key is not None else "this data"
        raise DataError(
            f"cannot order cells of {asked}: found no graph of neighbours (keys of obsp: {have}); accepted is data "
            "after twin.pp.neighbors, or after scanpy's sc.pp.neighbors"
        )
    return sparse.csr_matrix(data.obsp[wanted]), str(wanted)


def _as_mudata(data: Cells, labels: Labels) -> md.MuData:
    """Show modalities and labels as the rooms below take them; nothing is copied."""
    with quiet_mudata():
        whole = md.MuData(parts_of(data))
    whole.obs = labels.to_frame(whole.obs_names)
    return whole
