"""Where parameters and their states lie in memory, and whether they still do when the next step comes.

A layout is used as long as it holds. Between steps a user may move a model, load a state, replace an entry, write to
``.data``, resize a tensor or free its storage: all of it changes an address, a form, the length of a storage, or which
object an entry is, so these are what is compared, for all tensors of a step at once.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch

from waddington.optim._forms import Forms
from waddington.optim._slots import is_sharded, local_real

__all__ = ["Standing"]


class _Found(NamedTuple):
    """What was found of some rows; a row is a parameter, and then the entries of its state."""

    states: list[dict[str, Any]]
    rows: list[tuple[torch.Tensor, ...]]
    entries: list[torch.Tensor]
    tensors: list[torch.Tensor]
    addresses: list[int]
    storages: list[torch.UntypedStorage]
    lengths: list[int]


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
        pick = operator.itemgetter(*names)
        self._pick = pick if len(names) > 1 else lambda state: (pick(state),)  # of one name it gives no tuple
        self._is_sharded = any(map(is_sharded, params))
        rows = [(param, *entries) for param, entries in zip(params, map(self._pick, states), strict=True)]
        tensors = list(chain.from_iterable(rows))
        real = list(map(local_real, tensors)) if self._is_sharded else tensors
        storages = list(map(torch.Tensor.untyped_storage, real))  # held, so that no other can come to lie there
        where = _addresses(real), storages, _lengths(storages)
        self._all = _Found(list(states), rows, _entries_of(rows), tensors, *where)
        once = list({storage._cdata: storage for storage in storages}.values())  # one may serve many
        self._whole = self._now = self._all._replace(storages=once, lengths=_lengths(once))
        self._formed_rows = [row[: 1 + formed] for row in rows]
        self._formed = list(chain.from_iterable(self._formed_rows))
        self._forms, self._forms_of_rows = Forms(self._formed), list[Forms]()
        self._at: Sequence[int] = range(len(rows))

    def select(self, at: Sequence[int]) -> bool:
        """Look at these rows from now on.

        Returns
        -------
        bool
            Whether that can be done: False where a tensor, of these or not, has another form by now.
        """
        self._at, found = at, self._all
        if len(at) == len(found.rows):
            self._now = self._whole
            return True
        if not self._forms_of_rows:  # made where they are first needed, of what is known to be as it was
            if not self._forms.are(self._formed):
                return False
            self._forms_of_rows = list(map(Forms, self._formed_rows))
        rows, width = [found.rows[row] for row in at], len(found.rows[0])
        wide = [place for row in at for place in range(row * width, (row + 1) * width)]
        where = (
            [found.addresses[place] for place in wide],
            [found.storages[place] for place in wide],
            [found.lengths[place] for place in wide],
        )
        tensors = list(chain.from_iterable(rows))
        self._now = _Found([found.states[row] for row in at], rows, _entries_of(rows), tensors, *where)
        return True

    def holds(self, state: Mapping[torch.Tensor, Any] | None = None) -> bool:
        """Tell whether parameters and entries are still those, and where they were.

        Parameters
        ----------
        state
            The optimizer's; None where it is known to hold the same states.
        """
        return self._has_entries() and (state is None or self._has_states(state)) and self._is_whole()

    def _has_entries(self) -> bool:
        """Tell whether the states hold the entries that were found."""
        try:
            return all(map(operator.is_, chain.from_iterable(map(self._pick, self._now.states)), self._now.entries))
        except KeyError:
            return False

    def _has_states(self, state: Mapping[torch.Tensor, Any]) -> bool:
        """Tell whether an optimizer's state holds the states that were found."""
        return all(state.get(row[0]) is held for row, held in zip(self._now.rows, self._now.states, strict=True))

    def _is_whole(self) -> bool:
        """Tell whether the tensors are where and what they were."""
        now = self._now
        real = list(map(local_real, now.tensors)) if self._is_sharded else now.tensors
        return self._have_forms() and _addresses(real) == now.addresses and _lengths(now.storages) == now.lengths

    def _have_forms(self) -> bool:
        if len(self._at) == len(self._formed_rows):
            return self._forms.are(self._formed)
        return all(self._forms_of_rows[row].are(self._formed_rows[row]) for row in self._at)


def _entries_of(rows: Sequence[tuple[torch.Tensor, ...]]) -> list[torch.Tensor]:
    return [entry for row in rows for entry in row[1:]]


def _addresses(tensors: Sequence[torch.Tensor]) -> list[int]:
    return list(map(torch.Tensor.data_ptr, tensors))


def _lengths(storages: Sequence[torch.UntypedStorage]) -> list[int]:
    return list(map(torch.UntypedStorage.nbytes, storages))
