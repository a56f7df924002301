"""A bound, what holds without it, and the curve that both bound."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from waddington.analysis.bounds import Judgement
from waddington.analysis.plots import _style as style
from waddington.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bound"]


@style.styled
def bound(
    judgements: Judgement | Mapping[str, Judgement],
    *,
    ylabel: str = "",
    title: str = "",
    size: tuple[float, float] = (5.6, 3.4),
) -> Figure:
    """Draw bounds (dashed), their trivial bound (dotted) and the measured curves, both axes logarithmic.

    Parameters
    ----------
    judgements
        One, or several by name; curves that several share are drawn once for each.
    ylabel
        What is bounded, with its unit.
    title
        Above the picture.
    size
        In inches.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; what was found stands below it.

    Raises
    ------
    ArgumentError
        Nothing positive is there to draw.
    """
    named = {judgements.bound.name: judgements} if isinstance(judgements, Judgement) else dict(judgements)
    if not any((each.measured > 0).any() or (each.allowed > 0).any() for each in named.values()):
        raise ArgumentError("cannot draw a bound: neither it nor the curve is positive; accepted: positive values")
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    drawn: set[float] = set()
    for name, each in named.items():
        color = style.color_of(named, name)
        axes.plot(each.steps, _positive(each.measured), color=color, label=f"{name}, measured")
        axes.plot(each.steps, _positive(each.allowed), "--", color=color, label=f"{name}, bound")
        trivial = each.bound.trivial
        if math.isfinite(trivial) and trivial > 0 and trivial not in drawn:
            label = None if drawn else "trivial bound"
            axes.axhline(trivial, linestyle=":", color=style.MUTED, label=label)
            drawn.add(trivial)
    axes.set(xscale="log", yscale="log", xlabel="steps T", ylabel=ylabel, title=title)
    axes.legend()
    found = [textwrap.fill(each.sentence, width=int(18 * size[0])) for each in named.values()]
    style.note(figure, ["\n".join(found)])
    return figure


def _positive(values: np.ndarray) -> np.ndarray:
    """Leave out what a logarithmic axis cannot show."""
    return np.where(values > 0, values, np.nan)
