"""How everything that a model holds is learned from training cells, one part after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mudata as md
import numpy as np
import numpy.typing as npt

from waddington._checks import check_count
from waddington.twin.data.setup import Cells, Setup, gather, read_labels
from waddington.twin.data.splits import Split
from waddington.twin.dynamics import Dynamics, build_dynamics, fit_flow
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.history import History
from waddington.twin.embed.likelihoods import GAUSSIAN
from waddington.twin.embed.scaling import Standardization
from waddington.twin.models.profiles import FittedResponse, fit_response
from waddington.twin.preprocess import Preprocessor
from waddington.twin.preprocess.cells import model_cells
from waddington.twin.preprocess.graph import joint_graph
from waddington.twin.respond.latent import LatentResponse
from waddington.twin.trajectory.order import Order, order_cells
from waddington.twin.trajectory.rooting import read_root, root_hint

__all__ = ["Learned", "fit_dynamics", "learn", "order_of"]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """What was learned; without perturbations and times neither response nor dynamics."""

    encoder: TwinEncoder
    standardization: Standardization
    response: FittedResponse | None
    dynamics: Dynamics | None
    history: History


def learn(
    data: Cells,
    setup: Setup,
    preprocessor: Preprocessor,
    *,
    fields: Mapping[str, Any],
    model: str,
    root: str | None,
    n_neighbors: int,
    epochs: int,
    **training: Any,
) -> Learned:
    """Learn from the training cells of an object, which is not changed.

    Parameters
    ----------
    data, setup
        The cells, and which columns and layers hold what.
    preprocessor
        Is fitted.
    fields
        Of :class:`~waddington.twin.embed.EncoderConfig`.
    model
        Of responses, a name of :data:`~waddington.twin.respond.MODELS`; one that learns in a representation learns in
        the joint embedding.
    root, n_neighbors
        Where the order of cells begins, and the neighbours in the graph on which they are ordered.
    epochs
        Of the encoder.
    **training
        Further arguments of :meth:`TwinEncoder.fit <waddington.twin.embed.TwinEncoder.fit>`.
    """
    labels = read_labels(data, setup)
    work = gather(data, setup)
    work.obs = labels.to_frame(work.obs_names)
    check_count("n_neighbors", n_neighbors, 1)
    read_root(root, work)  # both refused now rather than after the training
    factor = preprocessor.options.size_factor_key
    if factor is not None and factor in data.obs:
        work.obs[factor] = data.obs[factor].to_numpy()
    preprocessor.fit(work, labels.train).transform(work)
    cells = model_cells(work.mod)
    sizes = {name: x.shape[1] for name, x in cells.inputs.items()}
    encoder = TwinEncoder(sizes, likelihoods=dict.fromkeys(cells.as_given, GAUSSIAN), **fields)
    history = encoder.fit(
        cells.inputs, cells.counts, cells.representations, train=labels.train, epochs=epochs, **training
    )
    joint = encoder.embed(cells.inputs, cells.representations)["joint"]
    standardization = Standardization.fit(joint, labels.train)
    split, response, dynamics = labels.to_split(), None, None
    if split is not None:
        latent = standardization.apply(joint)
        response = fit_response(latent, cells.inputs, cells.names, split, model=model)
        order = order_of(work, cells.representations, root=root, n_neighbors=n_neighbors)
        dynamics = fit_dynamics(latent, split, order.pseudotime)
    return Learned(
        encoder=encoder, standardization=standardization, response=response, dynamics=dynamics, history=history
    )


def order_of(mdata: md.MuData, places: Mapping[str, Float], *, root: str | None, n_neighbors: int) -> Order:
    """Order cells on the graph over all modalities.

    Parameters
    ----------
    mdata
        Preprocessed cells, with ``perturbation``, ``time`` and ``cell_type`` in ``obs`` where they are known.
    places
        Where neighbours are sought, (cells, components) by modality.
    root
        See :func:`~waddington.twin.trajectory.read_root`.
    n_neighbors
        Neighbours of a cell.
    """
    hint = root_hint(read_root(root, mdata), mdata)
    graph, _ = joint_graph(places, n_neighbors=n_neighbors)
    candidates = np.asarray(mdata.obs["perturbation"] == "control") if "perturbation" in mdata.obs else None
    return order_cells(graph, hint=hint, candidates=candidates)


def fit_dynamics(
    latent: Float,
    split: Split,
    pseudotime: npt.NDArray[np.floating] | None = None,
    *,
    max_perturbations: int = 2,
    seed: int = 0,
) -> Dynamics:
    """Build the world of training cells: measured perturbations, noise, and drift along pseudotime.

    Parameters
    ----------
    latent
        (cells, dimensions), in standard deviations of the training cells.
    split
        Labels and training cells; of times rather than perturbations, nothing can be done to a cell but push it.
    pseudotime
        (cells,), NaN where unknown; without it cells do not drift.
    max_perturbations
        Most perturbations that a cell carries at once.
    seed
        Of the landmarks of the flow.
    """
    train = split.train
    ordered = pseudotime is not None and int(np.isfinite(pseudotime[train]).sum()) > 1
    flow = fit_flow(latent[train], pseudotime[train], seed=seed) if ordered and pseudotime is not None else None
    if split.kind == "perturbation":
        response = LatentResponse.fit(latent[train], split.labels[train], control=split.control)
        return build_dynamics(response, flow=flow, max_perturbations=max_perturbations)
    landmarks, drift, bandwidth = flow or (np.empty((0, 0)), np.empty((0, 0)), 1.0)
    return Dynamics(
        effects=np.empty((0, latent.shape[1]), np.float32),
        perturbations=(),
        landmarks=landmarks.astype(np.float32),
        drift=drift.astype(np.float32),
        bandwidth=bandwidth,
        noise_sd=(0.05 * latent[train].std(axis=0)).astype(np.float32),
        max_perturbations=max_perturbations,
    )
