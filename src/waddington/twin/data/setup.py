"""What a user's AnnData or MuData holds where, as registered in it, and how it is read without changing it.

:func:`register` keeps the names of columns and layers in ``uns["waddington"]["setup"]``; whatever is not named is
looked for under its usual names, as :func:`waddington.twin.data.io.read` does.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypedDict, Unpack

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._checks import check_choice, check_known
from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin._keys import record, recorded
from waddington.twin.data.conditions import CONTROL, MODES, conditions_of
from waddington.twin.data.io.assemble import Part, build, gene_names, merge_obs, named_column
from waddington.twin.data.io.counts import given_modalities
from waddington.twin.data.io.labels import standard_columns
from waddington.twin.data.io.objects import make_ready
from waddington.twin.data.io.perturbations import LabelKeys
from waddington.twin.data.io.split import split_modalities
from waddington.twin.data.io.validation import MIN_CELLS, check_columns
from waddington.twin.data.modalities import in_order
from waddington.twin.data.splits import Split, time_labels

__all__ = [
    "UNLABELLED",
    "UNTYPED",
    "Cells",
    "Labels",
    "Setup",
    "SetupKeys",
    "check_data",
    "check_kind",
    "gather",
    "parts_of",
    "read_labels",
    "register",
    "registered",
]

Cells: TypeAlias = ad.AnnData | md.MuData
"""What a user holds."""

UNLABELLED: Final = ""
"""Condition of a cell without a label: no model learns from it."""
UNTYPED: Final = "unknown"
"""Type of a cell of which nothing says it."""


class SetupKeys(TypedDict, total=False):
    """What :class:`Setup` can be told, for type checkers."""

    layer: str | None
    normalization: str
    perturbation_key: str | None
    mode_key: str | None
    dose_key: str | None
    perturbation_mode: str | None
    control: str | None
    combination_separator: str | None
    time_key: str | None
    split_key: str | None
    batch_key: str | None
    cell_type_key: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """Which columns and layers hold what; None looks for the usual names."""

    layer: str | None = None
    """Layer with raw counts; with ``normalization="none"``, with the values that are taken as they are."""
    normalization: str = "total"
    """``"total"`` for raw counts, ``"none"`` for values that are taken as they are, ``"none:protein"`` for some."""
    perturbation_key: str | None = None
    """Column of ``obs`` with the perturbation."""
    mode_key: str | None = None
    """Column with the modes of perturbations."""
    dose_key: str | None = None
    """Column with doses: numbers, plain or all with the same unit."""
    perturbation_mode: str | None = None
    """Mode of all perturbations whose mode no column says, such as ``"knockdown"``."""
    control: str | None = None
    """A further label that means control."""
    combination_separator: str | None = None
    """What joins the perturbations of a label, such as ``"_"``."""
    time_key: str | None = None
    """Column with the observed time."""
    split_key: str | None = None
    """Column that says which cells are ``train`` and ``test``."""
    batch_key: str | None = None
    """Column with the batch."""
    cell_type_key: str | None = None
    """Column with the cell type."""

    def __post_init__(self) -> None:
        given_modalities(self.normalization)
        if self.perturbation_mode is not None:
            check_choice("perturbation_mode", self.perturbation_mode, MODES)
        if self.combination_separator == "":
            raise ArgumentError("cannot use combination_separator='': accepted is at least one character")

    @classmethod
    def of(cls, **keys: Unpack[SetupKeys]) -> Setup:
        """Make a setup; None stands for the default.

        Raises
        ------
        UnknownNameError
            For a key that a setup does not have.
        """
        for name in keys:
            check_known("key of a setup", name, [field.name for field in dataclasses.fields(cls)])
        known: dict[str, Any] = {name: value for name, value in keys.items() if value is not None}
        return cls(**known)

    def label_keys(self, tables: dict[str, pd.DataFrame], obs: pd.DataFrame) -> LabelKeys:
        """Give the keys of labels, with columns such as ``"gdo:target"`` found in the merged table."""
        return LabelKeys(
            perturbation=named_column(self.perturbation_key, tables, obs),
            mode=named_column(self.mode_key, tables, obs),
            dose=named_column(self.dose_key, tables, obs),
            time=named_column(self.time_key, tables, obs),
            split=named_column(self.split_key, tables, obs),
            batch=named_column(self.batch_key, tables, obs),
            cell_type=named_column(self.cell_type_key, tables, obs),
            control=self.control,
            default_mode=self.perturbation_mode,
            separator=self.combination_separator,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """What is known of each cell; everything is aligned with the cells of the object."""

    condition: npt.NDArray[np.str_]
    """Canonical label, :data:`UNLABELLED` where a cell has none; all control where nothing says a perturbation."""
    time: npt.NDArray[np.float64] | None
    split: npt.NDArray[np.str_] | None
    cell_type: npt.NDArray[np.str_] | None
    time_unit: str
    dose_unit: str
    notes: tuple[str, ...]
    unused: tuple[str, ...] = ()
    """Of the notes those on columns that bear a usual name and could not be read."""

    @property
    def train(self) -> npt.NDArray[np.bool_]:
        """Cells that a model may learn from, (cells,): those with a label; of these the training cells, if any are."""
        known = np.asarray(self.condition != UNLABELLED)
        return known if self.split is None else known & (self.split == "train")

    @property
    def perturbed(self) -> bool:
        """Whether a cell has any perturbation."""
        return bool(((self.condition != CONTROL) & (self.condition != UNLABELLED)).any())

    def to_frame(self, index: pd.Index) -> pd.DataFrame:
        """Give the columns ``perturbation`` (whether control or a canonical label), ``time`` and ``cell_type``."""
        frame = pd.DataFrame(index=index)
        if (self.condition != CONTROL).any():
            frame["perturbation"] = self.condition
        if self.time is not None:
            frame["time"] = self.time
        if self.cell_type is not None:
            frame["cell_type"] = self.cell_type
        return frame

    def to_split(self) -> Split | None:
        """Give labels and training cells as models take them: of perturbations, else of times; None without either.

        Nothing is judged with it: no label is said to be held out.
        """
        if self.perturbed:
            return Split(kind="perturbation", labels=self.condition, control=CONTROL, train=self.train, split_of={})
        if self.time is None or len(np.unique(self.time[np.isfinite(self.time)])) < 2:
            return None
        labels, order = time_labels(self.time, unit=self.time_unit)
        return Split(kind="time", labels=labels, control=order[0], train=self.train, split_of={}, label_order=order)


def check_data(data: Any) -> None:
    """Refuse what is neither AnnData nor MuData, and views, which cannot be written to.

    Raises
    ------
    ArgumentError
        Names what was given.
    """
    check_kind(data)
    if data.is_view:
        raise ArgumentError(
            f"cannot write to a view of {type(data).__name__}: accepted is an object of its own, data[cells].copy()"
        )
    if isinstance(data, ad.AnnData) and data.isbacked:
        raise ArgumentError("cannot write to a backed AnnData: accepted is one in memory, data.to_memory()")


def check_kind(data: Any) -> None:
    """Refuse what is neither AnnData nor MuData.

    Raises
    ------
    ArgumentError
        Names what was given.
    """
    if not isinstance(data, ad.AnnData | md.MuData):
        raise ArgumentError(f"cannot use {_named(data)}: accepted is an AnnData or a MuData")


def register(data: Cells, setup: Setup) -> None:
    """Keep a setup in the object, after checking that everything it names is there and can be read.

    Raises
    ------
    DataError
        When a column or layer is missing, or labels cannot be read; says what was found and what is accepted.
    """
    check_data(data)
    parts = parts_of(data)
    if setup.layer is not None and not any(setup.layer in part.layers for part in parts.values()):
        layers = sorted({name for part in parts.values() for name in part.layers})
        raise DataError(
            f"cannot use layer={setup.layer!r}: it does not exist; layers found: {', '.join(layers) or 'none'}"
        )
    read_labels(data, setup)
    given = {name: value for name, value in dataclasses.asdict(setup).items() if value is not None}
    record(data)["setup"] = given


def registered(data: Cells) -> Setup:
    """Give the setup that an object carries; the default one where it carries none.

    Raises
    ------
    DataError
        When what stands there is no setup of this version.
    """
    found = dict(recorded(data).get("setup", {}))
    try:
        return Setup(**{name: str(value) for name, value in found.items()})
    except TypeError:
        known = ", ".join(field.name for field in dataclasses.fields(Setup))
        raise DataError(
            f"cannot read uns['waddington']['setup']: found {', '.join(found)}; accepted: {known}"
        ) from None


def parts_of(data: Cells) -> dict[str, ad.AnnData]:
    """Give the modalities of an object by their canonical names: its own AnnData, not copies.

    Raises
    ------
    DataError
        When an AnnData mixes features of several modalities, or modalities hold different cells.
    """
    source = f"the {type(data).__name__} given"
    if isinstance(data, ad.AnnData):
        found, _ = split_modalities(data, source=source)
        own = {name: part for name, part in found.items() if part is data}
        if len(own) != 1:
            raise DataError(
                f"cannot work on {source} in place: it mixes features of {', '.join(found)}; "
                "accepted is a MuData, such as twin.data.io.read makes of it"
            )
        return own
    found, _ = split_modalities(data, source=source)
    for name, part in found.items():
        if not part.obs_names.equals(data.obs_names):
            raise DataError(
                f"cannot work on {source} in place: {name} has {part.n_obs} of its {counted(data.n_obs, 'cell')}, "
                "or in another order; accepted is one set of cells in all modalities, such as twin.data.io.read makes"
            )
    return {name: found[name] for name in in_order(found)}


def gather(data: Cells, setup: Setup, *, min_cells: int = MIN_CELLS) -> md.MuData:
    """Read counts, or values as given, of all cells into a MuData of its own; nothing of `data` is changed.

    Parameters
    ----------
    data, setup
        The cells, and which layers hold what.
    min_cells
        Fewest cells that are accepted: to learn from, more are needed than to be embedded.

    Returns
    -------
    mudata.MuData
        As :func:`waddington.twin.data.io.read` gives it, without columns of ``obs``.

    Raises
    ------
    DataError
        When a modality holds no counts; says what was found, where, and what is accepted.
    """
    as_given = given_modalities(setup.normalization)
    parts = parts_of(data)
    ready = {
        name: make_ready(part, source=f"{name} of the {type(data).__name__} given") for name, part in parts.items()
    }
    slim = {name: Part(_measurements(part), f"the {type(data).__name__} given") for name, part in ready.items()}
    mdata, notes = build(
        slim,
        as_given=as_given,
        counts_layer=None if as_given else setup.layer,
        layer=setup.layer if as_given else None,
        min_cells=min_cells,
    )
    record(mdata)["notes"] = notes
    return mdata


def _measurements(part: ad.AnnData) -> ad.AnnData:
    """Give what was measured and nothing that was computed from it; nothing is copied."""
    slim = ad.AnnData(X=part.X, obs=pd.DataFrame(index=part.obs_names), var=part.var, layers=dict(part.layers))
    if part.raw is not None:
        slim.raw = part.raw.to_adata()
    return slim


def read_labels(data: Cells, setup: Setup | None = None) -> Labels:
    """Read what is known of each cell from ``obs``.

    Parameters
    ----------
    data
        An AnnData or MuData; not changed.
    setup
        Which columns to read; None takes what is registered.

    Raises
    ------
    DataError
        When a named column is missing or cannot be read, or perturbations have no control.
    """
    setup = registered(data) if setup is None else setup
    source = f"the {type(data).__name__} given"
    parts = {"": data} if isinstance(data, ad.AnnData) else data.mod
    tables = {name: part.obs for name, part in parts.items()}
    if isinstance(data, md.MuData):
        # The global table also holds copies of the modalities' columns, as "rna:n_counts".
        copies = [column for column in data.obs.columns if str(column).split(":")[0] in data.mod]
        tables = {"": data.obs.drop(columns=copies), **tables}
    obs = merge_obs(tables, data.obs_names)
    keys = setup.label_keys(tables, obs)
    check_columns([key for key in (keys.perturbation, keys.time, keys.split) if key is not None], obs, source=source)
    genes = gene_names({name: part.var for name, part in parts_of(data).items()})
    units = {name: str(recorded(data).get(name, "")) for name in ("time_unit", "dose_unit")}
    found = standard_columns(obs, keys, source=source, genes=genes, **units)
    conditions = conditions_of(found.obs).reindex(obs.index, fill_value=UNLABELLED)

    def column(name: str) -> pd.Series | None:
        return found.obs[name].reindex(obs.index) if name in found.obs.columns else None

    time, split, cell_type = column("time"), column("split"), column("cell_type")
    return Labels(
        condition=np.asarray(conditions, dtype=np.str_),
        time=None if time is None else time.to_numpy(dtype=np.float64),
        split=None if split is None else np.asarray(split.fillna("nothing"), dtype=np.str_),
        cell_type=None if cell_type is None else np.asarray(cell_type.fillna(UNTYPED), dtype=np.str_),
        time_unit=found.time_unit,
        dose_unit=found.dose_unit,
        notes=found.notes,
        unused=found.unused,
    )


def _named(data: Any) -> str:
    """Name what a caller gave, without printing all of it."""
    return f"{type(data).__name__} {data!r}" if isinstance(data, str) else type(data).__name__
