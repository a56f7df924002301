"""Where parameters and their states lie in memory, and whether they still do when the next step comes.

A layout is used as long as it holds. Between steps a user may move a model, load a state, replace an entry, write to
``.data``, resize a tensor or free its storage: all of it changes an address, a form, the length of a storage, or which
object an entry is, so these are what is compared, for all tensors of a step at once.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from waddington.optim.engine.params import is_sharded, local_real
from waddington.optim.kernels.memory import Forms

__all__ = ["Found", "LayoutGuard"]


@dataclass
class Found:
    """What was found of some rows; a row is a parameter, and then the entries of its state."""

    states: list[dict[str, Any]]
    rows: list[tuple[torch.Tensor, ...]]
    entries: list[torch.Tensor]
    tensors: list[torch.Tensor]
    addresses: list[int]
    storages: list[torch.UntypedStorage]
    lengths: list[int]
    formed: list[torch.Tensor]
    forms: Forms | None
    forms_of_rows: list[tuple[Forms, tuple[torch.Tensor, ...]]]
    is_known: bool = False

    def have_forms(self) -> bool:
        """Tell whether forms are as they were; of a set of rows that comes again, in one look."""
        if self.forms is not None:
            return self.forms.are(self.formed)
        same = all(forms.are(tensors) for forms, tensors in self.forms_of_rows)
        if same and self.is_known:
            self.forms = Forms(self.formed)
        self.is_known = True
        return same


class LayoutGuard:
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
        self._rows = [(param, *entries) for param, entries in zip(params, map(self._pick, states), strict=True)]
        tensors = list(chain.from_iterable(self._rows))
        real = list(map(local_real, tensors)) if self._is_sharded else tensors
        self._states = list(states)
        self._addresses = _addresses(real)
        self._storages = list(map(torch.Tensor.untyped_storage, real))  # held, so that no other can come to lie there
        self._lengths = _lengths(self._storages)
        self._formed = [row[: 1 + formed] for row in self._rows]
        self._forms_of_rows: list[tuple[Forms, tuple[torch.Tensor, ...]]] = []
        self._all = self._now = self._found(range(len(self._rows)))
        once = {storage._cdata: storage for storage in self._storages}  # one may serve many
        self._all.storages = list(once.values())
        self._all.lengths = _lengths(self._all.storages)
        self._all.forms = Forms(self._all.formed)

    def _found(self, at: Sequence[int]) -> Found:
        rows, width = [self._rows[row] for row in at], len(self._rows[0])
        wide = [place for row in at for place in range(row * width, (row + 1) * width)]
        return Found(
            states=[self._states[row] for row in at],
            rows=rows,
            entries=[entry for row in rows for entry in row[1:]],
            tensors=list(chain.from_iterable(rows)),
            addresses=[self._addresses[place] for place in wide],
            storages=[self._storages[place] for place in wide],
            lengths=[self._lengths[place] for place in wide],
            formed=[tensor for row in at for tensor in self._formed[row]],
            forms=None,
            forms_of_rows=[self._forms_of_rows[row] for row in at] if self._forms_of_rows else [],
        )

    def of(self, at: tuple[int, ...]) -> Found | None:
        """Give what was found of these rows; None where a tensor, of these or not, has another form by now."""
        if len(at) == len(self._rows):
            return self._all
        if not self._forms_of_rows:  # made where they are first needed, of what is known to be as it was
            if not self._all.have_forms():
                return None
            self._forms_of_rows = [(Forms(tensors), tensors) for tensors in self._formed]
        return self._found(at)

    def select(self, found: Found) -> None:
        """Look at some rows from now on."""
        self._now = found

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
        return now.have_forms() and _addresses(real) == now.addresses and _lengths(now.storages) == now.lengths


def _addresses(tensors: Sequence[torch.Tensor]) -> list[int]:
    return list(map(torch.Tensor.data_ptr, tensors))


def _lengths(storages: Sequence[torch.UntypedStorage]) -> list[int]:
    return list(map(torch.UntypedStorage.nbytes, storages))
