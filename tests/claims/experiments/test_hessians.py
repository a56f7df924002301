"""Hessians of a transformer: every one must keep what the theorem assumes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.claims.records import record

from waddington.claims.experiments import hessians


def look(**changes: Any) -> dict[str, Any]:
    return {
        "step": 0, "loss": 2.0, "lowest": 0.1, "highest": 3.0, "negative": 0, "count": 100,
        "is_positive_definite": True, "coupling": 0.5, "spread": 0.9, "wide_blocks": 0, "blocks": 10,
    } | changes  # fmt: skip


def runs(**changes: Any) -> list[Any]:
    """Three runs of two looks, the last one of which is changed."""
    return [record({"looks": [look(), look(step=50, **(changes if at == 2 else {}))]}) for at in range(3)]


def test_a_transformer_on_letters_is_looked_at() -> None:
    found = hessians.blocks(0, looks=(0, 1), windows=2, width=4, context=2, data="stand-in")
    assert [one["step"] for one in found["looks"]] == [0, 1]
    assert found["looks"][0]["lowest"] < found["looks"][0]["highest"]
    assert found["looks"][0]["blocks"] > 10


@pytest.mark.parametrize(
    ("judge", "changes"),
    [
        (hessians.is_positive_definite, {"is_positive_definite": False, "lowest": -0.3, "negative": 40}),
        (hessians.is_nearly_diagonal, {"coupling": 1.2}),
        (hessians.has_alike_eigenvalues, {"wide_blocks": 3}),
    ],
)
def test_one_hessian_that_breaks_an_assumption_is_enough(judge: Any, changes: dict[str, Any]) -> None:
    assert judge(runs()).holds
    assert not judge(runs(**changes)).holds


def test_looks_are_drawn() -> None:
    for draw in (hessians.draw_eigenvalues, hessians.draw_couplings, hessians.draw_spreads):
        assert len(draw(runs()).axes[0].get_yticks()) == 2
