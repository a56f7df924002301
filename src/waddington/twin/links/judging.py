"""When a score is a link: above what unpaired cells score, and above what other pairs of the same feature and gene do.

Two thirds of all peaks correlate with any gene that differs between cell types. So it is not enough that cells are
paired: a link must also stand out among the other pairs of its feature and of its gene.

References
----------
Faith et al., *Large-scale mapping and validation of Escherichia coli transcriptional regulation from a compendium of
expression profiles*, PLoS Biology 5 (2007): scores against the background of both partners. Benjamini and Hochberg,
*Controlling the false discovery rate*, JRSS B 57 (1995).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

__all__ = ["FOUND", "judge", "stand_out"]

Floats = npt.NDArray[np.floating]

FOUND: Final = ["score", "null", "z", "p_value", "q_value", "linked"]
"""Columns of what :func:`judge` finds."""


def stand_out(scores: Floats) -> npt.NDArray[np.float64]:
    """Say by how much each pair exceeds the other pairs of its feature and of its gene.

    Parameters
    ----------
    scores
        (features, genes).

    Returns
    -------
    numpy.ndarray
        Mean of the two standard scores, (features, genes): of variance 1 at most.
    """
    found = np.zeros(scores.shape)
    for axis in (0, 1):
        spread = scores.std(axis=axis, keepdims=True)
        centred = scores - scores.mean(axis=axis, keepdims=True)
        found += np.divide(centred, spread, out=np.zeros(scores.shape), where=spread > 1e-9)
    return np.asarray(found / 2.0)


def judge(
    scores: Floats, candidates: npt.NDArray[np.bool_], *, unpaired: Floats | None = None, fdr: float = 0.05
) -> pd.DataFrame:
    """Judge candidate pairs by the larger of two p-values, each of a null that the other does not hold.

    Parameters
    ----------
    scores
        (features, genes).
    candidates
        Pairs that may be links, (features, genes). The others are the background: permuted links.
    unpaired
        Scores of the same pairs where cells were not paired, (permutations, features, genes); None where there are
        none.
    fdr
        Expected share of links that are none.

    Returns
    -------
    pandas.DataFrame
        A row a candidate, in the order of ``numpy.nonzero(candidates)``: score, null (what the share `fdr` of the
        feature's unpaired scores exceeds; NaN without them), z (:func:`stand_out`), p_value, q_value (Benjamini and
        Hochberg), linked.
    """
    z = stand_out(scores)
    found = pd.DataFrame({"score": scores[candidates], "null": np.nan, "z": z[candidates]})
    others = z[~candidates]
    # A background that is too small for one pair alone to pass gives way to the normal distribution.
    enough = fdr * others.size >= len(found)
    p = _tail(others, found["z"].to_numpy()) if enough else stats.norm.sf(found["z"])
    if unpaired is not None:
        # Sparse features have wide nulls and dense ones narrow ones; each is normal to a good approximation.
        spread = np.sqrt(np.mean(unpaired.reshape(-1, *scores.shape) ** 2, axis=(0, 2)))
        spread = np.maximum(spread, 1e-9)[np.nonzero(candidates)[0]]
        found["null"] = stats.norm.isf(fdr) * spread
        p = np.maximum(p, stats.norm.sf(found["score"] / spread))
    found["p_value"] = p
    found["q_value"] = stats.false_discovery_control(p) if len(p) else p
    above = found["score"] > found["null"] if unpaired is not None else True
    return found.assign(linked=(found["q_value"] <= fdr) & above)


def _tail(null: Floats, values: Floats) -> npt.NDArray[np.float64]:
    """Share of a null that is as large, itself counted, so that no value is impossible."""
    ordered = np.sort(null)
    return np.asarray((1.0 + ordered.size - np.searchsorted(ordered, values, side="left")) / (1.0 + ordered.size))
