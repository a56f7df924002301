"""What every model of cells has in common: the user says once, on the data, which columns and layers hold what."""

from __future__ import annotations

from typing import Unpack

import anndata as ad
import mudata as md

from waddington.errors import ArgumentError
from waddington.twin.data.setup import Setup, SetupKeys, register

__all__ = ["CellModel"]


class CellModel:
    """A model that reads cells as they were set up."""

    @staticmethod
    def setup_anndata(adata: ad.AnnData, **keys: Unpack[SetupKeys]) -> None:
        """Register which columns and layers hold what, in ``uns["waddington"]["setup"]``.

        Parameters
        ----------
        adata
            One modality.
        **keys
            Fields of :class:`~waddington.twin.data.setup.Setup`: ``layer``, ``perturbation_key``, ``control``,
            ``mode_key``, ``dose_key``, ``perturbation_mode``, ``combination_separator``, ``time_key``, ``split_key``,
            ``batch_key``, ``cell_type_key``, ``normalization``. What is not named is looked for under its usual names.

        Raises
        ------
        DataError
            When something named is missing, or labels cannot be read.
        """
        if not isinstance(adata, ad.AnnData):
            raise ArgumentError(f"cannot set up {type(adata).__name__} as AnnData: accepted is an AnnData")
        register(adata, Setup.of(**keys))

    @staticmethod
    def setup_mudata(mdata: md.MuData, **keys: Unpack[SetupKeys]) -> None:
        """Register which columns and layers of a MuData hold what; see :meth:`setup_anndata`.

        A column of one modality is named ``"MODALITY:COLUMN"``, such as ``"gdo:target"``.
        """
        if not isinstance(mdata, md.MuData):
            raise ArgumentError(f"cannot set up {type(mdata).__name__} as MuData: accepted is a MuData")
        register(mdata, Setup.of(**keys))
