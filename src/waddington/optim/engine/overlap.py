"""Whether a step would write to one place of memory twice: tied parameters, views, expanded tensors."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NoReturn

import torch

from waddington.errors import DataError
from waddington.optim.engine.params import local_part, named_at
from waddington.optim.engine.state import RuleState
from waddington.optim.kernels.memory import overlapping

__all__ = ["Apart"]

_VALUES = "the values"
"""What a parameter's own coordinates are called beside its buffers."""


class Apart:
    """Whether all coordinates that a step writes to lie in places of their own; looked at where something moved.

    The values of a parameter that is not stepped may be those of others, too: a frozen one that is tied, or one of two
    views that take turns. A step of either does to the memory what it would do alone. Buffers are their parameter's
    alone at all times, for what is not stepped now may be stepped next.
    """

    def __init__(self) -> None:
        self._tensors: list[torch.Tensor] = []
        self._places: list[tuple[int, int]] = []
        self._stepped: AbstractSet[int] = frozenset()

    def learn(self, optimizer: RuleState) -> None:
        """Take note of where all is, after moves into memory of its own."""
        self._tensors = list(_written(optimizer).values())
        self._places = _places(self._tensors)

    def knows(self, stepped: AbstractSet[int]) -> bool:
        """Tell whether parameters, none of which has moved since, were found to lie apart."""
        return stepped <= self._stepped

    def check(self, optimizer: RuleState, stepped: AbstractSet[int]) -> None:
        """Check that no coordinate that a step may write to is another's as well.

        Parameters
        ----------
        optimizer
            Whose parameters and buffers.
        stepped
            Identities of the parameters that are stepped together.

        Raises
        ------
        DataError
            Names both.
        """
        written = _written(optimizer)
        keys, tensors = list(written), list(written.values())
        same = len(tensors) == len(self._tensors) and all(map(operator.is_, tensors, self._tensors))
        if same and _places(tensors) == self._places and stepped <= self._stepped:
            return
        left = list(range(len(keys)))
        while (found := overlapping([local_part(tensors[at]) for at in left])) is not None:
            pair = [left[place] for place in found]
            are_values = all(keys[at][2] == _VALUES for at in pair)
            idle = [at for at in pair if are_values and id(tensors[at]) not in stepped]
            if not idle:
                _refuse_overlap(optimizer, *(keys[at] for at in pair))
            left.remove(idle[0])
        are_all_apart = len(left) == len(keys)
        self._tensors, self._places = tensors, _places(tensors)
        self._stepped = frozenset(map(id, tensors)) if are_all_apart else stepped


def _refuse_overlap(optimizer: RuleState, first: tuple[int, int, str], second: tuple[int, int, str]) -> NoReturn:
    if first == second:
        raise DataError(
            f"cannot step: several coordinates of {_name(optimizer, *first)} lie in one place of memory; accepted are"
            " tensors of their own memory (.clone())"
        )
    raise DataError(
        f"cannot step: {_name(optimizer, *first)} and {_name(optimizer, *second)} lie in one memory, and a step of one"
        " would overwrite the other; accepted is one Parameter in both places (module_b.weight = module_a.weight),"
        " listed once, or memory of its own for each (.clone())"
    )


def _written(optimizer: RuleState) -> dict[tuple[int, int, str], torch.Tensor]:
    """Give parameters and buffers by group, place in the group, and name."""
    found: dict[tuple[int, int, str], torch.Tensor] = {}
    for group_index, group in enumerate(optimizer.param_groups):
        names = optimizer._rule.buffers(group)
        for at, param in enumerate(group["params"]):
            found[group_index, at, _VALUES] = param
            state = optimizer.state.get(param, {})
            for name in names:
                entry = state.get(name)
                if isinstance(entry, torch.Tensor):
                    found[group_index, at, name] = entry
    return found


def _places(tensors: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    return list(zip(map(torch.Tensor.data_ptr, tensors), map(torch.Tensor.numel, tensors), strict=True))


def _name(optimizer: RuleState, group_index: int, at: int, entry: str) -> str:
    return f"{entry} of {named_at(at, optimizer.param_groups[group_index], group_index)}"
