"""The trained embedding of all cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import anndata as ad

from waddington._checks import check_parameters
from waddington.optim.registry import OptimizerLike
from waddington.twin._keys import check_free, note, put, record
from waddington.twin.data.setup import Cells, check_data, parts_of, read_labels, registered
from waddington.twin.embed.config import EncoderConfig
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.likelihoods import GAUSSIAN
from waddington.twin.embed.scaling import Standardization
from waddington.twin.preprocess.cells import model_cells

__all__ = ["embed"]


def embed(
    data: Cells,
    *,
    epochs: int = 50,
    use_rep: str | Mapping[str, str] | None = None,
    optimizer: OptimizerLike | None = None,
    batch_size: int = 128,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[dict[str, Any]], None] | None = None,
    overwrite: bool = False,
    copy: bool = False,
    **config: Any,
) -> Cells | None:
    """Train the graph encoder on training cells, and embed all cells: components, and a correction to them.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`waddington.twin.pp.preprocess`, or after scanpy's ``normalize_total``, ``log1p``
        and ``pca``. Counts are taken from ``layers["counts"]``; without them values are learned with Gaussian noise.
    epochs
        Passes over the training cells; 0 stays where embeddings begin: at components.
    use_rep
        Key of ``obsm`` in which neighbours are sought, for all modalities or by modality; by default ``X_pca``, of ATAC
        ``X_lsi``.
    optimizer
        A registered name, a class or a factory; AdamW by default.
    batch_size, device
        Of the training.
    seed
        Of weights, order, masks and sampling.
    progress
        Called after each epoch with epoch, epochs, train, validation and seconds.
    overwrite, copy
        Whether another tool's keys may be replaced, and whether a changed copy is given back.
    **config
        Fields of :class:`~waddington.twin.embed.EncoderConfig`, such as ``embedding_dim`` and ``n_neighbors``.

    Writes
    ------
    ``obsm["X_twin"]`` (joint; of a MuData also in each modality, its own), ``uns["waddington"]["embed"]``.

    Raises
    ------
    UnknownNameError
        For a parameter that there is not.
    DataError
        When the data were not preprocessed, or a key is another tool's; says what is accepted.
    """
    check_data(data)
    fields = {field.name for field in dataclasses.fields(EncoderConfig)} - {"modalities", "likelihoods"}
    check_parameters("twin.tl.embed", embed, config, sorted(fields))
    parts = parts_of(data)
    for holder in (data, *(parts.values() if not isinstance(data, ad.AnnData) else ())):
        check_free(holder, "obsm", ["X_twin"], overwrite=overwrite)
    data = data.copy() if copy else data
    parts = parts_of(data)
    labels = read_labels(data)
    cells = model_cells(parts, use_rep=use_rep, layer=registered(data).layer)
    encoder = TwinEncoder(
        {name: x.shape[1] for name, x in cells.inputs.items()},
        likelihoods=dict.fromkeys(cells.as_given, GAUSSIAN),
        seed=seed,
        **config,
    )
    history = encoder.fit(
        cells.inputs, cells.counts, cells.representations, train=labels.train, optimizer=optimizer, epochs=epochs,
        batch_size=batch_size, progress=progress, device=device,
    )  # fmt: skip
    found = encoder.embed(cells.inputs, cells.representations)
    joint = Standardization.fit(found["joint"], labels.train).apply(found["joint"])
    put(data, "obsm", "X_twin", joint, writer="tl.embed")
    if not isinstance(data, ad.AnnData):
        for name, part in parts.items():
            put(part, "obsm", "X_twin", found[name], writer="tl.embed")
    losses = history.to_frame()
    record(data)["embed"] = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "history": losses}
    note(data, *cells.notes)
    return data if copy else None
