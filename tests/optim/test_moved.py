"""Names that have moved: the old address gives the same thing, and warns."""

from __future__ import annotations

import importlib

import pytest

MOVED = [
    ("waddington.optim.switching", "Switched", "waddington.optim"),
    ("waddington.optim.masking", "Masked", "waddington.optim"),
    ("waddington.optim.compression", "Compressed", "waddington.optim"),
    ("waddington.optim.lookahead", "Lookahead", "waddington.optim"),
    ("waddington.optim._rule", "Rule", "waddington.optim.rule"),
    ("waddington.optim._rule", "Measured", "waddington.optim.rule"),
    ("waddington.optim._engine", "RuleOptimizer", "waddington.optim.engine"),
]


@pytest.mark.parametrize(("old", "name", "new"), MOVED)
def test_an_old_address_gives_the_same_thing_and_warns(old, name, new):
    module = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=f"{old}.{name} has moved: import it from waddington.optim"):
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(new), name)


@pytest.mark.parametrize("old", sorted({old for old, _, _ in MOVED}))
def test_an_unknown_name_is_no_attribute(old):
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        importlib.import_module(old).Nothing  # noqa: B018
