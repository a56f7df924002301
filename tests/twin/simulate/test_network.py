from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError
from waddington.twin.simulate.fates import FATES
from waddington.twin.simulate.network import MYELOID, TOGGLE, Network


def bundled_with_scanpy() -> tuple[dict[str, str], set[tuple[str, str, int]]]:
    """Read the rules, and the signed couplings, from the file in scanpy's wheel, without importing scanpy."""
    spec = find_spec("scanpy")
    assert spec is not None
    assert spec.origin is not None
    lines = (Path(spec.origin).parent / "sim_models" / "krumsiek11.txt").read_text().splitlines()
    rules = dict(line.split(" = ") for line in lines if " = " in line and not line.startswith("#"))
    rows = [line.split() for line in lines if line and not line.startswith("#") and " = " not in line]
    return rules, {(target, source, -1 if float(weight) < 0 else 1) for target, source, weight in rows}


def test_the_rules_are_those_that_scanpy_bundles() -> None:
    rules, _ = bundled_with_scanpy()
    assert Network.parse(rules) == MYELOID


def test_signs_of_inputs_agree_with_the_published_couplings() -> None:
    _, couplings = bundled_with_scanpy()
    ours = {
        (target, MYELOID.genes[source], sign)
        for target, rule in zip(MYELOID.genes, MYELOID.rules, strict=True)
        for source, sign in rule.inputs()
    }
    assert ours == couplings


def test_boolean_fixed_points_are_the_four_fates_and_a_monocyte_without_cebpa() -> None:
    points = {
        frozenset(gene for gene, on in zip(MYELOID.genes, state, strict=True) if on)
        for state in MYELOID.boolean_fixed_points()
    }
    assert points == {frozenset(), *map(frozenset, FATES.values()), frozenset({"Pu.1", "cJun", "EgrNab"})}


def test_a_toggle_has_two_fixed_points() -> None:
    np.testing.assert_array_equal(TOGGLE.boolean_fixed_points(), [[0, 1], [1, 0]])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=11, max_size=11))
def test_on_boolean_states_the_extension_is_the_boolean_rule(bits: list[bool]) -> None:
    on = {gene.replace(".", ""): bit for gene, bit in zip(MYELOID.genes, bits, strict=True)}
    rules, _ = bundled_with_scanpy()
    expected = [bool(eval(rule.replace("Pu.1", "Pu1"), {}, on)) for rule in rules.values()]
    got = MYELOID.production(np.array(bits, dtype=np.float32)[:, None])[:, 0]
    np.testing.assert_array_equal(got, expected)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1, width=32), min_size=11, max_size=11), st.integers(0, 10))
def test_production_stays_within_bounds_and_is_linear_in_each_input(values: list[float], gene: int) -> None:
    activity = np.repeat(np.array(values, dtype=np.float32)[:, None], 3, axis=1)
    activity[gene] = (0.0, 0.5, 1.0)
    made = MYELOID.production(activity)
    assert (made >= 0).all()
    assert (made <= 1 + 1e-6).all()
    np.testing.assert_allclose(made[:, 1], (made[:, 0] + made[:, 2]) / 2, atol=1e-6)


def test_state_turns_the_named_genes_on() -> None:
    np.testing.assert_array_equal(TOGGLE.state("B"), [0, 1])


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"A": "B"}, "found 'B'; accepted genes are A"),
        ({"A": "A and"}, "does not parse"),
        ({"A": "A + A"}, "accepted are names, and, or, not"),
        ({"A": "A or not A"}, "names a gene twice"),
    ],
)
def test_rules_that_cannot_be_used_are_refused(rules: dict[str, str], message: str) -> None:
    with pytest.raises(ArgumentError, match="cannot use the rule of A.*" + message.replace("+", r"\+")):
        Network.parse(rules)
