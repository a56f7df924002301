"""The simulated screens of `responses.py`: 22 single perturbations, doubles of them, 200 genes, three wirings.

Training: the singles and some doubles, few cells each. Truth: another experiment of the same genome with 300 cells a
condition and controls of its own; perturbed genes are not scored. Counts are scaled to 10,000 a cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from responses_scoring import Observed
from waddington.twin.data.conditions import Condition, Perturbation, condition_label, conditions_of, parse_label
from waddington.twin.data.splits import Split
from waddington.twin.datasets import simulate
from waddington.twin.respond import Measured
from waddington.twin.simulate.network import MYELOID

GENES, TRUE_CELLS, TRUE_CONTROLS = 200, 300, 1500
DOUBLES = (0, 12, 40, 100)
HELD_OUT = 60
"""Doubles that are never trained on."""
HIDDEN = 5
"""Perturbations that are left out altogether, or measured in doubles alone."""

EDITS = tuple(Perturbation(gene, mode) for gene in MYELOID.genes for mode in ("knockout", "activation"))
SINGLES: tuple[Condition, ...] = tuple((edit,) for edit in EDITS)
PAIRS: tuple[Condition, ...] = tuple(
    tuple(sorted(pair)) for pair in itertools.combinations(EDITS, 2) if pair[0].gene != pair[1].gene
)


@dataclass(frozen=True, kw_only=True)
class Screen:
    """One screen and its truth."""

    name: str
    measured: Measured
    """Singles and all training doubles."""
    doubles: tuple[str, ...]
    """Training doubles, in the order in which they are taken."""
    observed: dict[str, Observed]
    hidden: frozenset[str]
    """Single perturbations that some splits hide."""

    def without(self, doubles: int, hidden: str = "") -> Measured:
        """Train on so many doubles; `hidden` says whether the hidden perturbations are gone ``alone`` or ``all``."""
        out = set(self.doubles[doubles:])
        if hidden:
            out |= self.hidden
        if hidden == "all":
            out |= {label for label in self.doubles if self.hidden & set(label.split("+"))}
        return self.measured.without(out)


def profiles(n_cells: int, conditions: list[Condition], controls: int, *, seed: int, wiring: int):
    """Simulate one experiment: log-profiles, labels, names of genes."""
    total = n_cells * len(conditions) + controls
    mdata = simulate(
        n_cells=total, n_genes=GENES, n_peaks=0, n_proteins=0, conditions=[(), *conditions],
        control_fraction=controls / total, n_truth_cells=0, seed=seed, wiring_seed=wiring,
    )  # fmt: skip
    counts = mdata["rna"].X
    depth = np.maximum(np.asarray(counts.sum(axis=1)), 1.0).reshape(-1, 1)
    x = np.log1p(counts.toarray() * np.float32(1e4) / depth.astype(np.float32))
    return x, conditions_of(mdata).to_numpy().astype(np.str_), mdata["rna"].var_names.to_numpy().astype(np.str_)


def screens(
    n: int, wirings: int, *, cells: int = 100, controls: int = 400, every_single: bool = True
) -> Iterator[Screen]:
    """Make screens one after another, wirings in turn."""
    for number in range(n):
        wiring, seed = number % wirings, 100 + number
        rng = np.random.default_rng(seed)
        pairs = [PAIRS[i] for i in rng.permutation(len(PAIRS))]
        training, held = pairs[: max(DOUBLES)], pairs[max(DOUBLES) : max(DOUBLES) + HELD_OUT]
        hidden = frozenset(condition_label(SINGLES[i]) for i in rng.permutation(len(SINGLES))[:HIDDEN])
        x, labels, names = profiles(cells, [*SINGLES, *training], controls, seed=2 * seed, wiring=wiring)
        split = Split(
            kind="perturbation", labels=labels, control="control", train=np.ones(len(labels), dtype=bool), split_of={}
        )
        measured = Measured.of({"rna": x}, split, names={"rna": names})
        true = [*held, *(SINGLES if every_single else ())]
        y, found, _ = profiles(TRUE_CELLS, true, TRUE_CONTROLS, seed=2 * seed + 1, wiring=wiring)
        control = y[found == "control"]
        yield Screen(
            name=f"screen {number}, wiring {wiring}",
            measured=measured,
            doubles=tuple(condition_label(one) for one in training),
            observed={
                label: Observed.of(label, y[found == label], control, unedited(names, label))
                for label in map(condition_label, true)
            },
            hidden=hidden,
        )


def unedited(names: npt.NDArray[np.str_], label: str) -> npt.NDArray[np.bool_]:
    """Genes that a condition does not perturb itself."""
    return ~np.isin(names, [edit.gene for edit in parse_label(label)])
