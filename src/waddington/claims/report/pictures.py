"""Pictures of parts: their own, or where they have none, what was found beside what the paper prints."""

from __future__ import annotations

import io
from collections.abc import Iterable

from waddington.claims.verdict import ClaimEntry, PartEntry

__all__ = ["picture_of", "pictures_of"]

_COLORS = 256
"""In a picture: some ten of lines, and the steps from each to white at its edges."""


def picture_of(part: PartEntry, *, dpi: int = 130) -> bytes | None:
    """Draw a part as PNG; None where it has no picture, or where records of it are missing."""
    figure = part.drawn()
    if figure is None:
        return None
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    return _in_few_colors(drawn)


def _in_few_colors(drawn: io.BytesIO) -> bytes:
    """Give a picture a palette of its own: lines and letters look the same in a quarter of the bytes."""
    from PIL import Image  # matplotlib draws its files with it

    held = io.BytesIO()
    # By how far colors lie apart, not by how many dots have them: a thin line keeps its own.
    few = Image.open(drawn).convert("RGB").quantize(_COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(held, format="png", optimize=True)
    return held.getvalue()


def pictures_of(entries: Iterable[ClaimEntry]) -> dict[tuple[str, str], bytes]:
    """Draw every part that has a picture, by claim and part."""
    return {
        (entry.claim.id, part.part.name): drawn
        for entry in entries
        for part in entry.parts
        if (drawn := picture_of(part)) is not None
    }
