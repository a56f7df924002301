"""Pictures of parts: their own, or where they have none, what was found beside what the paper prints."""

from __future__ import annotations

import io
from collections.abc import Iterable

from waddington.claims.verdict import ClaimEntry, PartEntry

__all__ = ["picture_of", "pictures_of"]


def picture_of(part: PartEntry, *, dpi: int = 130) -> bytes | None:
    """Draw a part as PNG; None where it has no picture, or where records of it are missing."""
    if part.part.picture is None or part.missing:
        return None
    figure = part.part.picture(part.records)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=dpi, metadata={"Software": None})
    return held.getvalue()


def pictures_of(entries: Iterable[ClaimEntry]) -> dict[tuple[str, str], bytes]:
    """Draw every part that has a picture, by claim and part."""
    return {
        (entry.claim.id, part.part.name): drawn
        for entry in entries
        for part in entry.parts
        if (drawn := picture_of(part)) is not None
    }
