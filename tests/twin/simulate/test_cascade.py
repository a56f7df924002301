from __future__ import annotations

import itertools

import numpy as np
import pytest

from waddington.errors import ArgumentError
from waddington.twin.simulate.cascade import Cascade, Wiring
from waddington.twin.simulate.fates import FATES, STATES
from waddington.twin.simulate.genes import MARKERS
from waddington.twin.simulate.network import MYELOID


@pytest.fixture(scope="module")
def wiring() -> Wiring:
    return Wiring.draw(n_genes=200, n_peaks=400, n_proteins=30, seed=0)


def test_features_have_unique_names_and_known_kinds(wiring: Wiring) -> None:
    for names in (wiring.genes.names, wiring.peaks.names, wiring.proteins.names):
        assert len(set(names)) == len(names)
    assert wiring.genes.names[: len(MYELOID)] == MYELOID.genes
    assert set(wiring.genes.kinds) == {"regulator", "marker", "target", "constant"}
    assert set(wiring.peaks.kinds) == {"promoter", "enhancer", "constant"}
    assert wiring.proteins.names[:3] == ("CD34", "CD235a", "CD41")
    assert wiring.proteins.names[-1] == "Protein030"


def test_every_marker_names_regulators_and_codes_for_its_protein(wiring: Wiring) -> None:
    assert {word[1:] for _, _, program in MARKERS for word in program.split()} <= set(MYELOID.genes)
    coding = [wiring.genes.names[row] for row in wiring.proteins.genes]
    assert coding[: len(MARKERS)] == [gene for _, gene, _ in MARKERS]


def test_peaks_do_not_overlap_and_a_gene_has_one_promoter(wiring: Wiring) -> None:
    places = [(name.split(":")[0], *map(int, name.split(":")[1].split("-"))) for name in wiring.peaks.names]
    for (left, _, end), (right, start, _) in itertools.pairwise(places):
        assert left != right or end <= start
    promoters = [gene for gene, kind in zip(wiring.peaks.genes, wiring.peaks.kinds, strict=True) if kind == "promoter"]
    assert len(set(promoters)) == len(promoters) > 100


def test_a_wiring_is_drawn_once_and_for_all(wiring: Wiring) -> None:
    again = Wiring.draw(n_genes=200, n_peaks=10, n_proteins=30, seed=0)
    np.testing.assert_array_equal(again.genes.weights, wiring.genes.weights)
    np.testing.assert_array_equal(again.proteins.scale, wiring.proteins.scale)
    other = Wiring.draw(n_genes=200, n_peaks=10, n_proteins=30, seed=1)
    assert not np.array_equal(other.genes.weights, wiring.genes.weights)


@pytest.mark.parametrize(
    ("fate", "protein"),
    [("Erythrocyte", "CD235a"), ("Megakaryocyte", "CD61"), ("Monocyte", "CD14"), ("Neutrophil", "CD66b")],
)
def test_at_rest_each_fate_carries_its_marker_in_every_modality(wiring: Wiring, fate: str, protein: str) -> None:
    profiles = Cascade(wiring, STATES).profiles(STATES)
    column = list(FATES).index(fate)
    row = wiring.proteins.names.index(protein)
    gene = int(wiring.proteins.genes[row])
    assert profiles["protein"][row].argmax() == column
    assert profiles["rna"][gene].argmax() == column
    promoter = [peak for peak in np.flatnonzero(wiring.peaks.genes == gene) if wiring.peaks.kinds[peak] == "promoter"]
    for peak in promoter:
        assert profiles["atac"][peak].argmax() == column


def test_chromatin_leads_and_proteins_lag(wiring: Wiring) -> None:
    cascade = Cascade(wiring, STATES[:, [4]])
    goal = Cascade(wiring, STATES[:, [0]])
    x = STATES[:, [0]]
    before, target = cascade.profiles(STATES[:, [4]]), goal.profiles(x)
    for _ in range(4):
        cascade(x, np.full(1, 2.0, np.float32))
    now = cascade.profiles(x)
    done = {name: np.abs(now[name] - target[name]).sum() / np.abs(before[name] - target[name]).sum() for name in now}
    assert done["atac"] < done["rna"] < done["protein"]


def test_levels_relax_to_balance(wiring: Wiring) -> None:
    cascade = Cascade(wiring, STATES[:, [4]])
    for _ in range(300):
        cascade(STATES[:, [2]], np.full(1, 2.0, np.float32))
    rested, expected = cascade.profiles(STATES[:, [2]]), Cascade(wiring, STATES[:, [2]]).profiles(STATES[:, [2]])
    for name in rested:
        np.testing.assert_allclose(rested[name], expected[name], rtol=1e-2, atol=1e-3)


def test_accessibility_is_a_probability(wiring: Wiring) -> None:
    atac = Cascade(wiring, STATES).profiles(STATES * 1.5)["atac"]
    assert (atac >= 0).all()
    assert (atac <= 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_genes": 10}, "n_genes=10"),
        ({"n_peaks": -1}, "n_peaks=-1"),
        ({"n_genes": 20, "n_proteins": 10}, "accepted is at most 9 proteins"),
    ],
)
def test_impossible_sizes_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Wiring.draw(**({"n_genes": 50, "n_peaks": 20, "n_proteins": 4, "seed": 0} | arguments))
