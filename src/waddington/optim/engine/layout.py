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

from waddington.optim.engine.buckets import FlatBucket
from waddington.optim.engine.dispatch import Execution
from waddington.optim.engine.groups import Selection, TensorGroup
from waddington.optim.engine.guards import WrittenMemory
from waddington.optim.engine.params import ParamSlot
from waddington.optim.engine.units import SingleTensor, Unit, can_be_compiled
from waddington.optim.kernels.memory import is_plain
from waddington.optim.rule import Rule

__all__ = ["Layout", "lay_out"]

_KEPT = 16  # sets of tensors, as of experts or of alternating tasks, that are known when they come again
_BUCKET = 1 << 18  # coordinates in one bucket, which then stays in the processor's caches


class Layout:
    """The tensor groups of a model, and which of their tensors take part in a step.

    Parameters
    ----------
    tensor_groups
        Of all tensors that have had a gradient.
    groups, state
        The optimizer's.

    Attributes
    ----------
    tensor_groups
        Those with tensors that take part.
    indices
        Places in the model of all tensors.
    is_another_set
        Whether other tensors take part than those that were last found to lie apart; reset by who looks.
    """

    def __init__(
        self,
        tensor_groups: Sequence[TensorGroup],
        groups: Sequence[dict[str, Any]],
        state: Mapping[torch.Tensor, dict[str, Any]],
    ) -> None:
        self.all_tensor_groups, self.tensor_groups = tuple(tensor_groups), tuple(tensor_groups)
        self._lists = [list(group["params"]) for group in groups]
        self._states = list(state.values())
        self._rows = [[slot.index for slot in tensor_group.all_slots] for tensor_group in tensor_groups]
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
        return all(
            tensor_group.still_fits(groups[tensor_group.group_index]) and tensor_group.is_in_place()
            for tensor_group in self.tensor_groups
        )

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
        for tensor_group, selection in selections:
            tensor_group.select(selection)
        self.tensor_groups, self._have_gradients = (
            tuple(tensor_group for tensor_group, _ in selections),
            list(have_gradients),
        )
        return True

    def _selections(self, have_gradients: tuple[bool, ...]) -> list[tuple[TensorGroup, Selection]] | None:
        found: list[tuple[TensorGroup, Selection]] = []
        for tensor_group, indices in zip(self.all_tensor_groups, self._rows, strict=True):
            rows = tuple(row for row, index in enumerate(indices) if have_gradients[index])
            if rows:
                selection = tensor_group.of(rows)
                if selection is None:
                    return None
                found.append((tensor_group, selection))
        return found

    def leave(self, staying: AbstractSet[int]) -> None:
        """Leave entries that are part of something longer to themselves, but for those of parameters by identity."""
        for tensor_group in self.all_tensor_groups:
            tensor_group.leave(staying)


def _are(found: Sequence[Any], known: Sequence[Any]) -> bool:
    return len(found) == len(known) and all(map(operator.is_, found, known))


def lay_out(rule: Rule, slots: Sequence[ParamSlot], executions: Sequence[Execution]) -> list[TensorGroup]:
    """Lay out tensors.

    Parameters
    ----------
    rule
        What is to be run.
    slots
        The tensors, their states made.
    executions
        How each of them is to be stepped (:func:`.dispatch.choose_paths`).
    """
    kinds: dict[Any, list[tuple[ParamSlot, Execution]]] = {}
    for slot, execution in zip(slots, executions, strict=True):
        kinds.setdefault((slot.group_index, slot.value.device, slot.param.dtype), []).append((slot, execution))
    tensor_groups = [_tensor_group(rule, alike) for alike in kinds.values()]
    written = WrittenMemory(
        tensor.untyped_storage()
        for tensor_group in tensor_groups
        for tensor in tensor_group.written
        if is_plain(tensor)
    )
    for tensor_group in tensor_groups:
        tensor_group.keep_apart(written)
    return tensor_groups


def _tensor_group(rule: Rule, slots: list[tuple[ParamSlot, Execution]]) -> TensorGroup:
    names = rule.buffers(slots[0][0].group)
    singles = [pair for pair in slots if pair[1].path != "together"]
    singles.sort(key=lambda pair: not can_be_compiled(*pair))  # a kernel's stand together
    units: list[Unit] = [SingleTensor(*pair, names, bool(rule.whole_tensor_reason)) for pair in singles]
    small = [pair for pair in slots if pair[1].path == "together"]
    units += [FlatBucket(part, names, small[0][1].reason) for part in _parts([slot for slot, _ in small])]
    return TensorGroup(rule, units)


def _parts(slots: list[ParamSlot]) -> Iterator[list[ParamSlot]]:
    part: list[ParamSlot] = []
    length = 0
    for slot in slots:
        length += slot.value.numel()
        if part and length > _BUCKET:
            yield part
            part, length = [], slot.value.numel()
        part.append(slot)
    if part:
        yield part
