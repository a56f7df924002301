"""Loss curves: one line an optimizer, a band over its seeds, training and validation side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.plots.style import Panels, clean, colors_for, new_figure, panels_from, styled

__all__ = ["loss_curves"]

_COLUMNS = ("optimizer", "seed", "epoch", "split", "loss")
_TITLES = {"train": "Training", "validation": "Validation"}
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))


@styled
def loss_curves(
    history: pd.DataFrame,
    *,
    axes: Axes | Sequence[Axes] | Mapping[str, Axes] | None = None,
    size: tuple[float, float] | None = None,
    label: str = "Loss",
) -> Panels:
    """Draw mean ± sd of the loss per epoch over seeds, one line an optimizer.

    Parameters
    ----------
    history
        Tidy losses: ``optimizer``, ``seed``, ``epoch``, ``split`` ("train" or "validation"), ``loss``. Losses that
        are not finite are left out of the mean, and the number of such runs is written beside the optimizer's name.
    axes
        Axes to draw in, one a split; by default a new figure.
    size
        Width and height of a new figure in inches.
    label
        Name of the loss, with its unit if it has one.

    Returns
    -------
    Panels named after the splits.

    Raises
    ------
    DataError
        A column is missing, or there is no finite loss.
    """
    missing = [column for column in _COLUMNS if column not in history.columns]
    if missing:
        raise DataError(
            f"cannot draw loss curves: column(s) {', '.join(missing)} missing; found {', '.join(history.columns)}"
        )
    frame = history.assign(loss=pd.to_numeric(history["loss"], errors="coerce").replace([np.inf, -np.inf], np.nan))
    finite = frame.dropna(subset=["loss"])
    if finite.empty:
        raise DataError(f"cannot draw loss curves: none of {counted(len(history), 'loss', 'losses')} is finite")
    splits = [name for name in _TITLES if (finite["split"] == name).any()]
    splits += [name for name in finite["split"].unique() if name not in splits]
    if axes is None:
        width, height = size or (1.2 + 2.7 * len(splits) + 1.0, 2.9)
        figure = new_figure(width, height)
        panels = dict(zip(splits, np.atleast_1d(figure.subplots(1, len(splits), sharey=True)), strict=True))
    else:
        panels = panels_from(axes, splits)
    optimizers = list(dict.fromkeys(frame["optimizer"].astype(str)))
    colors = colors_for(optimizers)
    positive = bool((finite["loss"] > 0).all())
    spread = float(finite["loss"].max() / max(float(finite["loss"].min()), 1e-12)) if positive else 1.0
    for split, panel in panels.items():
        part = finite[finite["split"] == split]
        for index, optimizer in enumerate(optimizers):
            _draw_course(panel, part[part["optimizer"] == optimizer], colors[optimizer], index)
        panel.set_title(_TITLES.get(split, split))
        panel.set_xlabel("Epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        if spread > 30:
            panel.set_yscale("log")
        panel.margins(x=0.02)
        clean(panel, grid="y")
    first = next(iter(panels.values()))
    first.set_ylabel(label)
    last = list(panels.values())[-1]
    handles = [
        last.plot([], [], color=colors[name], linestyle=_DASHES[index % len(_DASHES)], label=_entry(frame, name))[0]
        for index, name in enumerate(optimizers)
    ]
    n_seeds = int(frame.groupby("optimizer")["seed"].nunique().max())
    title = f"Mean ± sd, {n_seeds} seeds" if n_seeds > 1 else "One seed"
    legend = last.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), title=title, alignment="left", handlelength=2.4
    )
    legend.get_title().set_fontsize(7.5)
    return Panels(panels)


def _draw_course(panel: Axes, runs: pd.DataFrame, color: str, index: int) -> None:
    """Draw one optimizer's mean loss and its band."""
    if runs.empty:
        return
    losses = runs.groupby("epoch")["loss"].agg(["mean", "std"]).fillna({"std": 0.0})
    epochs, mean, deviation = losses.index.to_numpy(), losses["mean"].to_numpy(), losses["std"].to_numpy()
    # A band that reaches below zero cannot be drawn on a logarithmic axis; losses that are positive stay so.
    low = np.maximum(mean - deviation, mean * 0.02) if (mean > 0).all() else mean - deviation
    panel.fill_between(epochs, low, mean + deviation, color=color, alpha=0.15, linewidth=0)
    marker = "o" if len(epochs) == 1 else None
    dashes = _DASHES[index % len(_DASHES)]
    panel.plot(epochs, mean, color=color, linestyle=dashes, marker=marker, markersize=4, zorder=3)


def _entry(frame: pd.DataFrame, optimizer: str) -> str:
    """Name an optimizer in the legend, with the number of its runs that lost a finite loss."""
    runs = frame[frame["optimizer"] == optimizer]
    broken = int(runs.groupby("seed")["loss"].apply(lambda losses: losses.isna().any()).sum())
    return f"{optimizer} ({broken} diverged)" if broken else optimizer
