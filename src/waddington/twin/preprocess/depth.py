"""How deeply each cell was sequenced: its total or a column, what that is scaled to, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping

import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin.data.modalities import COUNTS_LAYER, TITLES
from waddington.twin.preprocess.features import is_as_given
from waddington.twin.preprocess.fitting import FittedModality, Options
from waddington.twin.preprocess.transforms import cell_totals

__all__ = ["cell_depth", "check_scaling", "depth_notes"]


def cell_depth(mdata: md.MuData, size_factor_key: str | None) -> npt.NDArray[np.float64] | None:
    """Give the size factor of each cell from a column of ``obs``; None without a column.

    Raises
    ------
    DataError
        When the column does not exist, or holds anything but finite numbers above 0.
    """
    if size_factor_key is None:
        return None
    if size_factor_key not in mdata.obs.columns:
        columns = ", ".join(map(repr, mdata.obs.columns)) or "none"
        raise DataError(f"cannot use size_factor_key={size_factor_key!r}: no such column; columns found: {columns}")
    column = pd.to_numeric(mdata.obs[size_factor_key].astype(object), errors="coerce")
    factors: npt.NDArray[np.float64] = column.to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(factors) & (factors > 0))
    if bad.any():
        raise DataError(
            f"cannot use size_factor_key={size_factor_key!r}: found {int(bad.sum())} of "
            f"{counted(len(factors), 'cell')} without a "
            f"size factor, the first is {str(mdata.obs[size_factor_key].iloc[int(bad.argmax())])!r} in cell "
            f"{str(mdata.obs_names[int(bad.argmax())])!r}; accepted are numbers above 0"
        )
    return factors


def check_scaling(mdata: md.MuData, *, target_sum: float | None, size_factor_key: str | None) -> None:
    """Refuse what says how RNA counts are scaled where there are none to scale.

    Raises
    ------
    ArgumentError
        When RNA is missing, or was declared to be taken as given.
    """
    for name, value in (("target_sum", target_sum), ("size_factor_key", size_factor_key)):
        if value is not None and ("rna" not in mdata.mod or is_as_given(mdata.mod["rna"])):
            found = "RNA is taken as given" if "rna" in mdata.mod else "there is no RNA"
            raise ArgumentError(f"cannot use {name}={value!r}: it scales RNA counts, and {found}; leave it out")


def depth_notes(mdata: md.MuData, fitted: Mapping[str, FittedModality], options: Options) -> list[str]:
    """Say how large the cells' totals are, what RNA was scaled to, and what was taken as given.

    Parameters
    ----------
    mdata
        The cells.
    fitted, options
        What preprocessed them: the attributes of :class:`Preprocessor`.
    """
    said = []
    for modality, record in fitted.items():
        if record.as_given:
            said.append(f"{TITLES[modality]}: values are taken as given, with Gaussian noise; nothing was normalized")
            continue
        totals = cell_totals(mdata.mod[modality].layers[COUNTS_LAYER])
        low, middle, high = np.quantile(totals, [0.05, 0.5, 0.95])
        sentence = f"{TITLES[modality]}: {middle:,.0f} counts in the median cell (5 to 95 %: {low:,.0f} to {high:,.0f})"
        if modality == "rna":
            depth = "totals" if options.size_factor_key is None else f"obs[{options.size_factor_key!r}]"
            whose = "the median of training cells" if options.target_sum is None else "as asked"
            sentence += f"; {depth} were scaled to {record.target_sum:,.6g}, {whose}, and logged"
        said.append(sentence)
    return said
