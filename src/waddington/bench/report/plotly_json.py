"""Small parts of Plotly's JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from waddington._text import visible

__all__ = ["Panel", "axis", "figure", "label", "log_axis", "numbers"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture.

    Attributes
    ----------
    title
        Heading above it.
    alt
        What a reader who cannot see it needs to know.
    json
        Plotly's figure: ``data`` and ``layout``.
    """

    title: str
    alt: str
    json: dict[str, Any]


def figure(
    traces: list[dict[str, Any]], *, xaxis: dict[str, Any], yaxis: dict[str, Any], height: int = 270, **layout: Any
) -> dict[str, Any]:
    """Put traces on axes; colours of paper and ink come from the page."""
    return {
        "data": traces,
        "layout": {
            "xaxis": xaxis,
            "yaxis": yaxis,
            "height": height,
            "margin": {"l": 56, "r": 12, "t": 10, "b": 44},
            "hovermode": "closest",
            "showlegend": False,
            **layout,
        },
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Give a linear axis."""
    return {"title": {"text": title, "standoff": 8}, "automargin": True, **more}


def log_axis(title: str) -> dict[str, Any]:
    """Give a logarithmic axis; numbers below and above a thousand are powers of ten."""
    return axis(title, type="log", exponentformat="power", minexponent=3)


def numbers(values: Any) -> list[float | None]:
    """Turn numbers into a list of six digits each; Plotly leaves a gap at None, where they are not finite."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in np.asarray(values, dtype=np.float64)]


def label(text: str) -> str:
    """Make a text safe for Plotly, which reads some HTML in its labels."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
