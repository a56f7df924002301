"""Features of new cells, brought into the order of those that were fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mudata as md

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.io.files import quiet_mudata

__all__ = ["align_features"]


def align_features(mdata: md.MuData, names: Mapping[str, Sequence[str]]) -> md.MuData:
    """Give a MuData of the fitted features, found by name; other features and modalities are left out.

    Parameters
    ----------
    mdata
        Cells from :func:`waddington.twin.data.io.read`; not changed.
    names
        Features that were fitted, in their order, by modality; a modality may be missing from the cells.

    Raises
    ------
    DataError
        When no fitted modality is there, or features of one are missing; names the first.
    """
    shared = [name for name in names if name in mdata.mod]
    if not shared:
        raise DataError(f"cannot use modalities {', '.join(mdata.mod)}: fitted were {', '.join(names)}")
    parts = {}
    for modality in shared:
        part = mdata.mod[modality]
        missing = [name for name in names[modality] if name not in part.var_names]
        if missing:
            raise DataError(
                f"cannot use {modality}: {len(missing)} of {counted(len(names[modality]), 'fitted feature')} missing,"
                f" the first is {missing[0]!r}; accepted are all of them, in any order and with others beside them"
            )
        same = list(part.var_names) == list(names[modality])
        parts[modality] = part if same else part[:, list(names[modality])].copy()
    with quiet_mudata():
        aligned = md.MuData(parts)
    aligned.obs = mdata.obs
    return aligned
