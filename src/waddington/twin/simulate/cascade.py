"""What follows the regulators in each cell: messengers, chromatin, surface proteins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington._checks import check_in_range
from waddington.errors import ArgumentError
from waddington.twin.simulate.chromatin import PeakTable, wire_peaks
from waddington.twin.simulate.genes import GeneTable, wire_genes
from waddington.twin.simulate.network import MYELOID
from waddington.twin.simulate.surface import ProteinTable, wire_proteins

__all__ = ["Cascade", "Wiring"]

Array = npt.NDArray[np.float32]

_CHROMATIN_HOURS = 3.0
"""Memory of chromatin for regulators: remodelling takes hours, less than messengers and proteins do."""

_BALANCE_ROUNDS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Wiring:
    """Everything that lies downstream of the regulators."""

    genes: GeneTable
    peaks: PeakTable
    proteins: ProteinTable

    @classmethod
    def draw(cls, *, n_genes: int, n_peaks: int, n_proteins: int, seed: int) -> Wiring:
        """Draw a wiring; the same numbers give the same one.

        Raises
        ------
        ArgumentError
            When there are fewer genes than regulators and proteins need, or a number is negative.
        """
        check_in_range("n_genes", n_genes, len(MYELOID))
        check_in_range("n_peaks", n_peaks, 0)
        check_in_range("n_proteins", n_proteins, 0)
        if n_proteins > n_genes - len(MYELOID):
            raise ArgumentError(
                f"cannot use n_proteins={n_proteins} with n_genes={n_genes}: every protein needs its gene beside the "
                f"{len(MYELOID)} regulators; accepted is at most {n_genes - len(MYELOID)} proteins"
            )
        # A stream for each table: asking for more peaks leaves genes and proteins as they are.
        streams = [np.random.default_rng([seed, part]) for part in range(3)]
        genes = wire_genes(n_genes, streams[0])
        return cls(
            genes=genes,
            peaks=wire_peaks(n_peaks, genes, streams[1]),
            proteins=wire_proteins(n_proteins, genes, streams[2]),
        )


class Cascade:
    """Levels downstream of the regulators in a block of cells; an observer for :func:`~.dynamics.integrate`.

    Parameters
    ----------
    wiring
        The tables.
    start
        Concentrations of the regulators, shape (regulators, cells), at which everything is in balance to begin with.
    """

    def __init__(self, wiring: Wiring, start: Array) -> None:
        self._wiring = wiring
        genes = wiring.genes
        self._weights = np.ascontiguousarray(genes.weights)
        self._followers = np.flatnonzero(genes.cascade.any(axis=1))
        self._cascade = np.ascontiguousarray(genes.cascade[self._followers])
        self._coding = wiring.proteins.genes - genes.n_regulators
        self.regulators = np.array(start, dtype=np.float32)
        self.messengers = np.zeros((len(genes.names) - genes.n_regulators, start.shape[1]), dtype=np.float32)
        # A chain of targets is as deep as there are rows at most, in practice a few links.
        for _ in range(_BALANCE_ROUNDS):
            self.messengers = self.production(start)
        self.proteins = self.messengers[self._coding].copy()

    def production(self, x: Array) -> Array:
        """Give the rates at which targets are made, in [0, 1], shape (targets, cells)."""
        drive: Array = self._weights @ x
        drive += self._wiring.genes.bias[:, None]
        if len(self._followers):
            drive[self._followers] += self._cascade @ self.messengers
        np.negative(drive, out=drive)
        np.exp(drive, out=drive)
        drive += 1
        return np.reciprocal(drive, out=drive)

    def __call__(self, x: Array, elapsed: Array) -> None:
        """Advance by ``elapsed`` hours, shape (cells,), with the regulators at ``x``."""
        wiring = self._wiring
        made = self.production(x)
        made -= self.messengers
        made *= np.minimum(elapsed / wiring.genes.lifetime[:, None], 1)
        self.messengers += made
        self.proteins += (self.messengers[self._coding] - self.proteins) * (elapsed / wiring.proteins.lifetime[:, None])
        self.regulators += (x - self.regulators) * np.minimum(elapsed / np.float32(_CHROMATIN_HOURS), 1)

    def profiles(self, x: Array) -> dict[str, Array]:
        """Give noise-free profiles with the regulators at ``x``.

        Returns
        -------
        dict[str, numpy.ndarray]
            ``rna``: messengers, ``atac``: accessibility in [0, 1], ``protein``: tags without background; each of shape
            (features, cells), in relative amounts.
        """
        production = np.concatenate([np.minimum(self.regulators, 1), self.production(self.regulators)])
        return {
            "rna": self._wiring.genes.expression(np.concatenate([x, self.messengers])),
            "atac": self._wiring.peaks.accessibility(self.regulators, production),
            "protein": self._wiring.proteins.abundance(self.proteins),
        }
