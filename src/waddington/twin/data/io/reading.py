"""From files, folders or objects in memory to one checked MuData."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import anndata as ad
import mudata as md
import pandas as pd

from waddington._checks import check_choice
from waddington.errors import ArgumentError
from waddington.twin.data.conditions import MODES
from waddington.twin.data.io.assemble import Part, build, gene_names, merge_obs, named_column
from waddington.twin.data.io.counts import given_modalities
from waddington.twin.data.io.files import ACCEPTED, check_exists, open_file, quiet_mudata
from waddington.twin.data.io.labels import standard_columns
from waddington.twin.data.io.left_out import gather_left_out
from waddington.twin.data.io.objects import make_ready
from waddington.twin.data.io.perturbations import LabelKeys
from waddington.twin.data.io.refusals import fitting_in_memory
from waddington.twin.data.io.split import split_modalities
from waddington.twin.data.io.validation import MIN_CELLS, check_columns, check_size
from waddington.twin.data.modalities import in_order, is_guides

__all__ = ["Source", "read", "read_all"]

Source: TypeAlias = str | os.PathLike[str] | ad.AnnData | md.MuData
"""A path, or an object in memory, which is not changed."""


@fitting_in_memory()
def read(
    path: Source | None = None,
    *,
    rna: Source | None = None,
    atac: Source | None = None,
    protein: Source | None = None,
    label_keys: Sequence[str] = (),
    perturbation_key: str | None = None,
    mode_key: str | None = None,
    dose_key: str | None = None,
    perturbation_mode: str | None = None,
    control: str | None = None,
    combination_separator: str | None = None,
    time_key: str | None = None,
    split_key: str | None = None,
    batch_key: str | None = None,
    cell_type_key: str | None = None,
    counts_layer: str | None = None,
    normalization: str = "total",
    layer: str | None = None,
    min_cells: int = MIN_CELLS,
) -> md.MuData:
    """Read one, two or three modalities of the same cells, whatever they are kept in, and check them.

    Parameters
    ----------
    path
        A file with all modalities: ``.h5mu``; ``.h5ad`` (RNA, or with proteins in ``obsm``, or with
        ``var["feature_types"]``); 10x ``.h5``; a 10x folder with ``matrix.mtx``; a ``.zarr`` store. Or an AnnData or
        MuData.
    rna, atac, protein
        A file for one modality each, joined on shared barcodes with the others in the order of the first.
    label_keys
        Columns of ``obs`` that must exist.
    perturbation_key, mode_key, dose_key, time_key, split_key, batch_key, cell_type_key
        Columns of ``obs`` to read, or ``"MODALITY:COLUMN"`` of a MuData; None looks for the usual names.
    perturbation_mode
        One of :data:`~waddington.twin.data.conditions.MODES`, for all perturbations whose mode no column says; None
        says no more than ``"perturbation"``.
    control
        A further label that means control; ``"nan"`` takes cells without a label for controls, which are left out
        otherwise.
    combination_separator
        What joins the perturbations of a label, such as ``"_"``; None takes ``"+"`` between known names.
    counts_layer
        The layer that holds raw counts; None looks for it, then in ``X``, then in ``raw.X``.
    normalization
        ``"total"``: raw counts are looked for, and normalized later. ``"none"``: values are taken as they are, because
        they are normalized already or no counts at all (log-normalized expression, mass cytometry, qPCR).
        ``"none:rna"``, ``"none:rna,protein"``: so for these modalities only.
    layer
        With ``normalization="none"``: the layer that holds the values; None takes ``X``.
    min_cells
        Fewest cells that are accepted.

    Returns
    -------
    mudata.MuData
        Modalities named as in :data:`~waddington.twin.data.modalities.MODALITIES`, all with the same cells in the same
        order, counts in ``X`` and ``layers["counts"]`` (CSR, float32), or values taken as they are in ``X`` and
        ``layers["values"]``. The global ``obs`` holds every column of the files and, where known, ``perturbation``,
        ``perturbation_mode``, ``time``, ``batch``, ``cell_type`` and ``split``; the unit of ``time`` is in
        ``uns["waddington"]["time_unit"]``. What was decided on the way is in ``uns["waddington"]["notes"]``.

    Raises
    ------
    ArgumentError
        When nothing is given, or one modality twice; or a normalization that is none.
    DataError
        When something is missing, broken or no raw counts; says what was found, where, and what is accepted.

    Examples
    --------
    >>> mdata = read("cells.h5mu")  # doctest: +SKIP
    >>> mdata = read(rna="rna.h5ad", atac="atac.h5ad", time_key="treatment_time")  # doctest: +SKIP
    """
    return read_all(
        path, rna=rna, atac=atac, protein=protein, label_keys=label_keys, perturbation_key=perturbation_key,
        mode_key=mode_key, dose_key=dose_key, perturbation_mode=perturbation_mode, control=control,
        combination_separator=combination_separator, time_key=time_key, split_key=split_key, batch_key=batch_key,
        cell_type_key=cell_type_key, counts_layer=counts_layer, normalization=normalization, layer=layer,
        min_cells=min_cells,
    )[0]  # fmt: skip


@fitting_in_memory()
def read_all(
    path: Source | None = None,
    *,
    rna: Source | None = None,
    atac: Source | None = None,
    protein: Source | None = None,
    label_keys: Sequence[str] = (),
    perturbation_key: str | None = None,
    mode_key: str | None = None,
    dose_key: str | None = None,
    perturbation_mode: str | None = None,
    control: str | None = None,
    combination_separator: str | None = None,
    time_key: str | None = None,
    split_key: str | None = None,
    batch_key: str | None = None,
    cell_type_key: str | None = None,
    counts_layer: str | None = None,
    normalization: str = "total",
    layer: str | None = None,
    min_cells: int = MIN_CELLS,
) -> tuple[md.MuData, md.MuData | None]:
    """Read as :func:`read` does, and give the cells that were left out, too.

    Returns
    -------
    cells : mudata.MuData
        What :func:`read` gives.
    left_out : mudata.MuData or None
        See :func:`~waddington.twin.data.io.left_out.gather_left_out`; None where every cell was read.
    """
    roles = {"": path, "rna": rna, "atac": atac, "protein": protein}
    sources = {role: source for role, source in roles.items() if source is not None}
    if not sources:
        raise ArgumentError(f"cannot read without a source: accepted is {ACCEPTED}, or one of rna, atac and protein")
    if perturbation_mode is not None:
        check_choice("perturbation_mode", perturbation_mode, MODES)
    if combination_separator == "":
        raise ArgumentError("cannot use combination_separator='': accepted is at least one character")
    given = given_modalities(normalization, layer=layer)
    # Every path is looked at before the first is opened, which may take long.
    for source in sources.values():
        if not isinstance(source, ad.AnnData | md.MuData):
            check_exists(_path(source))

    parts: dict[str, Part] = {}
    tables: dict[str, pd.DataFrame] = {}
    notes: list[str] = []
    uns: dict[str, Any] = {}
    joint: dict[str, pd.DataFrame] = {}
    for role, source in sources.items():
        in_memory = isinstance(source, ad.AnnData | md.MuData)
        name = f"the {type(source).__name__} given" if in_memory else _path(source).name
        data = make_ready(source if in_memory else open_file(_path(source)), source=name)
        found, said = split_modalities(data, source=name, role=role or None)
        notes += said
        for modality, adata in found.items():
            if modality in parts:
                raise ArgumentError(
                    f"cannot read {modality} twice: found it in {parts[modality].source} and in {name}; "
                    "accepted is one source"
                )
            parts[modality] = Part(adata, name)
        _collect_obs(data, found, tables)
        if isinstance(data, md.MuData):
            uns.update(data.uns)
            joint.update(_joint_arrays(data))

    missing = [name for name in given if name not in parts] if normalization != "none" else []
    if missing:
        raise ArgumentError(
            f"cannot use normalization={normalization!r}: found no {' and no '.join(missing)}, only {', '.join(parts)}"
        )
    mdata, said = build(parts, counts_layer=counts_layer, as_given=given, layer=layer, min_cells=min_cells)
    notes += said
    label = " and ".join(dict.fromkeys(part.source for part in parts.values()))
    obs = merge_obs(tables, mdata.obs_names)
    check_columns(label_keys, obs, source=label)
    keys = LabelKeys(
        perturbation=named_column(perturbation_key, tables, obs),
        mode=named_column(mode_key, tables, obs),
        dose=named_column(dose_key, tables, obs),
        time=named_column(time_key, tables, obs),
        split=named_column(split_key, tables, obs),
        batch=named_column(batch_key, tables, obs),
        cell_type=named_column(cell_type_key, tables, obs),
        control=control,
        default_mode=perturbation_mode,
        separator=combination_separator,
    )
    genes = gene_names({modality: part.adata.var for modality, part in parts.items()})
    earlier = uns.get("waddington", {})
    units = {name: str(earlier.get(name, "")) for name in ("time_unit", "dose_unit")}
    columns = standard_columns(obs, keys, source=label, genes=genes, **units)
    if len(columns.obs) < mdata.n_obs:
        for modality in mdata.mod:
            check_size(len(columns.obs), 1, modality=modality, source=label, min_cells=min_cells)
        with quiet_mudata():
            mdata = mdata[mdata.obs_names.isin(columns.obs.index)].copy()
    mdata.obs = columns.obs
    for key, frame in joint.items():
        mdata.obsm[key] = frame.reindex(mdata.obs_names).to_numpy()
    mdata.uns.update(uns)
    mdata.uns["waddington"] = {
        **{key: earlier[key] for key in ("keys",) if key in earlier},
        "notes": [*notes, *columns.notes],
        "time_unit": columns.time_unit,
        **({"dose_unit": columns.dose_unit} if columns.dose_unit else {}),
        "sources": {modality: parts[modality].source for modality in in_order(parts)},
    }
    others = gather_left_out(parts, tables, mdata.obs_names, counts_layer=counts_layer, as_given=given, layer=layer)
    return mdata, others


def _path(source: Any) -> Path:
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError(f"cannot read from {type(source).__name__}: accepted is a path, an AnnData or a MuData")
    return Path(source).expanduser()


def _collect_obs(data: Any, found: dict[str, ad.AnnData], tables: dict[str, pd.DataFrame]) -> None:
    """Keep the tables of cells of a source: a MuData's own first, then each modality's."""
    if isinstance(data, md.MuData):
        # The global table also holds copies of the modalities' columns, as "rna:n_counts".
        copies = [column for column in data.obs.columns if str(column).split(":")[0] in data.mod]
        tables[""] = data.obs.drop(columns=copies)
        tables.update({modality: adata.obs for modality, adata in found.items()})
        tables.update({name: adata.obs for name, adata in data.mod.items() if is_guides(name)})
    else:
        # Protein taken out of obsm has no columns of its own, so every table of this source is the same one.
        tables[next(iter(found))] = data.obs


def _joint_arrays(data: md.MuData) -> dict[str, pd.DataFrame]:
    """Take what a MuData holds for all modalities together; its masks of cells by modality are made anew."""
    return {
        key: pd.DataFrame(values, index=data.obs_names)
        for key, values in data.obsm.items()
        if key not in data.mod and getattr(values, "ndim", 0) == 2 and not hasattr(values, "tocsr")
    }
