"""Preprocessing of all modalities, fitted on training cells and applied to any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, Self

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt

from waddington._checks import check_choice, check_count, check_in_range
from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin._keys import record
from waddington.twin.data.modalities import MODALITIES, in_order
from waddington.twin.preprocess.components import project
from waddington.twin.preprocess.depth import cell_depth
from waddington.twin.preprocess.features import is_as_given, measured
from waddington.twin.preprocess.fitting import FittedModality, Options, fit_as_given, fit_modality, normalize

__all__ = ["REDUCED", "Preprocessor"]

REDUCED: Final = {"rna": "X_pca", "atac": "X_lsi", "protein": "X_pca"}
"""The key of ``obsm`` under which each modality's components are written."""


class Preprocessor:
    """Normalization, selection of features and components for each modality.

    RNA is scaled to a common total and logged, and the most variable genes are selected; ATAC is weighed by TF-IDF,
    with LSI on the most accessible peaks; protein gets centred log ratios. A modality that was read with
    ``normalization="none"`` keeps its values, and the features that vary most are selected. What is learned from more
    than one cell is learned from training cells.

    Parameters
    ----------
    target_sum
        Total of each cell's RNA after scaling; None takes the median of the training cells.
    size_factor_key
        Column of ``obs`` whose numbers take the place of each cell's total, such as its total over the whole
        transcriptome where the file holds a panel; None takes the total of the counts at hand.
    n_top_genes
        How many variable genes are selected.
    n_pcs
        Principal components of RNA and of protein.
    n_top_peaks
        How many accessible peaks are selected.
    n_lsi
        Components of latent semantic indexing, those that merely follow sequencing depth left out.
    clr
        ``"cell"`` centres each cell on its own proteins (Seurat's ``margin=2``), ``"feature"`` each protein on its
        training cells.
    seed
        Starts the iterative solver.

    Attributes
    ----------
    options : Options
        The parameters above.
    fitted : dict[str, FittedModality]
        What was learned, by modality; empty before :meth:`fit`.

    Examples
    --------
    >>> preprocessor = Preprocessor(n_top_genes=500).fit(mdata, train)  # doctest: +SKIP
    >>> preprocessor.transform(mdata)  # doctest: +SKIP
    >>> x = model_input(mdata, "rna")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        target_sum: float | None = None,
        size_factor_key: str | None = None,
        n_top_genes: int = 2000,
        n_pcs: int = 50,
        n_top_peaks: int = 5000,
        n_lsi: int = 50,
        clr: str = "cell",
        seed: int = 0,
    ) -> None:
        if target_sum is not None:
            check_in_range("target_sum", target_sum, 0, open_low=True, open_high=True)
        for name, value in (
            ("n_top_genes", n_top_genes),
            ("n_top_peaks", n_top_peaks),
            ("n_pcs", n_pcs),
            ("n_lsi", n_lsi),
        ):
            check_count(name, value, 1)
        check_count("seed", seed, 0)
        check_choice("clr", clr, ("cell", "feature"))
        self.options = Options(
            target_sum=None if target_sum is None else float(target_sum),
            size_factor_key=size_factor_key,
            n_top_genes=int(n_top_genes),
            n_pcs=int(n_pcs),
            n_top_peaks=int(n_top_peaks),
            n_lsi=int(n_lsi),
            clr=clr,
            seed=int(seed),
        )
        self.fitted: dict[str, FittedModality] = {}

    def fit(self, mdata: md.MuData, train: npt.ArrayLike | None = None) -> Self:
        """Learn from training cells.

        Parameters
        ----------
        mdata
            As :func:`waddington.twin.data.io.read` gives it; not changed.
        train
            Boolean, one for each cell: those that may be learned from. None takes all.

        Returns
        -------
        Preprocessor
            Itself.

        Raises
        ------
        ArgumentError
            When ``train`` is no mask of the cells or marks fewer than three.
        DataError
            When a modality has no counts, or none in the training cells; or a cell has no size factor.
        """
        if isinstance(mdata, ad.AnnData):
            raise ArgumentError(
                "cannot fit on an AnnData: accepted here is a MuData as twin.data.io.read gives it; "
                "waddington.twin.pp.preprocess(adata) takes an AnnData"
            )
        mask = _check_mask(train, mdata.n_obs)
        depth = cell_depth(mdata, self.options.size_factor_key)
        fitted = {}
        for modality in in_order(mdata.mod):
            adata = mdata.mod[modality]
            known, names = measured(adata, modality)[mask], adata.var_names
            if is_as_given(adata):
                fitted[modality] = fit_as_given(known, names, modality, self.options)
            else:
                part = None if depth is None else depth[mask]
                fitted[modality] = fit_modality(known, names, modality, self.options, depth=part)
        if not fitted:
            raise DataError(
                f"cannot fit on modalities {', '.join(mdata.mod) or 'none'}: accepted are {', '.join(MODALITIES)}"
            )
        self.fitted = fitted
        return self

    def transform(self, mdata: md.MuData) -> None:
        """Write normalized values and components into a MuData, in place.

        New cells are scaled to what training cells taught, never to their own median. Written for each modality are
        ``X`` (float32, all features: CSR for RNA and ATAC, dense for protein, values as given as they were),
        ``obsm["X_pca"]`` or ``obsm["X_lsi"]``; ``var["highly_variable"]`` for the selected features, with
        ``train_mean`` and ``train_std`` beside it; and the options under ``uns["waddington"]["preprocess"]``. Counts
        stay in ``layers["counts"]``.

        Raises
        ------
        ArgumentError
            Before :meth:`fit`.
        DataError
            When a modality was not fitted, its features are not those that were, it was fitted on counts and holds
            values that are taken as given (or the other way round), or a cell has no size factor.
        """
        if not self.fitted:
            raise ArgumentError("cannot transform before fit: accepted is a Preprocessor that was fitted or loaded")
        present = in_order(mdata.mod)
        for modality in present:
            _check_features(mdata.mod[modality], modality, self.fitted)
        depth = cell_depth(mdata, self.options.size_factor_key)
        for modality in present:
            adata, fitted = mdata.mod[modality], self.fitted[modality]
            values = normalize(measured(adata, modality), fitted, self.options, depth=depth)
            adata.X = values
            adata.obsm[REDUCED[modality]] = project(values[:, fitted.selected], fitted.axes, fitted.centre)
            adata.var["highly_variable"] = fitted.selected
            adata.var["train_mean"] = fitted.mean
            adata.var["train_std"] = fitted.std
            record(adata)["preprocess"] = {
                name: value for name, value in asdict(self.options).items() if value is not None
            }

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as numbers, strings, lists and tensors."""
        return {
            "options": asdict(self.options),
            "fitted": {modality: fitted.state_dict() for modality, fitted in self.fitted.items()},
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a preprocessor from what :meth:`state_dict` gave."""
        made = cls(**state["options"])
        made.fitted = {name: FittedModality.from_state_dict(part) for name, part in state["fitted"].items()}
        return made


def _check_mask(train: npt.ArrayLike | None, n_cells: int) -> npt.NDArray[np.bool_]:
    mask = np.ones(n_cells, dtype=bool) if train is None else np.asarray(train)
    if mask.dtype != np.bool_ or mask.shape != (n_cells,):
        raise ArgumentError(
            f"cannot use train of type {mask.dtype} and shape {mask.shape}: "
            f"accepted is a boolean for each of {counted(n_cells, 'cell')}"
        )
    if mask.sum() < 3:
        raise ArgumentError(f"cannot fit on {counted(int(mask.sum()), 'training cell')}: accepted are at least 3")
    return mask


def _check_features(adata: ad.AnnData, modality: str, fitted: Mapping[str, FittedModality]) -> None:
    if modality not in fitted:
        raise DataError(f"cannot transform {modality}: fitted were {', '.join(fitted)}")
    names = fitted[modality].names
    if list(adata.var_names) != names:
        missing = [name for name in names if name not in adata.var_names]
        found = (
            f"{len(missing)} are missing, the first is {missing[0]!r}"
            if missing
            else "they are in another order or more"
        )
        raise DataError(
            f"cannot transform {modality}: found {counted(adata.n_vars, 'feature')}, fitted were {len(names)}, of "
            f"which {found}; "
            "accepted are the same features in the same order"
        )
    if is_as_given(adata) != fitted[modality].as_given:
        found, wanted = ("values as given", "counts") if is_as_given(adata) else ("counts", "values as given")
        raise DataError(f"cannot transform {modality}: found {found}, fitted were {wanted}")
