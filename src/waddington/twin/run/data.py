"""The cells of a run as arrays: what is learnt from and judged on, written to a folder that every job reads.

What lies there is plain arrays and sparse matrices; nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from waddington._files import replacing
from waddington.errors import ArgumentError
from waddington.twin.data.splits import Split
from waddington.twin.preprocess import Preprocessor
from waddington.twin.trajectory.order import Order, Root

__all__ = ["RunData", "is_saved", "load", "save"]

Float = npt.NDArray[np.float32]

_PREPROCESSOR = "preprocessor.pt"


@dataclass(frozen=True, kw_only=True, eq=False)
class RunData:
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
    """Principal components (RNA, protein) or latent semantic components (ATAC), (cells, components); NaN for a cell
    without a single count, whose place among the others would be made up."""
    preprocessor: Preprocessor
    """What was learnt of training cells to make all of these."""
    graph: sparse.csr_matrix
    """Weights of the graph over all modalities, (cells, cells)."""
    weights: Float
    """What each modality counts for each cell's neighbours, (cells, modalities)."""
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


def save(prepared: RunData, folder: Path) -> None:
    """Write prepared arrays into a folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as beside:
        beside.mkdir()
        _save(prepared, beside)


def _save(prepared: RunData, folder: Path) -> None:
    arrays: dict[str, Any] = {
        "weights": prepared.weights,
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
    sparse.save_npz(folder / "graph.npz", prepared.graph, compressed=False)
    torch.save(prepared.preprocessor.state_dict(), folder / _PREPROCESSOR)
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


def is_saved(folder: Path) -> bool:
    """Say whether :func:`save` wrote to a folder; an earlier version left the preprocessor out."""
    return (folder / "facts.json").exists() and (folder / _PREPROCESSOR).exists()


def load(folder: Path) -> RunData:
    """Read what :func:`save` wrote.

    Raises
    ------
    ArgumentError
        When the folder does not hold prepared arrays.
    """
    if not is_saved(folder):
        raise ArgumentError(f"cannot load prepared cells from {str(folder)!r}: it holds none")
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    modalities = facts["modalities"]

    def of(part: str) -> dict[str, Any]:
        return {name: arrays[f"{part}/{name}"] for name in modalities}

    return RunData(
        inputs=of("inputs"),
        as_given=tuple(facts["as_given"]),
        names=of("names"),
        spaces=of("spaces"),
        preprocessor=Preprocessor.from_state_dict(torch.load(folder / _PREPROCESSOR, weights_only=True)),
        graph=sparse.csr_matrix(sparse.load_npz(folder / "graph.npz")),
        weights=arrays["weights"],
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
