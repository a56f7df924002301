"""The encoder's networks: pure modules over tensors, with no data handling.

Per modality, a cell's profile is projected to a hidden state, one GATv2 layer attends to the hidden states of its
neighbours in that modality's graph, and a linear map gives a correction to where the embedding begins: at leading
components of the profile, or at nothing. The joint embedding fuses the embeddings of the modalities that a cell has and
attends, in the joint graph, to its neighbours' hidden states; it begins at leading components of those embeddings.
Decoders are linear in the embedding on the log scale, so that a shift of the embedding is a log fold change of the
features, and two shifts add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from waddington.errors import ArgumentError
from waddington.twin._moved import names_moved_from
from waddington.twin.embed.decoders import make_decoder
from waddington.twin.embed.layers import JointEncoder, ModalityEncoder
from waddington.twin.embed.losses import contrastive_loss

__all__ = [
    "Batch",
    "TwinModule",
]

__getattr__ = names_moved_from(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What the networks see of some cells, by modality; where a cell lacks one there are zeros."""

    profiles: Mapping[str, Tensor]
    """Normalized profiles, (cells, features)."""
    hide: Mapping[str, Tensor] | None
    """True where an entry is masked, (cells, features); None for nothing."""
    present: Mapping[str, Tensor]
    """1 where the cell was measured, else 0, (cells,)."""
    usable: Mapping[str, Tensor]
    """1 where the joint encoder may use the modality, else 0, (cells,)."""
    neighbors: Mapping[str, Tensor]
    """Hidden states of the neighbours, (cells, fan-out, hidden); under ``"joint"`` their joint context."""
    edges: Mapping[str, Tensor]
    """True where there is a neighbour, (cells, fan-out); under ``"joint"`` in the joint graph."""
    counts: Mapping[str, Tensor] | None = None
    """Counts, or values as given, to reconstruct, (cells, features); None where only the embedding is wanted."""


class TwinModule(nn.Module):
    """All networks of the encoder; :class:`~waddington.twin.embed.encoder.TwinEncoder` feeds it.

    Parameters
    ----------
    modalities
        Number of features by modality.
    likelihoods
        Likelihood by modality.
    hidden, embedding_dim, joint_dim, heads
        Sizes, as in the parts.
    """

    def __init__(
        self,
        modalities: Mapping[str, int],
        *,
        likelihoods: Mapping[str, str],
        hidden: int,
        embedding_dim: int,
        joint_dim: int,
        heads: int,
    ) -> None:
        super().__init__()
        names = tuple(modalities)
        self.encoders = nn.ModuleDict(
            {
                name: ModalityEncoder(size, hidden=hidden, embedding_dim=embedding_dim, heads=heads)
                for name, size in modalities.items()
            }
        )
        self.joint = JointEncoder(names, hidden=hidden, embedding_dim=embedding_dim, joint_dim=joint_dim, heads=heads)
        self.decoders = nn.ModuleDict(
            {
                name: make_decoder(size, dims={"own": embedding_dim, "joint": joint_dim}, likelihood=likelihoods[name])
                for name, size in modalities.items()
            }
        )
        self.heads = nn.ModuleDict({name: nn.Linear(embedding_dim, embedding_dim) for name in names})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Embed.

        Returns
        -------
        By modality (cells, embedding_dim), and under ``"joint"`` (cells, joint_dim). Rows of a modality that the cell
        lacks mean nothing.
        """
        embeddings = self._own(batch)
        embeddings["joint"] = self.joint(embeddings, batch.usable, batch.neighbors["joint"], batch.edges["joint"])
        return embeddings

    def joint_attention(self, batch: Batch) -> Tensor:
        """Give the weight of each joint neighbour of each cell, (cells, fan-out), mean over heads."""
        fused = self.joint.fuse(self._own(batch), batch.usable)
        return self.joint.attention.weights(fused, batch.neighbors["joint"], batch.edges["joint"])

    def _own(self, batch: Batch) -> dict[str, Tensor]:
        embeddings: dict[str, Tensor] = {}
        for name, profile in batch.profiles.items():
            encoder = cast(ModalityEncoder, self.encoders[name])
            standard = encoder.standardize(profile, None if batch.hide is None else batch.hide[name])
            embeddings[name] = encoder(standard, batch.neighbors[name], batch.edges[name])
        return embeddings

    def losses(self, batch: Batch, *, seen_weight: float, temperature: float) -> dict[str, Tensor]:
        """Reconstruct the counts from each modality's own embedding and from the joint one, and compare the modalities.

        Parameters
        ----------
        batch
            With counts and masks.
        seen_weight
            Weight of an entry that the encoder saw; a masked one weighs 1.
        temperature
            Of the contrastive loss.

        Returns
        -------
        Scalars: ``"own/<modality>"`` and ``"joint/<modality>"`` (nats per entry) and ``"agreement"`` (1 for guessing).

        Raises
        ------
        ArgumentError
            When the batch holds no counts or no masks.
        """
        if batch.counts is None or batch.hide is None:
            raise ArgumentError(
                "cannot compute a loss: found a batch without counts or masks; accepted is one with both"
            )
        embeddings = self(batch)
        joint = embeddings.pop("joint")
        losses: dict[str, Tensor] = {}
        for name, counts in batch.counts.items():
            weight = torch.where(batch.hide[name], 1.0, seen_weight) * batch.present[name][:, None]
            nll = self.decoders[name]({"own": embeddings[name], "joint": joint}, counts)
            own, together = (weight * nll).sum(dim=(1, 2)) / weight.sum().clamp_min(1.0)
            losses |= {f"own/{name}": own, f"joint/{name}": together}
        losses["agreement"] = self.agreement(embeddings, batch.present, temperature=temperature)
        return losses

    def agreement(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], *, temperature: float
    ) -> Tensor:
        """Mean contrastive loss over pairs of modalities, over the cells that have both; 0 with a single modality."""
        names = list(embeddings)
        pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
        if not pairs:
            return embeddings[names[0]].new_zeros(())
        views = torch.stack([F.normalize(self.heads[name](embeddings[name]), dim=1) for name in names])
        here = torch.stack([present[name] for name in names])
        first, second = [i for i, _ in pairs], [j for _, j in pairs]
        return contrastive_loss(views[first], views[second], here[first] * here[second], temperature=temperature)
