"""The choices that make an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from waddington._checks import check_choice, check_count, check_in_range
from waddington.errors import ArgumentError
from waddington.twin.embed.likelihoods import DEFAULT_LIKELIHOOD, GAUSSIAN, LIKELIHOODS

__all__ = ["EncoderConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Sizes of the networks and weights of the loss. ``benchmarks/embeddings.py`` measures what they give.

    Raises
    ------
    ArgumentError
        For a size or fraction outside its range, an unknown likelihood, or `hidden` that `heads` does not divide.
    """

    modalities: Mapping[str, int]
    """Number of features by modality."""
    embedding_dim: int = 32
    """Width of each modality's embedding."""
    joint_dim: int = 32
    """Width of the joint embedding."""
    hidden: int = 64
    """Width of the hidden states; a multiple of `heads`."""
    heads: int = 4
    """Attention heads."""
    n_neighbors: int = 15
    """Neighbours in each graph."""
    fanout: int = 6
    """Neighbours drawn per cell in a training step; embedding uses all of them."""
    mask_fraction: float = 0.3
    """Share of the entries hidden from the encoder in training."""
    seen_weight: float = 0.3
    """Weight in the loss of an entry that the encoder saw, against 1 for a hidden one."""
    modality_dropout: float = 0.2
    """Chance of withholding a modality from the joint encoder in training, so that it learns to do without."""
    balanced: bool = True
    """Whether modalities are weighed by the inverse of what their reconstruction has gained, so that the joint
    embedding serves all of them and not the richest alone."""
    agreement: float = 0.0
    """Weight of a contrastive agreement between modalities. More than a little costs what one modality alone knows."""
    temperature: float = 0.2
    """Temperature of that agreement."""
    likelihoods: Mapping[str, str] | None = None
    """Likelihood by modality, names of `likelihoods.LIKELIHOODS`, or `gaussian` for values that are no counts; by
    default negative binomial for RNA and protein, Poisson for ATAC."""
    start: str = "components"
    """Where embeddings begin: at the leading ``"components"`` of the training cells, to which training learns a
    correction, or at ``"random"`` weights."""
    max_reference: int = 50_000
    """Reference cells kept, drawn at random when there are more training cells."""
    seed: int = 0
    """Seed of the initial weights."""

    def __post_init__(self) -> None:
        """Check every field and fill the likelihoods in."""
        if not self.modalities:
            raise ArgumentError("cannot build an encoder: found no modality; accepted is at least one")
        for name, size in self.modalities.items():
            check_in_range(f"modalities[{name!r}]", size, 1)
        for name in ("embedding_dim", "joint_dim", "hidden", "heads", "n_neighbors", "fanout", "max_reference"):
            check_count(name, getattr(self, name), 1)
        check_count("seed", self.seed, 0)
        if self.hidden % self.heads:
            raise ArgumentError(f"cannot use hidden={self.hidden}: hidden must be a multiple of heads={self.heads}")
        check_in_range("mask_fraction", self.mask_fraction, 0.0, 1.0, open_low=True, open_high=True)
        check_in_range("seen_weight", self.seen_weight, 0.0, 1.0)
        check_in_range("modality_dropout", self.modality_dropout, 0.0, 1.0)
        check_in_range("agreement", self.agreement, 0.0)
        check_in_range("temperature", self.temperature, 0.0, open_low=True)
        check_choice("start", self.start, ("components", "random"))
        chosen = {name: DEFAULT_LIKELIHOOD.get(name, "negative_binomial") for name in self.modalities}
        chosen |= dict(self.likelihoods or {})
        for name, likelihood in chosen.items():
            check_choice("a likelihood's modality", name, self.modalities)
            check_choice(f"likelihoods[{name!r}]", likelihood, [*sorted(LIKELIHOODS), GAUSSIAN])
        object.__setattr__(self, "likelihoods", chosen)

    def state_dict(self) -> dict[str, Any]:
        """Plain values, from which ``EncoderConfig(**values)`` makes the same configuration."""
        return asdict(self)
