"""From a file (or the simulator) to the arrays that every later step works on.

Reading and validation come first, so that bad input is refused before any long work.
"""

from __future__ import annotations

from collections.abc import Callable

import mudata as md
import numpy as np
import numpy.typing as npt

from waddington.twin._moved import names_moved_from
from waddington.twin.data import io
from waddington.twin.data.conditions import conditions_of
from waddington.twin.data.splits import (
    Split,
    draw_train_cells,
    split_by_condition,
    split_by_stage,
    split_by_time,
)
from waddington.twin.datasets import simulate
from waddington.twin.preprocess import Preprocessor, cell_depth, check_scaling, depth_notes, graph
from waddington.twin.preprocess.cells import model_cells
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.trajectory.order import order_cells, order_notes
from waddington.twin.trajectory.rooting import read_root, root_hint

__all__ = ["prepare", "read_all_cells", "read_cells"]

__getattr__ = names_moved_from(__name__)


def read_cells(config: RunConfig) -> md.MuData:
    """Read and validate the cells that a configuration names, or simulate them.

    Raises
    ------
    DataError
        When the input cannot be used; the message says what was found and what is accepted.
    """
    return read_all_cells(config)[0]


def read_all_cells(config: RunConfig) -> tuple[md.MuData, md.MuData | None]:
    """Read as :func:`read_cells` does, and give the cells that were left out, too; None where there are none."""
    if config.read.simulated:
        return simulate(n_cells=config.n_cells, seed=config.seed), None
    return io.read_all(config.read.file, **config.read.arguments())


def prepare(mdata: md.MuData, config: RunConfig, *, step: Callable[[], None] = lambda: None) -> RunData:
    """Split, preprocess on training cells, order cells on their joint graph and label them.

    Parameters
    ----------
    mdata
        Validated cells from :func:`read_cells`; ``X`` and ``obsm`` are filled in place.
    config
        The run.
    step
        Called after each of the five steps.

    Raises
    ------
    DataError
        When there is nothing to measure change between, or too few cells to do so.
    """
    root = read_root(config.preprocess.root, mdata)
    check_scaling(mdata, target_sum=config.preprocess.target_sum, size_factor_key=config.preprocess.size_factor_key)
    cell_depth(mdata, config.preprocess.size_factor_key)  # A column that cannot serve is refused before any work.
    labels = np.asarray(conditions_of(mdata), dtype=np.str_)
    split = np.asarray(mdata.obs["split"], dtype=np.str_) if "split" in mdata.obs else None
    times = np.asarray(mdata.obs["time"], dtype=np.float64) if "time" in mdata.obs else None
    design = _labelled_design(
        labels, times, split, config, unit=str(mdata.uns.get("waddington", {}).get("time_unit", ""))
    )
    train = (
        design.train
        if design
        else draw_train_cells(mdata.n_obs, test_fraction=config.split.test_fraction, seed=config.seed)
        if split is None
        else split == "train"
    )
    step()

    preprocessor = Preprocessor(
        target_sum=config.preprocess.target_sum, size_factor_key=config.preprocess.size_factor_key
    )
    preprocessor.fit(mdata, train).transform(mdata)
    cells = model_cells(mdata.mod)
    step()

    joint, weights = graph.joint_graph(cells.representations, n_neighbors=config.preprocess.n_neighbors)
    step()

    types = np.asarray(mdata.obs["cell_type"], dtype=np.str_) if "cell_type" in mdata.obs else None
    order = order_cells(
        joint, hint=root_hint(root, mdata), candidates=labels == "control", parts=config.preprocess.parts, groups=types
    )
    design = design or split_by_stage(order.pseudotime, train=train, part=order.part)
    step()

    groups = design.labels if types is None else types
    known = None if types is None and design.kind == "pseudotime" else groups
    prepared = RunData(
        inputs=cells.inputs,
        counts=cells.counts,
        as_given=cells.as_given,
        names=cells.names,
        spaces=cells.representations,
        preprocessor=preprocessor,
        graph=joint,
        weights=weights,
        order=order,
        groups=groups,
        design=design,
        notes=(
            *order_notes(
                order,
                names=np.asarray(mdata.obs_names, dtype=np.str_),
                groups=known,
                settled_by="A cell or a marker gene" if types is None else "A cell, a cluster or a marker gene",
            ),
            *_read_notes(mdata),
            *depth_notes(mdata, preprocessor.fitted, preprocessor.options),
            *design.notes,
        ),
    )
    step()
    return prepared


def _labelled_design(
    labels: npt.NDArray[np.str_],
    times: npt.NDArray[np.float64] | None,
    split: npt.NDArray[np.str_] | None,
    config: RunConfig,
    *,
    unit: str,
) -> Split | None:
    """Use perturbations where there are any, else times; None when cells carry neither."""
    if (labels != "control").any():
        return split_by_condition(labels, split=split, test_fraction=config.split.test_fraction, seed=config.seed)
    if times is not None and len(np.unique(times[np.isfinite(times)])) > 1:
        return split_by_time(times, unit=unit, split=split, test_fraction=config.split.test_fraction, seed=config.seed)
    return None


def _read_notes(mdata: md.MuData) -> tuple[str, ...]:
    return tuple(str(note) for note in mdata.uns.get("waddington", {}).get("notes", ()))
