from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError, UnknownNameError, UnsupportedError
from waddington.twin.data.conditions import Condition, Perturbation
from waddington.twin.simulate.dynamics import MYELOID_KINETICS, Edits, Kinetics, hill, integrate, steady_state
from waddington.twin.simulate.network import MYELOID, TOGGLE, Network

KINETICS = Kinetics(
    lifetime=np.full(2, 5, np.float32), threshold=np.full(2, 0.5, np.float32), start=np.full(2, 0.5, np.float32)
)


def edits(*perturbations: tuple[str, str], n_cells: int = 1) -> Edits:
    condition: Condition = tuple(Perturbation(gene, mode) for gene, mode in perturbations)
    return Edits.of(MYELOID, [condition], [n_cells])


def progenitors(n_cells: int) -> npt.NDArray[np.float32]:
    return np.repeat(MYELOID_KINETICS.start[:, None], n_cells, axis=1)


def test_hill_passes_through_both_corners_and_its_half_point() -> None:
    threshold = np.array([0.3, 0.7], dtype=np.float32)
    x = np.array([[0, 0.3, 1, 1.4], [0, 0.7, 1, 1.4]], dtype=np.float32)
    expected = [[0, (1 + k**4) / 2, 1, 1] for k in (0.3, 0.7)]
    np.testing.assert_allclose(hill(x, threshold, 4), expected, rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 0.98), st.floats(0, 0.98))
def test_a_toggle_falls_to_the_side_it_leans_to(a: float, b: float) -> None:
    if abs(a - b) < 0.02:
        b = a + 0.02
    end = steady_state(TOGGLE, KINETICS, np.array([[a], [b]], dtype=np.float32))[:, 0]
    np.testing.assert_allclose(end, [1, 0] if a > b else [0, 1], atol=1e-3)


def test_a_toggle_without_lean_chooses_either_side_by_chance() -> None:
    start = np.full((2, 400), 0.5, dtype=np.float32)
    end = integrate(TOGGLE, KINETICS, start, hours=200.0, rng=np.random.default_rng(0))
    assert 0.4 < (end[0] > end[1]).mean() < 0.6
    assert (np.abs(end[0] - end[1]) > 0.5).mean() > 0.97


def test_boolean_fixed_points_are_fixed_and_attract() -> None:
    points = MYELOID.boolean_fixed_points().T
    np.testing.assert_allclose(steady_state(MYELOID, MYELOID_KINETICS, points), points, atol=1e-4)
    rng = np.random.default_rng(0)
    pushed = np.clip(points + rng.uniform(-0.2, 0.2, points.shape), 0, None).astype(np.float32)
    np.testing.assert_allclose(steady_state(MYELOID, MYELOID_KINETICS, pushed), points, atol=1e-3)


def test_fluctuations_at_rest_have_the_size_of_the_system() -> None:
    network = Network.parse({"A": "not B", "B": "B"})
    start = np.repeat(network.state("A")[:, None], 4000, axis=1)
    end = integrate(network, KINETICS, start, hours=50.0, rng=np.random.default_rng(1), n_steps=400)
    assert end[0].mean() == pytest.approx(1.0, abs=0.01)
    assert end[0].std() == pytest.approx(KINETICS.system_size**-0.5, rel=0.05)
    assert (end[1] == 0).all()


@pytest.mark.parametrize("gene", MYELOID.genes)
def test_a_knockout_brings_its_gene_to_zero_and_keeps_it_there(gene: str) -> None:
    start = np.ones((len(MYELOID), 5), dtype=np.float32)
    edit = edits((gene, "knockout"), n_cells=5)
    end = integrate(MYELOID, MYELOID_KINETICS, edit.apply(start), hours=48.0, rng=np.random.default_rng(0), edits=edit)
    assert (end[MYELOID.index(gene)] == 0).all()


@pytest.mark.parametrize(
    ("mode", "level"), [("knockout", 0.0), ("knockdown", 0.25), ("activation", 1.0), ("overexpression", 1.5)]
)
def test_modes_set_the_level_of_a_gene_that_is_on(mode: str, level: float) -> None:
    network = Network.parse({"A": "not B", "B": "B"})
    edit = Edits.of(network, [(Perturbation("A", mode),)], [1])
    end = integrate(network, KINETICS, np.zeros((2, 1), np.float32), hours=100.0, rng=None, edits=edit)
    np.testing.assert_allclose(end[:, 0], [level, 0], atol=1e-3)


def test_each_cell_develops_for_its_own_time() -> None:
    together = integrate(MYELOID, MYELOID_KINETICS, progenitors(2), hours=np.array([10.0, 60.0]), rng=None)
    for column, hours in enumerate((10.0, 60.0)):
        alone = integrate(MYELOID, MYELOID_KINETICS, progenitors(1), hours=hours, rng=None)
        np.testing.assert_allclose(together[:, [column]], alone, rtol=1e-5, atol=1e-6)


def test_concentrations_are_never_negative_and_a_seed_fixes_every_bit() -> None:
    ends = [
        integrate(MYELOID, MYELOID_KINETICS, progenitors(50), hours=60.0, rng=np.random.default_rng(3))
        for _ in range(2)
    ]
    assert (ends[0] >= 0).all()
    np.testing.assert_array_equal(*ends)


def test_replicas_share_their_fluctuations() -> None:
    end = integrate(MYELOID, MYELOID_KINETICS, progenitors(20), hours=60.0, rng=np.random.default_rng(3), replicas=2)
    np.testing.assert_array_equal(end[:, :10], end[:, 10:])
    with pytest.raises(ArgumentError, match="replicas=3"):
        integrate(MYELOID, MYELOID_KINETICS, progenitors(20), hours=60.0, rng=None, replicas=3)


def test_an_observer_sees_all_time_pass() -> None:
    passed: list[float] = []
    integrate(
        MYELOID,
        MYELOID_KINETICS,
        progenitors(1),
        hours=30.0,
        rng=None,
        n_steps=60,
        observe=lambda x, elapsed: passed.append(float(elapsed[0])),
        observe_every=3,
    )
    assert len(passed) == 20
    assert sum(passed) == pytest.approx(30.0)


def test_too_long_a_step_is_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(ArgumentError, match="n_steps >= 12") as refusal:
        integrate(MYELOID, MYELOID_KINETICS, progenitors(1), hours=100.0, rng=None, n_steps=10)
    assert "n_steps=10" in str(refusal.value)
    integrate(MYELOID, MYELOID_KINETICS, progenitors(1), hours=100.0, rng=None, n_steps=12)


def test_edits_that_mean_nothing_here_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown regulator 'Gata3'. Did you mean 'Gata[12]'"):
        edits(("Gata3", "knockout"))
    with pytest.raises(UnsupportedError, match="cannot simulate 'drug' of Gata1"):
        edits(("Gata1", "drug"))
    with pytest.raises(UnsupportedError, match="cannot simulate dose 5 of Gata1"):
        Edits.of(MYELOID, [(Perturbation("Gata1", "knockout", 5.0),)], [1])
    with pytest.raises(ArgumentError, match="cannot edit Gata1 twice"):
        edits(("Gata1", "knockout"), ("Gata1", "activation"))


def test_edits_are_laid_out_condition_by_condition() -> None:
    table = Edits.of(MYELOID, [(), (Perturbation("Gata1", "knockout"),)], [2, 1])
    np.testing.assert_array_equal(table.touched[MYELOID.index("Gata1")], [False, False, True])
    np.testing.assert_array_equal(table.take(np.array([2, 0])).factor[MYELOID.index("Gata1")], [0, 1])
