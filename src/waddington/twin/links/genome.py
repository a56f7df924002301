"""Where features lie on the genome, read from the columns and names that are in use, and which lie near each other."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["near_pairs", "places"]

_CHROMOSOME = ("chromosome", "chrom", "chr", "seqnames", "seqname")
_INTERVAL = r"^(?P<chromosome>[^:\s]+?)[:_-](?P<start>\d+)[-_](?P<end>\d+)$"


def places(var: pd.DataFrame) -> pd.DataFrame:
    """Read the place of each feature.

    Parameters
    ----------
    var
        Features by name. Columns ``chromosome`` (or ``chrom``, ``chr``, ``seqnames``), ``start`` and ``end`` are read,
        or else ``interval`` as 10x writes it, or else the names: ``chr1:100-200``, ``chr1_100_200``, ``chr1-100-200``.

    Returns
    -------
    pandas.DataFrame
        chromosome, start, end in bases; features whose place cannot be read are left out.
    """
    named = {str(column).lower(): column for column in var.columns}
    chromosome = next((named[name] for name in _CHROMOSOME if name in named), None)
    if chromosome is not None and {"start", "end"} <= set(named):
        found = pd.DataFrame(
            {
                "chromosome": var[chromosome].astype(str),
                "start": pd.to_numeric(var[named["start"]], errors="coerce"),
                "end": pd.to_numeric(var[named["end"]], errors="coerce"),
            }
        )
    else:
        written = var[named["interval"]].astype(str) if "interval" in named else var.index.to_series().astype(str)
        found = written.str.extract(_INTERVAL).astype({"start": float, "end": float})
    return found.dropna().astype({"start": np.int64, "end": np.int64})


def near_pairs(features: pd.DataFrame, genes: pd.DataFrame, *, window: int) -> pd.DataFrame:
    """List pairs on one chromosome that are at most so far apart.

    Parameters
    ----------
    features, genes
        As :func:`places` gives them.
    window
        Most bases between the two; 0 asks for an overlap.

    Returns
    -------
    pandas.DataFrame
        feature, gene, distance: bases between the nearest ends, 0 where the two overlap.
    """
    found = []
    for chromosome, here in features.groupby("chromosome", sort=False):
        there = genes[genes["chromosome"] == chromosome]
        start, end = here["start"].to_numpy()[:, None], here["end"].to_numpy()[:, None]
        gap = np.maximum(there["start"].to_numpy() - end, start - there["end"].to_numpy())
        distance = np.maximum(gap, 0)
        row, column = np.nonzero(distance <= window)
        found.append(
            pd.DataFrame({"feature": here.index[row], "gene": there.index[column], "distance": distance[row, column]})
        )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["feature", "gene", "distance"])
