"""From a file (or the simulator) to the arrays that every later step works on.

Reading and validation come first, so that bad input is refused before any long work. What comes out is plain arrays and
sparse matrices in one folder, which worker processes read; nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
from scipy import sparse

from waddington._errors import ArgumentError
from waddington._files import replacing
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
from waddington.twin.preprocess import (
    REDUCED,
    Preprocessor,
    cell_depth,
    check_scaling,
    depth_notes,
    graph,
    is_as_given,
    measured,
    model_counts,
    model_input,
)
from waddington.twin.run.config import RunConfig
from waddington.twin.trajectory.order import Order, Root, order_cells, order_notes
from waddington.twin.trajectory.rooting import read_root, root_hint

__all__ = ["Prepared", "load", "prepare", "read_cells", "save"]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """What is learnt from and judged on, as arrays."""

    inputs: dict[str, Float]
    """Normalized profiles of the selected features, (cells, features), by modality."""
    counts: dict[str, sparse.csr_matrix]
    """Raw counts of the same features, or their values where those are taken as given."""
    as_given: tuple[str, ...]
    """Modalities whose values are taken as given: their noise is Gaussian."""
    names: dict[str, npt.NDArray[np.str_]]
    """Names of the same features."""
    spaces: dict[str, Float]
    """Principal components (RNA, protein) or latent semantic components (ATAC), (cells, components)."""
    order: Order
    """Diffusion pseudotime, the parts of the graph it runs in, and where it begins."""
    groups: npt.NDArray[np.str_]
    """Cell type, or else label, of each cell; for pictures."""
    design: Split
    notes: tuple[str, ...]
    """What was found and done, in words for the report."""

    @property
    def pseudotime(self) -> Float:
        """Diffusion pseudotime in [0, 1], (cells,); NaN for a cell without an order."""
        return self.order.pseudotime


def read_cells(config: RunConfig) -> md.MuData:
    """Read and validate the cells that a configuration names, or simulate them.

    Raises
    ------
    DataError
        When the input cannot be used; the message says what was found and what is accepted.
    """
    if config.simulated:
        return simulate(n_cells=config.n_cells, seed=config.seed)
    return io.read(config.file, **config.read_arguments())


def prepare(mdata: md.MuData, config: RunConfig, *, step: Callable[[], None] = lambda: None) -> Prepared:
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
    root = read_root(config.root, mdata)
    check_scaling(mdata, target_sum=config.target_sum, size_factor_key=config.size_factor_key)
    cell_depth(mdata, config.size_factor_key)  # A column that cannot serve is refused before any work.
    labels = np.asarray(conditions_of(mdata), dtype=np.str_)
    split = np.asarray(mdata.obs["split"], dtype=np.str_) if "split" in mdata.obs else None
    times = np.asarray(mdata.obs["time"], dtype=np.float64) if "time" in mdata.obs else None
    design = _labelled_design(
        labels, times, split, config, unit=str(mdata.uns.get("waddington", {}).get("time_unit", ""))
    )
    train = (
        design.train
        if design
        else draw_train_cells(mdata.n_obs, test_fraction=config.test_fraction, seed=config.seed)
        if split is None
        else split == "train"
    )
    step()

    preprocessor = Preprocessor(target_sum=config.target_sum, size_factor_key=config.size_factor_key)
    preprocessor.fit(mdata, train).transform(mdata)
    inputs = {name: model_input(mdata, name) for name in mdata.mod}
    counts = {name: sparse.csr_matrix(model_counts(mdata, name)) for name in mdata.mod}
    step()

    spaces = {name: _space(mdata.mod[name], REDUCED[name]) for name in mdata.mod}
    joint, _ = graph.joint_graph(_measured(spaces, mdata), n_neighbors=config.n_neighbors)
    step()

    types = np.asarray(mdata.obs["cell_type"], dtype=np.str_) if "cell_type" in mdata.obs else None
    order = order_cells(
        joint, hint=root_hint(root, mdata), candidates=labels == "control", parts=config.parts, groups=types
    )
    design = design or split_by_stage(order.pseudotime, train=train, part=order.part)
    step()

    groups = design.labels if types is None else types
    known = None if types is None and design.kind == "pseudotime" else groups
    selected = {name: _selected_names(mdata.mod[name], inputs[name].shape[1]) for name in mdata.mod}
    prepared = Prepared(
        inputs=inputs,
        counts=counts,
        as_given=tuple(name for name, part in mdata.mod.items() if is_as_given(part)),
        names=selected,
        spaces=spaces,
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
        return split_by_condition(labels, split=split, test_fraction=config.test_fraction, seed=config.seed)
    if times is not None and len(np.unique(times[np.isfinite(times)])) > 1:
        return split_by_time(times, unit=unit, split=split, test_fraction=config.test_fraction, seed=config.seed)
    return None


def _space(part: ad.AnnData, key: str) -> Float:
    """Give the components that graphs are built on."""
    return np.asarray(part.obsm[key], dtype=np.float32)


def _measured(spaces: dict[str, Float], mdata: md.MuData) -> dict[str, Float]:
    """Blank the components of cells without a single count, whose place among the others would be made up."""
    found = {}
    for name, space in spaces.items():
        part = mdata.mod[name]
        empty = False if is_as_given(part) else np.asarray(measured(part, name).sum(axis=1)).ravel() == 0
        found[name] = np.where(np.broadcast_to(empty, len(space))[:, None], np.float32(np.nan), space)
    return found


def _selected_names(part: ad.AnnData, n_selected: int) -> npt.NDArray[np.str_]:
    """Name the features that the model sees."""
    names: npt.NDArray[np.str_] = np.asarray(part.var_names, dtype=np.str_)
    if "highly_variable" in part.var and int(part.var["highly_variable"].sum()) == n_selected:
        return np.asarray(names[part.var["highly_variable"].to_numpy(dtype=bool)])
    return names


def _read_notes(mdata: md.MuData) -> tuple[str, ...]:
    return tuple(str(note) for note in mdata.uns.get("waddington", {}).get("notes", ()))


def save(prepared: Prepared, folder: Path) -> None:
    """Write prepared arrays into a folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as beside:
        beside.mkdir()
        _save(prepared, beside)


def _save(prepared: Prepared, folder: Path) -> None:
    arrays: dict[str, Any] = {
        "pseudotime": prepared.order.pseudotime,
        "part": prepared.order.part,
        "groups": prepared.groups,
        "labels": prepared.design.labels,
        "train": prepared.design.train,
    }
    for part in ("inputs", "names", "spaces"):
        arrays |= {f"{part}/{name}": value for name, value in getattr(prepared, part).items()}
    np.savez(folder / "arrays.npz", **arrays)
    for name, matrix in prepared.counts.items():
        sparse.save_npz(folder / f"counts-{name}.npz", matrix, compressed=False)
    design = prepared.design
    facts = {
        "kind": design.kind,
        "control": design.control,
        "split_of": design.split_of,
        "label_order": design.label_order,
        "design_notes": design.notes,
        "notes": prepared.notes,
        "roots": {str(part): dataclasses.asdict(root) for part, root in prepared.order.roots.items()},
        "modalities": list(prepared.inputs),
        "as_given": prepared.as_given,
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def load(folder: Path) -> Prepared:
    """Read what :func:`save` wrote.

    Raises
    ------
    ArgumentError
        When the folder does not hold prepared arrays.
    """
    if not (folder / "facts.json").exists():
        raise ArgumentError(f"cannot load prepared cells from {str(folder)!r}: it holds none")
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    modalities = facts["modalities"]

    def of(part: str) -> dict[str, Any]:
        return {name: arrays[f"{part}/{name}"] for name in modalities}

    return Prepared(
        inputs=of("inputs"),
        as_given=tuple(facts["as_given"]),
        names=of("names"),
        spaces=of("spaces"),
        counts={name: sparse.csr_matrix(sparse.load_npz(folder / f"counts-{name}.npz")) for name in modalities},
        order=Order(
            pseudotime=arrays["pseudotime"],
            part=arrays["part"],
            roots={int(part): _root(stored) for part, stored in facts["roots"].items()},
        ),
        groups=arrays["groups"],
        design=Split(
            kind=facts["kind"],
            labels=arrays["labels"],
            control=facts["control"],
            train=arrays["train"],
            split_of=facts["split_of"],
            label_order=tuple(facts.get("label_order", ())),  # runs begun by an earlier version have none
            notes=tuple(facts["design_notes"]),
        ),
        notes=tuple(facts["notes"]),
    )


def _root(stored: dict[str, Any]) -> Root:
    """Read a root from JSON, which has no tuples."""
    others, agreement = tuple(stored.pop("others")), tuple(stored.pop("agreement"))
    return Root(**stored, others=others, agreement=agreement)
