"""The transcriptome under the regulators: marker genes, invented targets, constant genes.

A target's promoter follows a Boltzmann occupancy: it is made at the rate ``σ(Σ w x + b)``, with positive weights for
activators and negative ones for repressors, from regulators and, for a quarter of the targets, from another target too.
Marker genes carry real symbols and the textbook lineage, and code for the surface proteins; their numbers are invented,
like everything here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington.twin.simulate.network import MYELOID

__all__ = ["MARKERS", "GeneTable", "wire_genes"]

Array = npt.NDArray[np.float32]

MARKERS: tuple[tuple[str, str, str], ...] = (
    ("CD34", "Cd34", "+Gata2 -EgrNab -Gfi1"),
    ("CD235a", "Gypa", "+EKLF +Gata1"),
    ("CD41", "Itga2b", "+Gata1 +Fli1"),
    ("CD14", "Cd14", "+EgrNab"),
    ("CD15", "Fut4", "+Gfi1 -Gata1"),
    ("CD71", "Tfrc", "+Gata1 -Fli1"),
    ("CD61", "Itgb3", "+Fli1"),
    ("CD64", "Fcgr1a", "+EgrNab +Pu.1"),
    ("CD66b", "Ceacam8", "+Gfi1 +Pu.1"),
    ("CD117", "Kit", "+Gata2 -Pu.1"),
    ("CD11b", "Itgam", "+Pu.1 -Gata2"),
    ("CD42b", "Gp1ba", "+Fli1 +SCL"),
    ("CD115", "Csf1r", "+cJun +Pu.1"),
    ("CD16", "Fcgr3", "+Gfi1 +Pu.1"),
    ("CD105", "Eng", "+EKLF"),
    ("CD33", "Cd33", "+Cebpa +Pu.1"),
    ("CD110", "Mpl", "+Fli1 -Pu.1"),
    ("CD13", "Anpep", "+Pu.1 +Cebpa"),
    ("CD114", "Csf3r", "+Cebpa -EgrNab"),
    ("CD38", "Cd38", "+SCL"),
    ("CD45RA", "Ptprc", "+Pu.1"),
    ("CD123", "Il3ra", "+Gata2 +Cebpa"),
    ("CD9", "Cd9", "+Fog1 +Fli1"),
    ("CD36", "Cd36", "+EKLF -Fli1"),
)
"""Surface protein, the gene that codes for it, and its regulators; ordered so that few already tell the fates."""

_STEEPNESS = 7.0
_CONSTANT_SHARE = 0.12
_CASCADE_SHARE = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneTable:
    """Genes and how they are made; regulators come first.

    Attributes
    ----------
    names, kinds, programs
        Symbol; ``"regulator"``, ``"marker"``, ``"target"`` or ``"constant"``; regulators as ``"+EKLF -Fli1"``.
        Length (genes,).
    weights
        Effect of regulators on targets, shape (targets, regulators).
    cascade
        Effect of targets on targets, shape (targets, targets); strictly lower triangular.
    bias
        Shape (targets,).
    lifetime
        Messenger lifetimes in hours, shape (targets,).
    scale, leak
        Expression is ``scale * (leak + level)``, shape (genes,); regulators don't leak.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    programs: tuple[str, ...]
    weights: Array
    cascade: Array
    bias: Array
    lifetime: Array
    scale: Array
    leak: Array

    @property
    def n_regulators(self) -> int:
        """Number of leading rows that are regulators."""
        return int(self.weights.shape[1])

    def expression(self, levels: Array) -> Array:
        """Turn levels (genes, cells), regulators first, into amounts of messenger."""
        amount: Array = self.scale[:, None] * (self.leak[:, None] + levels)
        return amount


def _draw_program(rng: np.random.Generator, first: int) -> str:
    """Give a target its first regulator, and perhaps one that joins or opposes it."""
    regulators = MYELOID.genes
    program = f"+{regulators[first]}"
    if rng.random() < 0.55:
        other = regulators[(first + 1 + int(rng.integers(len(regulators) - 1))) % len(regulators)]
        program += f" {'+' if rng.random() < 0.6 else '-'}{other}"
    return program


def wire_genes(n_genes: int, rng: np.random.Generator) -> GeneTable:
    """Draw a transcriptome.

    Parameters
    ----------
    n_genes
        Genes in all: the regulators, as many markers as fit, then targets and constant genes.
    rng
        Source of everything drawn.

    Returns
    -------
    GeneTable
        The wiring; the same generator state gives the same table.
    """
    regulators = MYELOID.genes
    n_targets = n_genes - len(regulators)
    n_markers = min(len(MARKERS), n_targets)
    n_constant = round(_CONSTANT_SHARE * (n_targets - n_markers))
    programs = [program for _, _, program in MARKERS[:n_markers]]
    programs += [_draw_program(rng, row % len(regulators)) for row in range(n_targets - n_markers - n_constant)]
    n_driven = len(programs)
    programs += [""] * n_constant

    weights = np.zeros((n_targets, len(regulators)), dtype=np.float32)
    cascade = np.zeros((n_targets, n_targets), dtype=np.float32)
    half_point = rng.uniform(0.3, 0.7, n_targets)
    bias = np.zeros(n_targets)
    for row, program in enumerate(programs[:n_driven]):
        for word in program.split():
            weights[row, MYELOID.index(word[1:])] = _STEEPNESS if word[0] == "+" else -_STEEPNESS
        n_activators = program.count("+")
        # Activators share the work: all of them together, not any one alone, carry the promoter past its half-point.
        weights[row] = np.where(weights[row] > 0, weights[row] / max(n_activators, 1), weights[row])
        bias[row] = -_STEEPNESS * half_point[row]
        if n_markers <= row < n_driven and rng.random() < _CASCADE_SHARE:
            source = int(rng.integers(row))
            effect = 0.5 * _STEEPNESS * float(rng.choice((-1.0, 1.0)))
            cascade[row, source] = effect
            programs[row] += f" {'+' if effect > 0 else '-'}{_target_name(source)}"
    kinds = ["regulator"] * len(regulators) + ["marker"] * n_markers + ["target"] * (n_driven - n_markers)
    kinds += ["constant"] * n_constant
    scale = np.concatenate([rng.lognormal(-0.3, 0.3, len(regulators)), rng.lognormal(0.0, 1.2, n_targets)])
    leak = np.concatenate([np.zeros(len(regulators)), rng.uniform(0.01, 0.12, n_targets)])
    return GeneTable(
        names=(*regulators, *(_target_name(row) for row in range(n_targets))),
        kinds=tuple(kinds),
        programs=tuple(
            " ".join(("-" if sign < 0 else "+") + regulators[gene] for gene, sign in rule.inputs())
            for rule in MYELOID.rules
        )
        + tuple(programs),
        weights=weights,
        cascade=cascade,
        bias=bias.astype(np.float32),
        lifetime=rng.uniform(4.0, 18.0, n_targets).astype(np.float32),
        scale=scale.astype(np.float32),
        leak=leak.astype(np.float32),
    )


def _target_name(row: int) -> str:
    return MARKERS[row][1] if row < len(MARKERS) else f"Target{row + 1 - len(MARKERS):03d}"
