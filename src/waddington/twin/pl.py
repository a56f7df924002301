"""Pictures of an AnnData or MuData, and of tables: nothing is computed but what is drawn, nothing is written.

As in scanpy, every function takes ``ax`` to draw into, ``show`` and ``save`` (a file; its ending says the format), and
returns axes: one :class:`matplotlib.axes.Axes` where one was given, else the named panels of a new figure
(:class:`~waddington.twin.plots.Panels`), which a notebook shows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from waddington._checks import check_choice
from waddington._text import counted
from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.twin import plots
from waddington.twin._keys import recorded
from waddington.twin.data.conditions import condition_label, resolve_condition
from waddington.twin.data.setup import Cells, parts_of
from waddington.twin.data.splits import SPLITS
from waddington.twin.plots.style import Panels
from waddington.twin.preprocess.cells import profiles
from waddington.twin.trajectory.projection import project_2d

__all__ = ["landscape", "losses", "metrics", "scatter", "trajectories"]

_MOST_NUMBERS = 24
"""Most different numbers that are labels, such as times; more are a quantity, which has no colour of its own here."""
Place = str | os.PathLike[str] | None


def landscape(
    data: Cells,
    *,
    color: str | None = None,
    basis: str | None = None,
    use_rep: str = "X_twin",
    pseudotime_key: str = "pseudotime",
    trajectories: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike] | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: Place = None,
    **options: Any,
) -> Axes | Panels:
    """Draw Waddington's landscape of the cells.

    Parameters
    ----------
    data
        AnnData or MuData with ``obs["pseudotime"]`` (:func:`waddington.twin.tl.pseudotime`).
    color
        Column of ``obs`` that cells are coloured by; pseudotime by default.
    basis
        Key of ``obsm`` with a plane, such as ``"X_umap"``; by default `use_rep` is projected.
    use_rep
        Key of ``obsm`` that is projected to a plane.
    pseudotime_key
        Column of ``obs`` with an order in [0, 1].
    trajectories
        Paths in the plane of `basis`, (steps, 2); a mapping names them.
    ax
        Axes to draw in: flat ones get the map, those with ``projection="3d"`` the surface.
    show, save
        Whether to open a window, and a file to write.
    **options
        Of :func:`waddington.twin.plots.landscape`: ``view``, ``max_cells``, ``size``, …

    Raises
    ------
    DataError
        When a key is missing; lists those that are there.
    """
    _check_cells(data)
    times = np.asarray(_column(data, pseudotime_key, "waddington.twin.tl.pseudotime"), dtype=np.float64)
    labels = None if color is None else _labels(data, color)
    order = recorded(data).get("pseudotime", {}) if pseudotime_key == "pseudotime" else {}
    plane = _obsm(data, basis if basis is not None else use_rep)
    if basis is None:
        plane = project_2d(plane).astype(np.float64)
    elif plane.shape[1] < 2:
        raise DataError(f"cannot draw obsm[{basis!r}]: found shape {plane.shape}; accepted is a plane")
    cells = pd.Index(data.obs_names)
    known: dict[str, Any] = {
        "labels": labels,
        "trajectories": trajectories,
        "roots": [cells.get_loc(order["root"])] if order.get("root") in cells else [],
        "possible_roots": [cells.get_loc(cell) for cell in order.get("others", ()) if cell in cells],
        "descent": bool(order.get("is_descent", True)),
    }
    return _shown(plots.landscape(plane[:, :2], times, axes=ax, **{**known, **options}), ax, show, save)


def trajectories(
    data: Cells,
    *,
    pseudotime_key: str = "pseudotime",
    modality: str | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: Place = None,
    **options: Any,
) -> Axes | Panels:
    """Draw how features run along pseudotime, and which of them go up or down.

    Parameters
    ----------
    data
        Preprocessed AnnData or MuData with an order of cells.
    pseudotime_key
        Column of ``obs`` with the order.
    modality
        Draw this one; all by default.
    ax
        Axes for the courses of one modality.
    show, save
        Whether to open a window, and a file to write.
    **options
        Of :func:`waddington.twin.plots.trajectories`: ``n_features``, ``n_courses``, ``level``, …
    """
    _check_cells(data)
    times = np.asarray(_column(data, pseudotime_key, "waddington.twin.tl.pseudotime"), dtype=np.float64)
    parts = parts_of(data)
    if modality is not None and modality not in parts:
        raise ArgumentError(f"cannot draw modality={modality!r}: modalities are {', '.join(parts)}")
    if ax is not None and len(parts) > 1 and modality is None:
        raise ArgumentError(f"cannot draw {len(parts)} modalities into one ax: accepted is modality= beside it")
    found = profiles(parts if modality is None else {modality: parts[modality]})
    names = {name: features.tolist() for name, features in found.names.items()}
    return _shown(plots.trajectories(times, found.inputs, names, axes=ax, **options), ax, show, save)


def losses(
    data: Cells | pd.DataFrame,
    *,
    term: str = "total",
    split: str | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: Place = None,
    **options: Any,
) -> Axes | Panels:
    """Draw the losses of a training.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`waddington.twin.tl.embed`; or a table with the columns epoch, split and loss,
        such as :meth:`waddington.twin.embed.History.to_frame` gives, also with optimizer, seed and term.
    term
        Term of the loss: ``"total"``, ``"joint/rna"``, ``"agreement"``, …
    split
        Draw ``"train"`` or ``"validation"`` alone; both by default.
    ax
        Axes for one of the two, the training's where `split` does not say it.
    show, save
        Whether to open a window, and a file to write.
    **options
        Of :func:`waddington.twin.plots.loss_curves`.
    """
    if isinstance(data, pd.DataFrame):
        table = data
    else:
        embedded = _record(data, "embed", "waddington.twin.tl.embed")
        if "history" not in embedded:  # a run keeps losses of several optimizers and seeds
            raise DataError(
                "cannot draw losses of cells that a run embedded: they hold none; accepted are cells after "
                "waddington.twin.tl.embed, or a table, such as waddington.twin.Twin.history.to_frame(); the run's own "
                "picture is loss_curves.png"
            )
        table = embedded["history"]
    if "term" in table.columns:
        known = list(dict.fromkeys(table["term"]))
        if term not in known:
            raise DataError(f"cannot draw losses of term={term!r}: found {', '.join(map(str, known))}")
        table = table[table["term"] == term]
    if ax is not None and split is None:
        split = "train"
    if split is not None:
        check_choice("split", split, list(dict.fromkeys(table["split"])))
        table = table[table["split"] == split]
    if "optimizer" not in table.columns:
        table = table.assign(optimizer="encoder")
    if "seed" not in table.columns:
        table = table.assign(seed=0)
    return _shown(plots.loss_curves(table, axes=ax, **options), ax, show, save)


def metrics(
    data: Cells | pd.DataFrame,
    *,
    split: str | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: Place = None,
    **options: Any,
) -> Axes | Panels:
    """Draw metrics with their baselines.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`waddington.twin.tl.evaluate`, or its table.
    split
        Draw this way of being held out; by default the first of :data:`~waddington.twin.data.splits.SPLITS` that is
        there.
    ax
        Axes for one metric, named with ``names=["pearson"]``.
    show, save
        Whether to open a window, and a file to write.
    **options
        Of :func:`waddington.twin.plots.metric_bars`: ``names``, ``protocol``, ``size``.
    """
    table = data if isinstance(data, pd.DataFrame) else _record(data, "metrics", "waddington.twin.tl.evaluate")
    if ax is not None and len(list(options.get("names", ()))) != 1:
        raise ArgumentError("cannot draw several metrics into one ax: accepted is names= of one beside it")
    found = list(dict.fromkeys(table["split"]))
    chosen = split or next((name for name in SPLITS if name in found), found[0])
    panels = plots.metric_bars(table, split=chosen, axes=ax, **options)
    if ax is None:
        panels.figure.suptitle(f"{chosen}: {SPLITS.get(chosen, 'as the table says')}", fontsize=8)
    return _shown(panels, ax, show, save)


def scatter(
    predicted: ad.AnnData,
    observed: ad.AnnData,
    *,
    layer: str | None = "effect",
    modality: str | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: Place = None,
    **options: Any,
) -> Axes | Panels:
    """Draw predicted against observed values, a point a feature and condition.

    Parameters
    ----------
    predicted, observed
        Observations are conditions; those and the features that both have are drawn. `observed` may name conditions
        as a screen does (``"KLF1+MAPK1"``, as ``scanpy.get.aggregate`` leaves them). With ``var["modality"]``, as
        :func:`waddington.twin.tl.predict` gives it, each modality has a panel; predictions that ``obs["flagged"]``
        calls a guess are hollow.
    layer
        Layer that is compared. Where one of the two lacks ``"effect"``, and for None, ``X`` of both is; the axes say
        whether changes or values are drawn.
    modality
        Draw this one; all by default.
    ax
        Axes for one modality.
    show, save
        Whether to open a window, and a file to write.
    **options
        Of :func:`waddington.twin.plots.scatter`.

    Raises
    ------
    DataError
        When the two share no condition or feature, or one lacks a layer other than ``"effect"``.
    """
    for name, one in (("predicted", predicted), ("observed", observed)):
        if not isinstance(one, ad.AnnData):
            raise ArgumentError(f"cannot use {name} of type {type(one).__name__}: accepted is an AnnData of profiles")
    observed = _named_as(predicted, observed)
    conditions = predicted.obs_names.intersection(observed.obs_names, sort=False)
    features = predicted.var_names.intersection(observed.var_names, sort=False)
    if not len(conditions) or not len(features):
        raise DataError(
            f"cannot compare predicted with observed: they share {counted(len(conditions), 'condition')} "
            f"(predicted: {_first(predicted.obs_names)}; observed: {_first(observed.obs_names)}) and "
            f"{counted(len(features), 'feature')} (predicted: {_first(predicted.var_names)}; observed: "
            f"{_first(observed.var_names)}); accepted is at least one of each"
        )
    first, second = predicted[conditions, features], observed[conditions, features]
    groups = np.asarray(first.var["modality"], dtype=str) if "modality" in first.var else np.full(len(features), "all")
    wanted = [modality] if modality is not None else list(dict.fromkeys(groups.tolist()))
    if modality is not None and modality not in groups:
        raise ArgumentError(f"cannot draw modality={modality!r}: modalities are {', '.join(dict.fromkeys(groups))}")
    if ax is not None and len(wanted) > 1:
        raise ArgumentError(f"cannot draw {len(wanted)} modalities into one ax: accepted is modality= beside it")
    lacking = [name for name, one in (("predicted", first), ("observed", second)) if layer not in one.layers]
    if layer not in (None, "effect") and lacking:
        raise DataError(f"cannot compare layers[{layer!r}]: {' and '.join(lacking)} have none; None compares X")
    values = [_dense(one.X if lacking else one.layers[layer]) for one in (first, second)]
    tables = [{name: matrix[:, groups == name].ravel() for name in wanted} for matrix in values]
    names = {name: list(features[groups == name]) if len(conditions) == 1 else [] for name in wanted}
    hollow = (
        np.asarray(first.obs["flagged"], dtype=bool) if "flagged" in first.obs else np.zeros(len(first), dtype=bool)
    )
    flagged = {name: np.repeat(hollow, int((groups == name).sum())) for name in wanted}
    quantity = {} if layer == "effect" and not lacking else {"quantity": "value (as analysed)"}
    shown: dict[str, Any] = {"flagged": flagged, **quantity, **options}
    return _shown(plots.scatter(*tables, names=names, axes=ax, **shown), ax, show, save)


def _named_as(predicted: ad.AnnData, observed: ad.AnnData) -> ad.AnnData:
    """Give observed profiles whose conditions bear the names of the predicted ones, where bare names stand for them."""
    wanted = set(predicted.obs_names)
    names = [_canonical(name, wanted) for name in observed.obs_names]
    if names == list(observed.obs_names) or len(set(names)) < len(names):
        return observed
    renamed = observed.copy()
    renamed.obs_names = names
    return renamed


def _canonical(name: str, wanted: set[str]) -> str:
    """Name the wanted condition that a name stands for; the name itself where none is."""
    if name in wanted:
        return name
    try:
        label = condition_label(resolve_condition(name, wanted))
    except (DataError, UnsupportedError):
        return name
    return label if label in wanted else name


def _first(names: pd.Index) -> str:
    """Show the first names of an axis."""
    return ", ".join(map(repr, map(str, names[:2]))) + (", …" if len(names) > 2 else "") if len(names) else "none"


def _shown(panels: Panels, ax: Axes | None, show: bool, save: Place) -> Axes | Panels:
    """Write and show a picture as asked; give the caller's own axes back where there are any."""
    if save is not None:
        panels.save(Path(save).expanduser())
    if show:
        _open(panels)
    return panels if ax is None else ax


def _open(panels: Panels) -> None:
    """Show a picture below the cell of a notebook, or in a window that waits to be closed."""
    if "ipykernel" in sys.modules:
        from IPython.display import display

        display(panels)  # type: ignore[no-untyped-call]
        return
    from matplotlib import pyplot

    # A window belongs to a figure of pyplot; this one takes its place in it.
    shell = pyplot.figure(figsize=tuple(panels.figure.get_size_inches()))
    canvas = shell.canvas
    canvas.figure = panels.figure
    panels.figure.set_canvas(canvas)
    pyplot.show()
    pyplot.close(shell.number)


def _check_cells(data: Any) -> None:
    if not isinstance(data, ad.AnnData | md.MuData):
        raise ArgumentError(
            f"cannot draw {type(data).__name__}: accepted is an AnnData or a MuData; twin.plots draws arrays"
        )


def _column(data: Cells, name: str, writer: str | None) -> pd.Series:
    if name not in data.obs.columns:
        have = ", ".join(map(repr, data.obs.columns)) or "none"
        hint = f"; {writer} writes it" if writer else ""
        raise DataError(f"cannot use obs[{name!r}]: no such column (columns found: {have}){hint}")
    found: pd.Series = data.obs[name]
    return found


def _labels(data: Cells, color: str) -> npt.NDArray[np.str_]:
    found = _column(data, color, None)
    if pd.api.types.is_float_dtype(found) and (n := found.nunique()) > _MOST_NUMBERS:
        raise DataError(f"cannot color by obs[{color!r}]: found {n} different numbers; accepted is a column of labels")
    return np.asarray(found.astype(str))


def _obsm(data: Cells, name: str) -> npt.NDArray[np.float64]:
    if name not in data.obsm:
        have = ", ".join(map(repr, data.obsm)) or "none"
        hint = "; waddington.twin.tl.embed writes it" if name == "X_twin" else ""
        raise DataError(f"cannot use obsm[{name!r}]: no such key (keys found: {have}){hint}")
    return np.asarray(data.obsm[name], dtype=np.float64)


def _record(data: Cells, name: str, writer: str) -> Any:
    _check_cells(data)
    found = recorded(data)
    if name not in found:
        raise DataError(f"cannot use uns['waddington'][{name!r}]: it is not there; {writer} writes it")
    return found[name]


def _dense(values: Any) -> npt.NDArray[np.float64]:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)
