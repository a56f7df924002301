"""Predicted against observed change, a point a feature, a panel a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from waddington._text import cell_width, counted
from waddington.errors import DataError
from waddington.twin.data.modalities import TITLES
from waddington.twin.plots.labels import short_labels
from waddington.twin.plots.style import (
    INK,
    MUTED,
    Panels,
    clean,
    colors_for,
    new_figure,
    panels_from,
    styled,
)

__all__ = ["scatter"]

_Array = npt.NDArray[np.float64]
_LONGEST = 22  # columns of a name
_SUPPORTED, _FLAGGED = "every part was measured", "guess: a part was never measured"


@styled
def scatter(
    predicted: Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    observed: Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    *,
    names: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
    n_named: int = 6,
    flagged: Mapping[str, npt.ArrayLike] | npt.ArrayLike | None = None,
    quantity: str = "change Δ (as analysed)",
    axes: Axes | Sequence[Axes] | Mapping[str, Axes] | None = None,
    size: tuple[float, float] | None = None,
) -> Panels:
    """Draw predicted against observed change per feature, with the identity line and what the agreement is.

    Parameters
    ----------
    predicted, observed
        One value a feature, or modality to such; pairs that are not finite are left out and counted in the panel.
    names
        Feature names, aligned; those with the largest observed change are written beside their points.
    n_named
        How many are written at most in each panel.
    flagged
        Whether a value is a guess about a perturbation that was never measured, aligned; those are drawn hollow, with
        a legend that says so.
    quantity
        What the axes show, after "Observed" and "Predicted".
    axes
        Axes to draw in, one a modality; by default a new figure.
    size
        Width and height of a new figure in inches.

    Returns
    -------
    Panels named after the modalities ("all" for bare arrays).

    Raises
    ------
    DataError
        Lengths that differ, or fewer than 2 finite pairs.
    """
    guesses = predicted if isinstance(predicted, Mapping) else {"all": predicted}
    truths = observed if isinstance(observed, Mapping) else {"all": observed}
    if set(guesses) != set(truths):
        raise DataError(f"cannot compare: predicted has {', '.join(guesses)}; observed has {', '.join(truths)}")
    guessed = flagged if isinstance(flagged, Mapping) else {} if flagged is None else dict.fromkeys(guesses, flagged)
    named = names if isinstance(names, Mapping) else ({} if names is None else dict.fromkeys(guesses, names))
    if axes is None:
        figure = new_figure(*(size or (2.75 * len(guesses) + 0.2, 3.0)))
        drawn = dict(zip(guesses, np.atleast_1d(figure.subplots(1, len(guesses))), strict=True))
    else:
        drawn = panels_from(axes, list(guesses))
    colors = colors_for(list(guesses))
    for modality, panel in drawn.items():
        truth = np.asarray(truths[modality], dtype=np.float64).ravel()
        guess = np.asarray(guesses[modality], dtype=np.float64).ravel()
        if len(truth) != len(guess):
            raise DataError(
                f"cannot compare {modality!r}: found {counted(len(guess), 'predicted value')} and "
                f"{counted(len(truth), 'observed value')}"
            )
        hollow = np.asarray(guessed.get(modality, np.zeros(len(truth), dtype=bool)), dtype=bool).ravel()
        if len(hollow) != len(truth):
            raise DataError(f"cannot draw {modality!r}: found {len(hollow)} flags and {counted(len(truth), 'value')}")
        written = [str(name) for name in named.get(modality, [])]
        _draw_panel(panel, guess, truth, hollow, written, n_named, colors[modality])
        panel.set_title(TITLES.get(modality, modality))
        panel.set_xlabel(f"Observed {quantity}")
    next(iter(drawn.values())).set_ylabel(f"Predicted {quantity}")
    return Panels(drawn)


def _draw_panel(
    axes: Axes,
    guess: _Array,
    truth: _Array,
    hollow: npt.NDArray[np.bool_],
    names: list[str],
    n_named: int,
    color: str,
) -> None:
    """Draw one modality's points, the identity, and the numbers."""
    finite = np.isfinite(guess) & np.isfinite(truth)
    if finite.sum() < 2:
        raise DataError(
            f"cannot draw predicted against observed: {int(finite.sum())} finite pairs of {len(truth)}; 2 are needed"
        )
    low = float(min(guess[finite].min(), truth[finite].min()))
    high = float(max(guess[finite].max(), truth[finite].max()))
    margin = 0.08 * (high - low or 1.0)
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.axhline(0.0, color="#d5dade", linewidth=0.6, zorder=0)
    axes.axvline(0.0, color="#d5dade", linewidth=0.6, zorder=0)
    many = finite.sum() > 400
    size, alpha = (6, 0.35) if many else (12, 0.65)
    full, empty = finite & ~hollow, finite & hollow
    axes.scatter(
        truth[full], guess[full], s=size, color=color, alpha=alpha, linewidths=0, rasterized=True, zorder=2,
        label=_SUPPORTED if full.any() else None,
    )  # fmt: skip
    if empty.any():
        axes.scatter(
            truth[empty], guess[empty], s=size, facecolors="none", edgecolors=color, alpha=min(2 * alpha, 1.0),
            linewidths=0.7, rasterized=True, zorder=2, label=_FLAGGED,
        )  # fmt: skip
        axes.legend(loc="lower right", fontsize=6.5, handletextpad=0.2, borderaxespad=0.4, framealpha=0.8)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    _write_names(axes, guess, truth, names, finite, n_named)
    numbers = _agreement(guess[finite], truth[finite], int((~finite).sum()))
    axes.text(
        0.03, 0.97, numbers, transform=axes.transAxes, ha="left", va="top", fontsize=7, linespacing=1.35,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    clean(axes)


def _agreement(guess: _Array, truth: _Array, left_out: int) -> str:
    """Write Pearson's r, R² against the identity line and the number of features."""
    r = float(np.corrcoef(guess, truth)[0, 1]) if guess.std() > 0 and truth.std() > 0 else float("nan")
    variance = float(((truth - truth.mean()) ** 2).sum())
    r2 = 1.0 - float(((truth - guess) ** 2).sum()) / variance if variance > 0 else float("nan")
    lines = [
        f"r = {r:.2f}" if np.isfinite(r) else "r not defined",
        f"R² = {r2:.2f}" if np.isfinite(r2) else "R² not defined",
    ]
    lines.append(f"n = {len(truth)}" + (f" ({left_out} left out)" if left_out else ""))
    return "\n".join(lines).replace("-", "−")


def _write_names(
    axes: Axes, guess: _Array, truth: _Array, names: list[str], finite: npt.NDArray[np.bool_], n_named: int
) -> None:
    """Write names beside the largest changes, leaving out a name that would touch one already written."""
    if len(names) != len(truth) or n_named <= 0:
        return
    low, high = axes.get_xlim()
    span = high - low
    placed: list[tuple[float, float, float]] = []
    order = np.argsort(-np.abs(np.where(finite, truth, 0.0)), kind="stable")
    shown_as = short_labels([names[i] for i in order[: 6 * n_named]], _LONGEST)
    for i in order[: 6 * n_named]:
        if len(placed) == n_named or not finite[i] or truth[i] == 0:
            continue
        name = shown_as[names[i]]
        width = (0.024 * cell_width(name) + 0.03) * span
        # Above the identity line there is room to the left, below it to the right, unless the frame is near.
        leftwards = (guess[i] > truth[i] or truth[i] + width > high) and truth[i] - width > low
        x0 = truth[i] - width if leftwards else truth[i]
        in_numbers = x0 < low + 0.34 * span and guess[i] > high - 0.24 * span
        touching = any(abs(guess[i] - y) < 0.05 * span and x0 < b and x0 + width > a for a, b, y in placed)
        if in_numbers or touching or x0 + width > high:
            continue
        placed.append((x0, x0 + width, float(guess[i])))
        text = axes.annotate(
            name, (truth[i], guess[i]), xytext=(-4 if leftwards else 4, 0), textcoords="offset points",
            ha="right" if leftwards else "left", va="center", fontsize=6.5, color=INK, zorder=4,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
