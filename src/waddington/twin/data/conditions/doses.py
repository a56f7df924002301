"""How much of a drug: the dose in a name, ``"Dex@10"``, which reads back exactly.

A dose is a plain number above 0, in the unit of the data. A name that ends in ``@``, or in ``@`` and a number, and is
no dose bears one more ``@``: ``"X@10@"`` is the name ``"X@10"``.
"""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["DOSE", "NUMBER", "split_dose", "with_dose"]

DOSE: Final = "@"
NUMBER: Final = r"(?:\d+\.?\d*|\.\d+)(?:[eE]-?\d+)?"
_DOSED: Final = re.compile(rf"(?P<name>.*\S){DOSE}(?P<dose>{NUMBER})", re.ASCII | re.DOTALL)


def split_dose(text: str) -> tuple[str, float | None]:
    """Take a name and its dose apart; None where it bears none."""
    if len(text) > 1 and text.endswith(DOSE):
        return text[:-1], None
    found = _DOSED.fullmatch(text)
    dose = float(found["dose"]) if found else math.inf
    return (found["name"], dose) if found and math.isfinite(dose) else (text, None)


def with_dose(name: str, dose: float | None) -> str:
    """Write a name with its dose; the inverse of :func:`split_dose`."""
    if dose is not None:
        # Without the plus of 1e+20, which would join two names.
        return f"{name}{DOSE}{repr(float(dose)).removesuffix('.0').replace('e+', 'e')}"
    return name if split_dose(name) == (name, None) else f"{name}{DOSE}"
