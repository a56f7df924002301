"""What others published on the screens of docs/responses.md, with where it stands; nothing here was measured by us.

Values marked as read off a figure are near ones. All take the effect from one mean of the controls for all conditions,
so that the controls' noise is on both sides, which raises every Pearson correlation; ours halve the controls.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["PUBLISHED", "SOURCES", "Published"]


class Published(NamedTuple):
    """One published value."""

    split: str
    model: str
    pearson: float
    """Pearson's correlation of the change, mean or median over test conditions as the source gives it."""
    source: str


SOURCES: Final[dict[str, str]] = {
    "A": "Ahlmann-Eltze, Huber and Anders, Nature Methods 2025: Norman 2019 doubles, 1,000 most expressed genes, means "
    "over five splits, read off a figure",
    "S1": "Systema (Viñas Torné et al., Nature Biotechnology 2025): Norman 2019, unseen singles, a table",
    "S2": "Systema: Norman 2019 doubles, medians by how many of the two singles were seen, read off a figure",
}

PUBLISHED: Final[tuple[Published, ...]] = (
    Published("doubles", "GEARS", 0.628, "A"),
    Published("doubles", "scGPT", 0.520, "A"),
    Published("doubles", "scFoundation", 0.565, "A"),
    Published("doubles", "additive", 0.893, "A"),
    Published("doubles, both seen", "GEARS", 0.72, "S2"),
    Published("doubles, both seen", "scGPT", 0.89, "S2"),
    Published("doubles, both seen", "CPA", 0.72, "S2"),
    Published("doubles, both seen", "matching mean", 0.93, "S2"),
    Published("doubles, one seen", "GEARS", 0.65, "S2"),
    Published("doubles, one seen", "scGPT", 0.71, "S2"),
    Published("doubles, one seen", "CPA", 0.53, "S2"),
    Published("doubles, one seen", "matching mean", 0.81, "S2"),
    Published("doubles, none seen", "GEARS", 0.57, "S2"),
    Published("doubles, none seen", "scGPT", 0.53, "S2"),
    Published("doubles, none seen", "CPA", 0.27, "S2"),
    Published("doubles, none seen", "mean", 0.64, "S2"),
    Published("unseen single", "GEARS", 0.41, "S1"),
    Published("unseen single", "scGPT", 0.40, "S1"),
    Published("unseen single", "CPA", 0.21, "S1"),
    Published("unseen single", "mean", 0.49, "S1"),
)
