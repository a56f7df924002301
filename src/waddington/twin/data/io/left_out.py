"""Cells that reading leaves out, kept with the reason, so that they can be handed back beside the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import mudata as md
import pandas as pd

from waddington.twin.data.io.assemble import Part, measure
from waddington.twin.data.io.files import quiet_mudata
from waddington.twin.data.modalities import in_order, in_words

__all__ = ["REASON", "gather_left_out"]

REASON = "left_out"
"""Column of ``obs`` that says why a cell was left out."""


def gather_left_out(
    parts: Mapping[str, Part],
    tables: Mapping[str, pd.DataFrame],
    kept: pd.Index,
    *,
    counts_layer: str | None = None,
    as_given: Collection[str] = (),
    layer: str | None = None,
) -> md.MuData | None:
    """Gather the cells of the sources that are not among those that were read.

    Parameters
    ----------
    parts
        All cells of each modality.
    tables
        Tables of cells as :func:`~waddington.twin.data.io.assemble.merge_obs` takes them.
    kept
        Barcodes of the cells that were read.
    counts_layer, as_given, layer
        As :func:`~waddington.twin.data.io.assemble.build` takes them.

    Returns
    -------
    mudata.MuData or None
        The modalities of :func:`waddington.twin.data.io.read`, each with those of the cells that it measured; ``obs``
        holds the files' own columns and :data:`REASON`. None where no cell was left out.
    """
    missing = {name: part.adata.obs_names[~part.adata.obs_names.isin(kept)] for name, part in parts.items()}
    if not any(map(len, missing.values())):
        return None
    with quiet_mudata():
        others = md.MuData(
            {
                name: measure(
                    parts[name], missing[name], modality=name, counts_layer=counts_layer, as_given=as_given, layer=layer
                )[0]
                for name in in_order(parts)
                if len(missing[name])
            }
        )
    obs = pd.DataFrame(index=others.obs_names)
    for modality, table in tables.items():
        for column in table.columns:
            values = table[column].reindex(obs.index)
            plain = str(column).removeprefix(f"{modality}:")
            obs[plain] = obs[plain].where(obs[plain].notna(), values) if plain in obs else values
    lacks = {name: ~obs.index.isin(part.adata.obs_names) for name, part in parts.items()}
    unmeasured = [[in_words(name) for name in lacks if lacks[name][row]] for row in range(len(obs))]
    obs[REASON] = [f"no {' and no '.join(names)} measured" if names else "no label" for names in unmeasured]
    others.obs = obs
    return others
