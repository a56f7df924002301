"""One colour, one dash and one marker for an arm, on every picture of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ArmStyle", "arm_styles"]

# Okabe and Ito's colours, shifted so that each is seen on white and on near-black paper.
_COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#C2669B",
    "#B8860B",
    "#4A9FD4",
    "#7B68C8",
    "#7F8C99",
    "#A0522D",
    "#D81B60",
    "#6B8E23",
    "#008B8B",
)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "hexagon", "cross", "bowtie")


@dataclass(frozen=True, slots=True)
class ArmStyle:
    """How an arm is drawn.

    Attributes
    ----------
    color
        Hexadecimal.
    dash, marker
        As Plotly names them; they tell arms apart without colour.
    """

    color: str
    dash: str
    marker: str

    def faint(self, opacity: float) -> str:
        """Give the colour as one that lets things behind it through."""
        red, green, blue = (int(self.color[at : at + 2], 16) for at in (1, 3, 5))
        return f"rgba({red},{green},{blue},{opacity:g})"


def arm_styles(arms: Sequence[str]) -> dict[str, ArmStyle]:
    """Give each arm its style; where the colours are used up they come again with another dash."""
    return {
        arm: ArmStyle(
            _COLORS[at % len(_COLORS)],
            _DASHES[(at + 2 * (at // len(_COLORS))) % len(_DASHES)],
            _MARKERS[at % len(_MARKERS)],
        )
        for at, arm in enumerate(arms)
    }
