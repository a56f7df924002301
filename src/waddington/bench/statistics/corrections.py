"""Corrections of p-values for the number of questions asked."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import Literal

from waddington._checks import check_choice
from waddington.bench.statistics._libraries import statsmodels_multitest

__all__ = ["corrected"]


def corrected(
    p_values: Sequence[float | None], *, method: Literal["holm", "bonferroni"] = "holm"
) -> tuple[float | None, ...]:
    """Correct p-values of one family of contrasts.

    Parameters
    ----------
    p_values
        One for each contrast. None, a contrast that could not be tested, still counts as a question: as p = 1.
    method
        "holm" or "bonferroni", as ``statsmodels.stats.multitest.multipletests`` has them.

    Returns
    -------
    The corrected values; None stays None.
    """
    check_choice("method", method, ("holm", "bonferroni"))
    if len(p_values) < 2:
        return tuple(p_values)
    given = [1.0 if p is None else p for p in p_values]
    with _nothing_to_collect():
        found = statsmodels_multitest().multipletests(given, method=method)[1]
    return tuple(None if p is None else float(q) for p, q in zip(p_values, found, strict=True))


@contextlib.contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Keep all objects from garbage collection: statsmodels asks for one, which takes a third of a second with torch.

    Where the user has frozen objects already, they alone know when to thaw them.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
