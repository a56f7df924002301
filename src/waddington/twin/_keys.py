"""The keys that the twin writes into an AnnData or MuData: one table, and the guard that keeps to it.

``pp``, ``tl`` and runs write these keys and no others; everything in ``uns`` is under ``uns["waddington"]``. What was
written is noted in ``uns["waddington"]["keys"]`` of the object that holds it, so that a key that stands there already
is known as ours or as another tool's. Ours are written anew; another tool's are refused by name, unless the caller says
``overwrite=True``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from waddington.errors import DataError

__all__ = [
    "KEYS",
    "SPACE",
    "Key",
    "check_free",
    "drop_record",
    "is_ours",
    "key_table",
    "note",
    "put",
    "record",
    "recorded",
]

SPACE: Final = "waddington"
"""The one key of ``uns`` that the twin writes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One row of the table."""

    name: str
    """As a user writes it: ``obsm["X_twin"]``."""
    of: str
    """The object that holds it: ``data`` (what was given), ``modality`` (each AnnData of a MuData, or the AnnData that
    was given), or ``mudata`` (a MuData only)."""
    shape: str
    dtype: str
    meaning: str
    """What it holds, with its unit."""
    writer: str
    readers: str = ""


def _in_space(name: str) -> str:
    return f'uns["{SPACE}"]["{name}"]'


KEYS: Final = (
    Key(name=_in_space("setup"), of="data", shape="mapping", dtype="text",
        meaning="which columns and layers hold what", writer="Twin.setup_anndata, Twin.setup_mudata",
        readers="pp, tl, Twin"),
    Key(name='obs["split"]', of="data", shape="(cells,)", dtype="text",
        meaning="`train` or `test`; models learn from the first, `tl.evaluate` judges on the second. A run "
        "says `validation` for training cells on which its encoder's loss was watched", writer="pp.split, run",
        readers="pp.preprocess, tl, Twin"),
    Key(name='layers["counts"]', of="modality", shape="(cells, features)", dtype="float32, CSR",
        meaning="raw counts; written where no layer of that name is there", writer="pp.preprocess", readers="tl.embed"),
    Key(name='layers["values"]', of="modality", shape="(cells, features)", dtype="float32",
        meaning="instead of counts, the values of a modality that was registered as it is", writer="pp.preprocess",
        readers="tl.embed"),
    Key(name="X", of="modality", shape="(cells, features)", dtype="float32",
        meaning="RNA: log(1 + scaled count); ATAC: TF-IDF; protein: centred log ratio",
        writer="pp.preprocess", readers="tl.embed, tl.predict, pl.trajectories"),
    Key(name='var["highly_variable"]', of="modality", shape="(features,)", dtype="bool",
        meaning="features that models see", writer="pp.preprocess", readers="tl.embed, tl.predict, pl.trajectories"),
    Key(name='var["train_mean"]', of="modality", shape="(features,)", dtype="float32",
        meaning="mean of X over training cells, in units of X", writer="pp.preprocess"),
    Key(name='var["train_std"]', of="modality", shape="(features,)", dtype="float32",
        meaning="standard deviation of X over training cells, in units of X", writer="pp.preprocess"),
    Key(name='obsm["X_pca"]', of="modality", shape="(cells, components)", dtype="float32",
        meaning="principal components of RNA and of protein, in units of X", writer="pp.preprocess",
        readers="pp.neighbors, tl.embed"),
    Key(name='obsm["X_lsi"]', of="modality", shape="(cells, components)", dtype="float32",
        meaning="latent semantic components of ATAC, in units of X", writer="pp.preprocess",
        readers="pp.neighbors, tl.embed"),
    Key(name=_in_space("preprocess"), of="modality", shape="mapping", dtype="numbers and text",
        meaning="parameters", writer="pp.preprocess", readers="tl.embed"),
    Key(name='obsp["twin_connectivities"]', of="data", shape="(cells, cells)", dtype="float32, CSR",
        meaning="weights of the graph over all modalities, in (0, 1]", writer="pp.neighbors, run",
        readers="tl.pseudotime"),
    Key(name='obsm["twin_weights"]', of="mudata", shape="(cells, modalities)", dtype="float32",
        meaning="what each modality counts for each cell's neighbours; rows sum to 1", writer="pp.neighbors, run"),
    Key(name=_in_space("neighbors"), of="data", shape="mapping", dtype="numbers and text",
        meaning="parameters, and which representations were used", writer="pp.neighbors"),
    Key(name='obsm["X_twin"]', of="data", shape="(cells, dimensions)", dtype="float32",
        meaning="joint embedding, each dimension in standard deviations of the training cells; NaN for a cell that a "
        "run left out", writer="tl.embed, run",
        readers="tl.predict, tl.environment, tl.evaluate, pl.landscape"),
    Key(name='obsm["X_twin"] of a modality', of="mudata", shape="(cells, dimensions)", dtype="float32",
        meaning="embedding of that modality alone, of unit mean square over training cells",
        writer="tl.embed, run"),
    Key(name=_in_space("embed"), of="data", shape="mapping", dtype="numbers, text and a table",
        meaning="parameters, and `history`: loss per epoch in nats per entry", writer="tl.embed", readers="pl.losses"),
    Key(name='obs["pseudotime"]', of="data", shape="(cells,)", dtype="float32",
        meaning="diffusion pseudotime in [0, 1]; NaN for a cell that no path joins to the root",
        writer="tl.pseudotime, run", readers="tl.environment, pl.landscape, pl.trajectories"),
    Key(name='obs["stage"]', of="data", shape="(cells,)", dtype="text",
        meaning="`stage 1` to `stage 4`: quarters of the training cells' pseudotime; `no stage` without one",
        writer="run"),
    Key(name='obs["twin_condition"]', of="data", shape="(cells,)", dtype="text",
        meaning="canonical label of the condition, as rows of `predictions.h5mu` are named", writer="run"),
    Key(name='obs["twin_used"]', of="data", shape="(cells,)", dtype="bool",
        meaning="whether the cell took part in the run", writer="run"),
    Key(name='obs["twin_left_out"]', of="data", shape="(cells,)", dtype="text",
        meaning="why the cell took no part; written where a run left cells out", writer="run"),
    Key(name=_in_space("pseudotime"), of="data", shape="mapping", dtype="numbers and text",
        meaning="the root cell, how it is known, and which graph was used", writer="tl.pseudotime, run",
        readers="pl.landscape"),
    Key(name=_in_space("metrics"), of="data", shape="table", dtype="numbers and text",
        meaning="tidy metrics on test cells", writer="tl.evaluate", readers="pl.metrics"),
    Key(name=_in_space("keys"), of="data and modality", shape="mapping", dtype="text",
        meaning="who wrote each key of this table", writer="pp, tl, run", readers="pp, tl"),
    Key(name=_in_space("notes"), of="data", shape="list", dtype="text",
        meaning="what was found, chosen and left out", writer="pp, tl, run, data.io.read"),
)  # fmt: skip
"""Every key, in the order in which a user meets them."""


def key_table() -> str:
    """Write the table as Markdown, for the page of the documentation."""
    lines = ["| key | of | shape | type | what | writes | reads |", "| --- | --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{row.name}` | {row.of} | {row.shape} | {row.dtype} | {row.meaning} | {row.writer} | {row.readers} |"
        for row in KEYS
    ]
    return "\n".join(lines) + "\n"


def record(holder: Any) -> dict[str, Any]:
    """Give ``uns["waddington"]`` of an AnnData or MuData; it is made where it is missing.

    Raises
    ------
    DataError
        When something else than a mapping stands there.
    """
    found = holder.uns.setdefault(SPACE, {})
    if not isinstance(found, dict):
        raise DataError(
            f"cannot write uns[{SPACE!r}]: found {type(found).__name__} there; accepted is a mapping or nothing"
        )
    return found


def recorded(holder: Any) -> dict[str, Any]:
    """Give ``uns["waddington"]`` to read; empty where the twin wrote nothing."""
    found = holder.uns.get(SPACE, {})
    return found if isinstance(found, dict) else {}


def is_ours(holder: Any, where: str, name: str) -> bool:
    """Say whether a key was written by the twin."""
    return f"{where}:{name}" in recorded(holder).get("keys", {})


def check_free(holder: Any, where: str, names: Iterable[str], *, overwrite: bool = False, of: str = "") -> None:
    """Refuse to write over what another tool wrote; done before any long work.

    Parameters
    ----------
    holder
        The AnnData or MuData.
    where
        ``"obs"``, ``"obsm"``, ``"obsp"``, ``"var"`` or ``"layers"``.
    names
        Keys that are to be written there.
    overwrite
        Whether another tool's keys may be replaced.
    of
        What the holder is, for messages: ``" of rna"``.

    Raises
    ------
    DataError
        Names the key and what is accepted.
    """
    taken = [name for name in names if name in getattr(holder, where) and not is_ours(holder, where, name)]
    if taken and not overwrite:
        raise DataError(
            f"cannot write {where}[{taken[0]!r}]{of}: found it there already, and the twin did not write it; accepted: "
            "overwrite=True to replace it, or an object without it"
        )


def put(holder: Any, where: str, name: str, value: Any, *, writer: str) -> None:
    """Write a key and note that the twin wrote it."""
    getattr(holder, where)[name] = value
    record(holder).setdefault("keys", {})[f"{where}:{name}"] = writer


def note(holder: Any, *sentences: str) -> None:
    """Add to what the twin says of an object; what is said already is not said twice."""
    space = record(holder)
    said = [str(one) for one in space.get("notes", ())]
    space["notes"] = [*said, *(one for one in dict.fromkeys(sentences) if one not in said)]


def drop_record(uns: dict[str, Any], *names: str) -> dict[str, Any]:
    """Give a copy of ``uns`` without some entries of ours."""
    space = uns.get(SPACE)
    if not isinstance(space, dict):
        return dict(uns)
    return {**uns, SPACE: {key: value for key, value in space.items() if key not in names}}
