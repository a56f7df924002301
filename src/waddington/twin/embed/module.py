"""The encoder's networks: pure modules over tensors, with no data handling.

Per modality, a cell's profile is projected to a hidden state, one GATv2 layer attends to the hidden states of its
neighbours in that modality's graph, and a linear map gives the embedding. The joint embedding fuses the embeddings of
the modalities that a cell has and attends, in the joint graph, to its neighbours' hidden states. Decoders are linear
in the embedding on the log scale, so that a shift of the embedding is a log fold change of the features, and two
shifts add.

References
----------
Brody, Alon and Yahav, *How attentive are graph attention networks?*, ICLR 2022: GATv2.
van den Oord, Li and Vinyals, *Representation learning with contrastive predictive coding*, 2018: the agreement loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GATv2Conv

from waddington._errors import ArgumentError
from waddington.twin.embed.likelihoods import make_decoder

__all__ = [
    "Batch",
    "GraphAttention",
    "JointEncoder",
    "ModalityEncoder",
    "TwinModule",
    "contrastive_loss",
    "joint_context",
]


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


class GraphAttention(nn.Module):
    """One GATv2 layer from a table of neighbours to their cell, added to the cell's own state.

    Parameters
    ----------
    hidden
        Width of the states; a multiple of `heads`.
    heads
        Attention heads.
    source
        Width of the neighbours' states; `hidden` by default.
    """

    def __init__(self, hidden: int, *, heads: int, source: int | None = None) -> None:
        super().__init__()
        # The cell's own state comes through the residual, so self loops would count it twice.
        self.conv = GATv2Conv((source or hidden, hidden), hidden // heads, heads=heads, add_self_loops=False)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, state: Tensor, neighbors: Tensor, mask: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        state
            Cells' own states, (cells, hidden).
        neighbors
            States of their neighbours, (cells, fan-out, source).
        mask
            (cells, fan-out): true where there is a neighbour.

        Returns
        -------
        (cells, hidden). A cell without neighbours keeps its own state, normalized.
        """
        target, slot = mask.nonzero(as_tuple=True)
        edges = torch.stack([target * mask.shape[1] + slot, target])
        message = self.conv((neighbors.flatten(0, 1), state), edges)
        attended: Tensor = self.norm(state + F.gelu(message))
        return attended


class ModalityEncoder(nn.Module):
    """Profile of one modality -> hidden state -> attention over its graph -> embedding.

    Parameters
    ----------
    n_features
        Width of the profile.
    hidden
        Width of the hidden state.
    embedding_dim
        Width of the embedding.
    heads
        Attention heads.
    """

    def __init__(self, n_features: int, *, hidden: int, embedding_dim: int, heads: int) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.input = nn.Linear(n_features, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.attention = GraphAttention(hidden, heads=heads)
        self.output = nn.Linear(hidden, embedding_dim)
        self.location: Tensor
        self.scale: Tensor

    def project(self, profile: Tensor, hide: Tensor | None = None) -> Tensor:
        """Standardize a profile and project it.

        Parameters
        ----------
        profile
            (cells, features).
        hide
            True where an entry is masked, (cells, features): it is replaced by the feature's mean.

        Returns
        -------
        Hidden state, (cells, hidden).
        """
        standard = ((profile - self.location) / self.scale).clamp(-10.0, 10.0)
        if hide is not None:
            # Kept entries are scaled up, as in dropout, so that the projection sees the same total with and without a
            # mask.
            kept = (~hide).to(standard.dtype)
            standard = standard * kept / kept.mean(dim=1, keepdim=True).clamp_min(1e-3)
        return F.gelu(self.norm(self.input(standard)))

    def forward(self, state: Tensor, neighbors: Tensor, mask: Tensor) -> Tensor:
        """Embed hidden states given those of the neighbours; shapes as in `GraphAttention`."""
        embedding: Tensor = self.output(self.attention(state, neighbors, mask))
        return embedding


class JointEncoder(nn.Module):
    """Fuse the modalities that a cell has, and attend over the joint graph.

    Parameters
    ----------
    modalities
        Names.
    hidden
        Width of the hidden states, here and in the modality encoders.
    embedding_dim
        Width of the modality embeddings.
    joint_dim
        Width of the joint embedding.
    heads
        Attention heads.
    """

    def __init__(
        self, modalities: tuple[str, ...], *, hidden: int, embedding_dim: int, joint_dim: int, heads: int
    ) -> None:
        super().__init__()
        self.own = nn.ModuleDict({name: nn.Linear(embedding_dim, hidden) for name in modalities})
        self.attention = GraphAttention(hidden, heads=heads, source=hidden * len(modalities))
        self.output = nn.Linear(hidden, joint_dim)

    def forward(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], neighbors: Tensor, mask: Tensor
    ) -> Tensor:
        """Embed.

        Parameters
        ----------
        embeddings
            Modality embeddings, each (cells, embedding_dim).
        present
            By modality, (cells,): 1 where it may be used, else 0.
        neighbors
            `joint_context` of the joint neighbours, (cells, fan-out, hidden x modalities).
        mask
            (cells, fan-out): true where there is a neighbour.

        Returns
        -------
        Joint embedding, (cells, joint_dim).
        """
        own = [self.own[name](embedding) for name, embedding in embeddings.items()]
        fused = F.gelu(_masked_mean(own, [present[name] for name in embeddings]))
        embedding: Tensor = self.output(self.attention(fused, neighbors, mask))
        return embedding


class TwinModule(nn.Module):
    """All networks of the encoder; `model.TwinEncoder` feeds it.

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
        embeddings = {}
        for name, profile in batch.profiles.items():
            encoder = cast(ModalityEncoder, self.encoders[name])
            state = encoder.project(profile, None if batch.hide is None else batch.hide[name])
            embeddings[name] = encoder(state, batch.neighbors[name], batch.edges[name])
        embeddings["joint"] = self.joint(embeddings, batch.usable, batch.neighbors["joint"], batch.edges["joint"])
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


def joint_context(states: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    """Put a cell's hidden states side by side, zeros where it lacks a modality: what its joint neighbours see of it.

    Parameters
    ----------
    states
        By modality, (cells, hidden).
    present
        By modality, (cells,): 1 where the cell has it, else 0.

    Returns
    -------
    (cells, hidden x modalities).
    """
    return torch.cat([state * present[name][:, None] for name, state in states.items()], dim=1)


def contrastive_loss(a: Tensor, b: Tensor, both: Tensor, *, temperature: float) -> Tensor:
    """Symmetric InfoNCE: each cell's view should find its own other view among those of the batch.

    Parameters
    ----------
    a, b
        Unit vectors of the same cells in two modalities, (pairs of modalities, cells, dimensions).
    both
        1 where a cell has both, else 0, (pairs, cells); the other cells neither ask nor answer.
    temperature
        Softness of the choice.

    Returns
    -------
    Scalar in nats, divided by log(cells that have both) so that guessing costs 1 whatever the batch; a pair that fewer
    than two cells have counts 0.
    """
    absent = both == 0
    logits = (a @ b.transpose(1, 2) / temperature).masked_fill(absent[:, :, None] | absent[:, None, :], -1e9)
    own = torch.diagonal(logits, dim1=1, dim2=2)
    cost = 0.5 * (torch.logsumexp(logits, dim=1) + torch.logsumexp(logits, dim=2)) - own
    cells = both.sum(dim=1)
    chance = torch.log(cells.clamp_min(2.0))
    return ((cost * both).sum(dim=1) / (cells.clamp_min(1.0) * chance) * (cells >= 2)).mean()


def _masked_mean(values: list[Tensor], present: list[Tensor]) -> Tensor:
    """Mean over modalities with weights 1 or 0 per cell; 0 for a cell that has none."""
    weights = torch.stack(present)
    total = (torch.stack(values) * weights[..., None]).sum(dim=0)
    return total / weights.sum(dim=0).clamp_min(1.0)[:, None]
