from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import spearmanr

from waddington.errors import ArgumentError, DataError
from waddington.twin.preprocess.graph import connectivities, knn_graph
from waddington.twin.trajectory.order import MIN_PART, Order, RootHint, describe_parts, order_cells, order_notes


def line(n: int, seed: int = 0) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Cells along a line; gives their graph and their true places."""
    rng = np.random.default_rng(seed)
    place = np.sort(rng.random(n))
    x = np.stack([1.0 + place, 0.5 - place], axis=1) + rng.normal(size=(n, 2)) * 0.005
    return connectivities(knn_graph(x.astype(np.float32), metric="euclidean")), place


def islands(*sizes: int) -> sparse.csr_matrix:
    return sparse.block_diag([line(n, seed)[0] for seed, n in enumerate(sizes)], format="csr")


def only(n: int, *cells: int) -> np.ndarray:
    chosen = np.zeros(n, dtype=bool)
    chosen[list(cells)] = True
    return chosen


def test_a_named_root_is_where_the_order_begins():
    graph, place = line(200)
    order = order_cells(graph, hint=RootHint(words="named", cells=only(200, 199)))
    assert order.pseudotime[199] == 0.0
    assert spearmanr(order.pseudotime, place).statistic < -0.95
    assert not order.is_guess
    assert order.roots[0].words == "named"


def test_a_marker_puts_the_root_where_its_neighbourhood_is_high_not_where_one_cell_is():
    graph, place = line(200)
    score = 1.0 - place
    score[150] = 5.0  # one bright cell among dark ones
    root = order_cells(graph, hint=RootHint(words="marker", score=score)).roots[0]
    assert place[root.cell] < 0.15


def test_without_a_hint_the_root_is_a_guess_and_its_alternatives_are_known():
    graph, place = line(200)
    root = order_cells(graph).roots[0]
    assert root.is_guess
    assert min(place[root.cell], 1.0 - place[root.cell]) < 0.1
    # From the opposite end the order runs the other way round.
    opposite = min(root.agreement)
    assert opposite < -0.9
    note = order_notes(order_cells(graph), names=np.array([f"c{i}" for i in range(200)]))[0]
    assert "a guess" in note
    assert all(f"'c{cell}'" in note for cell in (root.cell, *root.others))


def test_a_guess_is_made_among_the_candidates():
    graph, place = line(200)
    root = order_cells(graph, candidates=place > 0.7).roots[0]
    assert place[root.cell] > 0.7


def test_cells_that_no_path_reaches_have_no_pseudotime_and_are_counted():
    order = order_cells(islands(120, 60, 3))
    assert np.isfinite(order.pseudotime[:120]).all()
    assert np.isnan(order.pseudotime[120:]).all()
    assert list(order.roots) == [0]
    groups = np.array(["T"] * 120 + ["B"] * 60 + ["B"] * 3)
    said = " ".join(order_notes(order, names=np.arange(183).astype(str), groups=groups))
    assert "120 cells (T 100%); 60 cells (B 100%); 3 cells in 1 smaller part" in said
    assert "63 cells without an order" in said


def test_the_root_decides_which_part_is_ordered():
    order = order_cells(islands(120, 60), hint=RootHint(words="named", cells=only(180, 150)))
    assert np.isnan(order.pseudotime[:120]).all()
    assert order.pseudotime[150] == 0.0


def test_each_part_may_have_an_order_of_its_own():
    order = order_cells(islands(120, 60, MIN_PART - 1), hint=RootHint(words="named", cells=only(199, 0)), parts="each")
    for part in (slice(0, 120), slice(120, 180)):
        assert order.pseudotime[part].min() == 0.0
        assert order.pseudotime[part].max() == 1.0
    assert np.isnan(order.pseudotime[180:]).all()
    assert [root.is_guess for root in order.roots.values()] == [False, True]


def test_several_parts_are_refused_where_the_user_says_so():
    with pytest.raises(DataError, match=r"2 parts .*120 cells; 60 cells"):
        order_cells(islands(120, 60), parts="refuse")
    assert np.isfinite(order_cells(islands(120), parts="refuse").pseudotime).all()
    with pytest.raises(ArgumentError, match="parts='all'"):
        order_cells(islands(120), parts="all")


def test_a_root_that_nothing_is_joined_to_is_refused():
    graph = sparse.block_diag([line(60)[0], sparse.csr_matrix((1, 1))], format="csr")
    with pytest.raises(DataError, match="the root's part of their graph has 1"):
        order_cells(graph, hint=RootHint(words="named", cells=only(61, 60)))


def test_many_small_parts_are_summed_up():
    part = np.concatenate([np.zeros(50, dtype=int), np.arange(1, 8)])
    assert describe_parts(part) == "50 cells; 7 cells in 7 smaller parts"


def test_one_connected_part_with_a_known_root_needs_one_note():
    order = Order(pseudotime=np.zeros(3, np.float32), part=np.zeros(3, int), roots={})
    assert order_notes(order, names=np.array(["a", "b", "c"])) == ()
