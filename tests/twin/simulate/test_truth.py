from __future__ import annotations

import numpy as np
import pytest

from waddington.errors import ArgumentError, UnknownNameError
from waddington.twin.data.conditions import parse_label
from waddington.twin.simulate.cascade import Wiring
from waddington.twin.simulate.design import default_conditions
from waddington.twin.simulate.network import MYELOID
from waddington.twin.simulate.truth import HOURS, mean_changes, natural_units, true_response

SIZES = {"n_genes": 80, "n_peaks": 100, "n_proteins": 12}


def gene_row(name: str) -> int:
    names = Wiring.draw(**SIZES, seed=0).genes.names
    return names.index(name)


def test_control_changes_nothing_at_all() -> None:
    # Equal cells in other columns may differ in the last bit of a matrix product, no more.
    assert all(np.abs(change).max() < 1e-5 for change in true_response((), n_cells=12, **SIZES).values())


def test_shapes_follow_the_features() -> None:
    change = true_response(parse_label("Gata1:knockout"), n_cells=12, **SIZES)
    assert {name: values.shape for name, values in change.items()} == {"rna": (80,), "atac": (100,), "protein": (12,)}
    assert all(values.dtype == np.float64 for values in change.values())


@pytest.mark.parametrize(
    ("label", "down", "up"),
    [
        ("Gata1:knockout", ("Gata1", "EKLF", "Fli1", "Gypa", "Itgb3"), ("Gata2",)),
        ("Pu.1:activation", ("Gata1", "Gypa"), ("Pu.1", "EgrNab", "Itgam")),
        ("EKLF:knockout", ("EKLF", "Gypa"), ("Fli1", "Itgb3")),
        ("Gfi1:knockout", ("Gfi1", "Ceacam8"), ("EgrNab", "Cd14")),
    ],
)
def test_edits_move_the_lineages_that_biology_says(label: str, down: tuple[str, ...], up: tuple[str, ...]) -> None:
    rna = true_response(parse_label(label), n_cells=180, **SIZES)["rna"]
    assert {name: rna[gene_row(name)] < -0.1 for name in down} == dict.fromkeys(down, True)
    assert {name: rna[gene_row(name)] > 0.1 for name in up} == dict.fromkeys(up, True)


def test_linear_and_log_scales_agree_in_sign_and_differ_in_size() -> None:
    condition = parse_label("Gata1:knockout")
    linear, logged = (
        true_response(condition, n_cells=60, scale=scale, **SIZES)["rna"] for scale in ("linear", "log1p")
    )
    row = gene_row("Gypa")
    assert linear[row] < logged[row] < 0
    with pytest.raises(ArgumentError, match="scale='log2'"):
        true_response(condition, scale="log2")


def test_a_batch_of_conditions_gives_what_each_gives_alone() -> None:
    wiring = Wiring.draw(**SIZES, seed=0)
    screen = default_conditions()[1:4]
    _, together = mean_changes(wiring, screen, HOURS, n_cells=30, seed=5)
    for row, condition in enumerate(screen):
        alone = true_response(condition, n_cells=30, seed=5, **SIZES)
        for name in alone:
            np.testing.assert_allclose(together[name][row], alone[name], rtol=1e-4, atol=1e-4)


def test_most_doubles_of_the_default_screen_are_sub_additive() -> None:
    screen = [condition for condition in default_conditions() if condition]
    _, logged = mean_changes(Wiring.draw(**SIZES, seed=0), screen, HOURS, n_cells=60, seed=0)
    change = dict(zip(screen, logged["rna"], strict=True))
    scales = []
    for double in (condition for condition in screen if len(condition) == 2):
        total = change[double[:1]] + change[double[1:]]
        scales.append(float(total @ change[double] / (total @ total)))
    assert 0.5 < np.median(scales) < 0.95
    assert np.mean(np.array(scales) < 0.95) >= 0.6


def test_natural_units_are_shares_but_for_accessibility() -> None:
    units = natural_units({name: np.array([[1.0], [3.0]], np.float32) for name in ("rna", "atac", "protein")})
    np.testing.assert_allclose(units["rna"][:, 0], [2500, 7500])
    np.testing.assert_allclose(units["atac"][:, 0], [1, 3])


def test_unknown_regulators_are_named() -> None:
    with pytest.raises(UnknownNameError, match=f"Known: {', '.join(MYELOID.genes[:2])}"):
        true_response(parse_label("Klf1:knockout"), n_cells=10, **SIZES)
