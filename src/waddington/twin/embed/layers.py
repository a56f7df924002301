"""The layers of the encoder: profile to hidden state, attention to neighbours, embedding of one modality or of all.

References
----------
Brody, Alon and Yahav, *How attentive are graph attention networks?*, ICLR 2022: GATv2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GraphAttention", "JointEncoder", "ModalityEncoder", "joint_context"]


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
        # It imports compilers, data sets and language models: a third of the start of every program without an encoder.
        from torch_geometric.nn import GATv2Conv

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
        message = self.conv((neighbors.flatten(0, 1), state), _edges(mask))
        attended: Tensor = self.norm(state + F.gelu(message))
        return attended

    def weights(self, state: Tensor, neighbors: Tensor, mask: Tensor) -> Tensor:
        """Give the weight of each neighbour, mean over heads, (cells, fan-out); 0 where there is none."""
        given = (neighbors.flatten(0, 1), state)
        _, (_, alpha) = self.conv(given, _edges(mask), return_attention_weights=True)
        found = state.new_zeros(mask.shape)
        found[mask] = alpha.mean(dim=1)
        return found


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
        self.register_buffer("axes", torch.zeros(n_features, embedding_dim))
        self.location: Tensor
        self.scale: Tensor
        self.axes: Tensor

    @torch.no_grad()
    def start(self, axes: Tensor) -> None:
        """Begin with these axes of the standardized profile, (features, embedding_dim), and no correction to them."""
        self.axes.copy_(axes)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def standardize(self, profile: Tensor, hide: Tensor | None = None) -> Tensor:
        """Standardize a profile.

        Parameters
        ----------
        profile
            (cells, features).
        hide
            True where an entry is masked, (cells, features): it is replaced by the feature's mean.

        Returns
        -------
        (cells, features).
        """
        standard = ((profile - self.location) / self.scale).clamp(-10.0, 10.0)
        if hide is not None:
            # Kept entries are scaled up, as in dropout, so that the projection sees the same total with and without a
            # mask.
            kept = (~hide).to(standard.dtype)
            standard = standard * kept / kept.mean(dim=1, keepdim=True).clamp_min(1e-3)
        return standard

    def project(self, standard: Tensor) -> Tensor:
        """Project a standardized profile to a hidden state, (cells, hidden)."""
        return F.gelu(self.norm(self.input(standard)))

    def forward(self, standard: Tensor, neighbors: Tensor, mask: Tensor) -> Tensor:
        """Embed standardized profiles given the hidden states of the neighbours, shaped as in `GraphAttention`."""
        correction: Tensor = self.output(self.attention(self.project(standard), neighbors, mask))
        return standard @ self.axes + correction


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
        self.axes = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(embedding_dim, joint_dim), requires_grad=False) for name in modalities}
        )

    @torch.no_grad()
    def start(self, axes: Mapping[str, Tensor]) -> None:
        """Begin with these axes of the modalities' embeddings, (embedding_dim, joint_dim), and no correction."""
        for name, value in axes.items():
            self.axes[name].copy_(value)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

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
        correction: Tensor = self.output(self.attention(self.fuse(embeddings, present), neighbors, mask))
        linear = [present[name][:, None] * (value @ self.axes[name]) for name, value in embeddings.items()]
        return torch.stack(linear).sum(dim=0) + correction

    def fuse(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Bring the modalities that a cell has into one hidden state, (cells, hidden); arguments as in `forward`."""
        own = [self.own[name](embedding) for name, embedding in embeddings.items()]
        return F.gelu(_masked_mean(own, [present[name] for name in embeddings]))


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


def _edges(mask: Tensor) -> Tensor:
    """Edges from the flat places of neighbours to their cells, (2, edges), row by row of the mask."""
    target, slot = mask.nonzero(as_tuple=True)
    return torch.stack([target * mask.shape[1] + slot, target])


def _masked_mean(values: list[Tensor], present: list[Tensor]) -> Tensor:
    """Mean over modalities with weights 1 or 0 per cell; 0 for a cell that has none."""
    weights = torch.stack(present)
    total = (torch.stack(values) * weights[..., None]).sum(dim=0)
    return total / weights.sum(dim=0).clamp_min(1.0)[:, None]
