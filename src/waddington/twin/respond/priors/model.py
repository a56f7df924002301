"""A response model that answers for single perturbations never measured, by what is known of their genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import is_canonical, parse_label
from waddington.twin.respond.base import Effect, ResponseModel, Training
from waddington.twin.respond.denoising import denoised
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.measured import Measured
from waddington.twin.respond.priors.graph import GenePrior
from waddington.twin.respond.priors.kriging import Fit, fit

__all__ = ["PriorInformed", "directions", "genes_of", "signed", "single_genes", "single_genes_of"]

Array = npt.NDArray[np.float64]

_LEAST_SINGLES = 3
_DIRECTIONS = {"knockout": -1.0, "knockdown": -1.0, "activation": 1.0, "overexpression": 1.0}


class PriorInformed(ResponseModel):
    """The hierarchical additive model; genes never perturbed do what the measured ones do that a prior calls alike.

    Whether the prior helps is measured by :func:`~waddington.twin.respond.priors.prior_gain`, beside the same prior
    with its genes permuted: look there first. The equations stand in :mod:`~waddington.twin.respond.priors.kriging`.

    Parameters
    ----------
    data
        Training cells.
    prior
        Links between genes.

    Raises
    ------
    DataError
        When fewer than 3 single perturbations of genes were measured, or nothing can be learned at all.
    """

    name = "gene prior"
    judged_as = HierarchicalAdditive

    def __init__(self, data: Training, prior: GenePrior) -> None:
        self.shared = HierarchicalAdditive.fit(data)
        """The model of what was measured."""
        self.known = self.shared.known
        self.prior = prior
        measured = data.measured
        self._singles = single_genes(measured)
        if len(self._singles) < _LEAST_SINGLES:
            raise DataError(
                f"cannot use {prior.name} as a prior on genes: found {len(self._singles)} single perturbations of"
                f" genes; accepted is at least {_LEAST_SINGLES}"
            )
        similarity = signed(prior.similarity(genes_of(self._singles)), self._singles)
        rows = [measured.row[label] for label in self._singles]
        self._names = {modality: list(map(str, measured.names.get(modality, ()))) for modality in measured.tables}
        self._sd = {modality: np.sqrt(measured.pooled_variance(modality)) for modality in measured.tables}
        self.fits: dict[str, Fit] = {
            modality: fit(denoised(measured, modality)[rows], similarity, self._targets(self._singles, modality))
            for modality in measured.tables
        }
        """What was chosen for each modality."""

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Refuse: the prior is an argument of the constructor."""
        raise UnsupportedError(f"cannot fit the response model {cls.name!r} without a prior on genes")

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the effect of a condition; genes that were never perturbed count with what the prior says of them.

        Raises
        ------
        UnsupportedError
            When a perturbation was never measured and the prior says nothing of it, unless `guess`: it then does the
            shrunken mean of all. Names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = label if is_canonical(label) else self.known.canonical(label)
        terms = self.known.terms(label, alone=False, guess=True)
        missing = [term.part for term in terms if not term.known or (term.held and not guess)]
        if not missing:
            return self.shared.predict(label, guess=guess)
        for part in missing:
            if not (guess or self._says(part)):
                raise UnsupportedError(
                    f"cannot predict the change of {label}: found no training cells with {part}, and {self.prior.name}"
                    " says nothing of it that helped with those measured"
                )
        rest = [part for part in self.known.parts(label) if part not in missing]
        effect = (
            self.shared.predict("+".join(rest), guess=guess)
            if rest
            else {m: np.zeros(len(sd)) for m, sd in self._sd.items()}
        )
        alike = signed(self.prior.similarity(genes_of([*self._singles, *missing])), [*self._singles, *missing])
        for modality, fitted in self.fits.items():
            scale = self.shared.strengths(modality).c if len(rest) + len(missing) > 1 else 1.0
            targets = self._targets(missing, modality)
            for place, target in enumerate(targets, start=len(self._singles)):
                part_effect = fitted.predict(alike[place, : len(self._singles)], target)
                effect[modality] = effect[modality] + scale * part_effect
        return effect

    def standard_deviation(self, label: str, *, guess: bool = False) -> Effect:
        """Give that of the hierarchical model, for which a gene never perturbed could do anything: errors as predict.

        What the prior takes away from that is not counted, for it says nothing of its own error.
        """
        label = label if is_canonical(label) else self.known.canonical(label)
        unseen = self.known.support(label).flagged
        if unseen:
            self.predict(label, guess=guess)
        return self.shared.standard_deviation(label, guess=unseen)

    @property
    def unperturbed(self) -> Effect:
        """Mean profile of unperturbed cells as the hierarchical model tells it, by modality."""
        return self.shared.unperturbed

    @property
    def notes(self) -> tuple[str, ...]:
        """What looked wrong in the training cells, and what of the prior was left out, in words."""
        return (*self.shared.notes, *self.prior.notes)

    def _says(self, part: str) -> bool:
        """Say whether anything of the prior enters the answer for a perturbation that was never measured."""
        labels = [*self._singles, part]
        if not single_genes_of([part]):
            return False
        alike = self.prior.similarity(genes_of(labels))[-1, :-1]
        return any(
            (fitted.gamma > 0 and bool(alike.any()))
            or (fitted.beta != 0 and bool(self._targets([part], modality).any()))
            for modality, fitted in self.fits.items()
        )

    def _targets(self, labels: Sequence[str], modality: str) -> Array:
        sd = self._sd[modality]
        if not self._names[modality]:
            return np.zeros((len(labels), len(sd)))
        signs = self.prior.targets(genes_of(labels), self._names[modality])
        return np.asarray(directions(labels)[:, None] * signs * sd)

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as tensors, numbers and strings; the prior's links are in it."""
        return {
            "class": self.name,
            "shared": self.shared.state_dict(),
            "prior": {
                "source": self.prior.edges["source"].tolist(),
                "target": self.prior.edges["target"].tolist(),
                "weight": torch.tensor(self.prior.edges["weight"].to_numpy(dtype=np.float64)),
                "name": self.prior.name,
                "notes": list(self.prior.notes),
            },
            "singles": list(self._singles),
            "names": {modality: list(names) for modality, names in self._names.items()},
            "sd": {modality: torch.from_numpy(sd.copy()) for modality, sd in self._sd.items()},
            "fits": {
                modality: {**asdict(one), "weights": torch.from_numpy(one.weights.copy())}
                for modality, one in self.fits.items()
            },
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a model from what :meth:`state_dict` gave."""
        made = cls.__new__(cls)
        made.shared = HierarchicalAdditive.from_state_dict(state["shared"])
        made.known = made.shared.known
        kept = state["prior"]
        edges = pd.DataFrame({
            "source": kept["source"], "target": kept["target"], "weight": kept["weight"].numpy().copy()
        })  # fmt: skip
        made.prior = GenePrior(edges=edges, name=kept["name"], notes=tuple(kept["notes"]))
        made._singles = tuple(state["singles"])
        made._names = {modality: list(names) for modality, names in state["names"].items()}
        made._sd = {modality: sd.numpy().copy() for modality, sd in state["sd"].items()}
        made.fits = {
            modality: Fit(**{**one, "weights": one["weights"].numpy().copy()})
            for modality, one in state["fits"].items()
        }
        return made


def single_genes(measured: Measured) -> tuple[str, ...]:
    """Name the training conditions that perturb one gene."""
    alone = [label for label, parts in zip(measured.labels, measured.parts, strict=True) if parts == (label,)]
    return single_genes_of(alone) if measured.kind == "perturbation" else ()


def single_genes_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Keep the labels whose mode says which way a gene goes."""
    return tuple(label for label in labels if parse_label(label)[0].mode in _DIRECTIONS)


def genes_of(labels: Sequence[str]) -> list[str]:
    """Name the genes of single perturbations."""
    return [parse_label(label)[0].gene for label in labels]


def directions(labels: Sequence[str]) -> Array:
    """Give -1 for what takes a gene away and 1 for what adds to it; 0 where the mode does not say."""
    return np.array([_DIRECTIONS.get(parse_label(label)[0].mode, 0.0) for label in labels])


def signed(similarity: Array, labels: Sequence[str]) -> Array:
    """Turn the similarity of genes into that of perturbations: opposite modes do the opposite."""
    way = directions(labels)
    return np.asarray(similarity * np.outer(way, way))
