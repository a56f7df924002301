"""Where parameters and their states lie in memory, and whether they still do when the next step comes.

A layout is used as long as it holds. Between steps a user may move a model, load a state, replace an entry, write to
``.data``, resize a tensor or free its storage: all of it changes an address, a form, the length of a storage, or which
object an entry is, so these are what is compared, for all tensors at once.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch

from waddington.optim._forms import Forms, Storages
from waddington.optim._slots import is_sharded, local_real

__all__ = ["Standing"]


class Standing:
    """How tensors and the entries of their states were found.

    Parameters
    ----------
    params, states
        Parameters, and the state of each.
    names
        The entries of the states that belong to the layout, one or more.
    formed
        How many of these, the first ones, are read as they are; the others are entries of columns.
    """

    def __init__(
        self, params: Sequence[torch.Tensor], states: Sequence[dict[str, Any]], names: Sequence[str], formed: int
    ) -> None:
        self._params, self._states = list(params), list(states)
        pick = operator.itemgetter(*names)
        self._pick = pick if len(names) > 1 else lambda state: (pick(state),)  # of one name it gives no tuple
        self._entries = list(chain.from_iterable(map(self._pick, states)))
        self._is_sharded = any(map(is_sharded, params))
        width = len(names)
        self._tensors = [*self._params, *self._entries]
        self._formed = [*self._params, *(e for at, e in enumerate(self._entries) if at % width < formed)]
        self._addresses, self._forms = self._addresses_now(), Forms(self._formed)
        self._storages = Storages(list(map(local_real, self._tensors)) if self._is_sharded else self._tensors)

    def _addresses_now(self) -> list[int]:
        tensors = self._tensors
        return list(map(torch.Tensor.data_ptr, map(local_real, tensors) if self._is_sharded else tensors))

    def holds(self, state: Mapping[torch.Tensor, Any] | None = None) -> bool:
        """Tell whether parameters and entries are still those, and where they were.

        Parameters
        ----------
        state
            The optimizer's; None where it is known to hold the same states.
        """
        return self.has_entries() and (state is None or self.has_states(state)) and self.is_whole()

    def has_entries(self) -> bool:
        """Tell whether the states hold the entries that were found."""
        try:
            return all(map(operator.is_, chain.from_iterable(map(self._pick, self._states)), self._entries))
        except KeyError:
            return False

    def has_states(self, state: Mapping[torch.Tensor, Any]) -> bool:
        """Tell whether an optimizer's state holds the states that were found."""
        return all(map(operator.is_, map(state.get, self._params), self._states))

    def is_whole(self) -> bool:
        """Tell whether the tensors that were found, held by states or not, are where and what they were."""
        return self._forms.are(self._formed) and self._addresses_now() == self._addresses and self._storages.are_whole()
