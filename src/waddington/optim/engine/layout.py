"""How the tensors of a model are laid out for stepping; made when a first gradient comes, kept while nothing moves.

A layout holds all tensors that have had a gradient. Gradients may come and go, as with experts or alternating tasks; a
step is one of those tensors that have one now, and costs what a layout of these alone would. It is made anew where
anything was replaced, and where a tensor has its first gradient.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any

import torch

from waddington.optim.engine.buckets import Bucket
from waddington.optim.engine.dispatch import Way
from waddington.optim.engine.groups import Family
from waddington.optim.engine.selection import Selection
from waddington.optim.engine.units import Member, Single, Unit, can_be_compiled
from waddington.optim.kernels.memory import Memory, is_plain
from waddington.optim.rule import Rule

__all__ = ["Layout", "lay_out"]

_KEPT = 16  # sets of tensors, as of experts or of alternating tasks, that are known when they come again
_BUCKET = 1 << 18  # coordinates in one bucket, which then stays in the processor's caches


class Layout:
    """The families of a model, and which of their tensors take part in a step.

    Parameters
    ----------
    families
        Of all tensors that have had a gradient.
    groups, state
        The optimizer's.

    Attributes
    ----------
    families
        Those with tensors that take part.
    indices
        Places in the model of all tensors.
    is_another_set
        Whether other tensors take part than those that were last found to lie apart; reset by who looks.
    """

    def __init__(
        self,
        families: Sequence[Family],
        groups: Sequence[dict[str, Any]],
        state: Mapping[torch.Tensor, dict[str, Any]],
    ) -> None:
        self.all_families, self.families = tuple(families), tuple(families)
        self._lists = [list(group["params"]) for group in groups]
        self._states = list(state.values())
        self._rows = [[member.index for member in family.all_members] for family in families]
        self.indices = {index for rows in self._rows for index in rows}
        count = sum(map(len, self._lists))
        self._others = [index for index in range(count) if index not in self.indices]
        self._have_gradients = [index in self.indices for index in range(count)]
        self.is_another_set = True
        self._selected = lru_cache(maxsize=_KEPT)(self._selections)

    def holds(
        self,
        groups: Sequence[dict[str, Any]],
        state: Mapping[torch.Tensor, dict[str, Any]],
        have_gradients: Sequence[bool],
    ) -> bool:
        """Have the tensors with gradients take part, and tell whether they and their states are as they were found.

        Parameters
        ----------
        groups, state
            The optimizer's.
        have_gradients
            Of each parameter.
        """
        # Identities of the states, in their order: asking the state for each parameter costs a hash of each.
        if not self._is_of(groups) or not _are(list(state.values()), self._states):
            return False
        if have_gradients != self._have_gradients and not self.select(have_gradients):
            return False
        return all(family.still_fits(groups[family.group_index]) and family.is_in_place() for family in self.families)

    def _is_of(self, groups: Sequence[dict[str, Any]]) -> bool:
        return len(groups) == len(self._lists) and all(
            _are(group["params"], params) for group, params in zip(groups, self._lists, strict=True)
        )

    def select(self, have_gradients: Sequence[bool]) -> bool:
        """Have the tensors with gradients take part; False where one of them is not laid out, or any has moved."""
        if any(have_gradients[index] for index in self._others):
            return False
        self.is_another_set = True
        self._have_gradients = []  # nothing is known while it is being changed
        selections = self._selected(tuple(have_gradients))
        if selections is None:
            return False
        for family, selection in selections:
            family.select(selection)
        self.families, self._have_gradients = tuple(family for family, _ in selections), list(have_gradients)
        return True

    def _selections(self, have_gradients: tuple[bool, ...]) -> list[tuple[Family, Selection]] | None:
        found: list[tuple[Family, Selection]] = []
        for family, indices in zip(self.all_families, self._rows, strict=True):
            rows = tuple(row for row, index in enumerate(indices) if have_gradients[index])
            if rows:
                selection = family.of(rows)
                if selection is None:
                    return None
                found.append((family, selection))
        return found

    def leave(self, staying: AbstractSet[int]) -> None:
        """Leave entries that are part of something longer to themselves, but for those of parameters by identity."""
        for family in self.all_families:
            family.leave(staying)


def _are(found: Sequence[Any], known: Sequence[Any]) -> bool:
    return len(found) == len(known) and all(map(operator.is_, found, known))


def lay_out(rule: Rule, members: Sequence[Member], ways: Sequence[Way]) -> list[Family]:
    """Lay out tensors.

    Parameters
    ----------
    rule
        What is to be run.
    members
        The tensors, their states made.
    ways
        How each of them is to be stepped (:func:`.dispatch.ways_of`).
    """
    kinds: dict[Any, list[tuple[Member, Way]]] = {}
    for member, way in zip(members, ways, strict=True):
        kinds.setdefault((member.group_index, member.value.device, member.param.dtype), []).append((member, way))
    families = [_family(rule, alike) for alike in kinds.values()]
    written = Memory(tensor.untyped_storage() for family in families for tensor in family.written if is_plain(tensor))
    for family in families:
        family.keep_apart(written)
    return families


def _family(rule: Rule, members: list[tuple[Member, Way]]) -> Family:
    names = rule.buffers(members[0][0].group)
    singles = [pair for pair in members if pair[1].how != "together"]
    singles.sort(key=lambda pair: not can_be_compiled(*pair))  # a kernel's stand together
    units: list[Unit] = [Single(member, names, way, bool(rule.needs_whole)) for member, way in singles]
    small = [(member, way) for member, way in members if way.how == "together"]
    units += [Bucket(part, names, small[0][1]) for part in _parts([member for member, _ in small])]
    return Family(rule, units)


def _parts(members: list[Member]) -> Iterator[list[Member]]:
    part: list[Member] = []
    length = 0
    for member in members:
        length += member.value.numel()
        if part and length > _BUCKET:
            yield part
            part, length = [], member.value.numel()
        part.append(member)
    if part:
        yield part
