"""What is known of each tensor of a group, in columns with one entry per tensor; and of the model, in a row.

Step counts and the numbers that a rule remembers belong to states: ``state["step"]`` of a parameter is a view of an
entry of a column, so that a step turns all of them at once. The entries of the whole model, in the state of one
parameter, are views of a row. Scalars and sums of a step stand in tables, which kernels read and write. Where not all
tensors take part in a step, the entries of those that do are copied out, and back again.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, statistics_dtype
from waddington.optim.kernels.spec import SCALARS, SUMS
from waddington.optim.moments import Number, Numbers
from waddington.optim.rule import Tensors

__all__ = ["Columns", "ModelRow"]


class Columns:
    """The columns of a tensor group.

    Parameters
    ----------
    slots
        Its tensors.
    names
        The numbers that the rule remembers.
    device, dtype
        Of the computation.

    Attributes
    ----------
    all, all_sizes
        Columns of all tensors that entries of states are views of, ``"step"`` first, and their sizes.
    placed
        States and entries that were put into them, by the state's identity and the name.
    steps, tensor_scalars
        Of the tensors that take part in a step: step counts, shape (tensors,), and the remembered numbers.
    sizes
        Of these: numbers of coordinates of the whole tensors.
    scalars, places
        What the rule computes with at this step, by name: Python numbers, or tensors, 0-d or of shape (tensors,); and
        where in a row of the table each stands.
    whole_table, whole_sums
        Scalars and sums of each tensor; the rows of those that take part come first, and are `sums`.
    fills
        Whether Python numbers are written to the table, too: kernels read nothing else.
    direct
        The sums last taken of tensors that are stepped as one, which need no table; None where there are others.
    is_on_host
        Whether values may be read without waiting.
    """

    def __init__(
        self, slots: Sequence[ParamSlot], names: Sequence[str], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.device, self.dtype, self.exact = device, dtype, statistics_dtype(device)
        self.is_on_host, self.fills = host_sync_is_free(device), False
        self.all: Tensors = {}
        self.placed: dict[tuple[int, str], tuple[dict[str, Any], torch.Tensor]] = {}
        for name in ("step", *names):
            kept = torch.float32 if name == "step" else self.exact
            self.all[name] = torch.stack([slot.state[name].to(device, kept) for slot in slots])
            for slot, entry in zip(slots, self.all[name].unbind(), strict=True):
                slot.state[name] = entry
                self.placed[id(slot.state), name] = slot.state, entry
        self.all_sizes = torch.tensor([float(slot.size) for slot in slots], dtype=self.exact, device=device)
        self._all_indices = torch.tensor([slot.index for slot in slots], device=device)
        self.scalars: dict[str, Number] = {}
        self.places: dict[str, int] = {}
        self.whole_table = torch.zeros(len(slots), SCALARS, dtype=dtype, device=device)
        self.whole_sums = torch.zeros(len(slots), SUMS, dtype=self.exact, device=device)
        self._columns, self._columns_of_sums = self.whole_table.unbind(1), self.whole_sums.unbind(1)
        self._on_host = self.whole_table.numpy() if self.is_on_host else None
        self._filled: dict[str, float] = {}
        self._rows_of_table: dict[int, tuple[torch.Tensor, ...]] = {}
        self.direct: Tensors | None = None
        self.select(None, self.all_sizes)

    def select(self, rows: torch.Tensor | None, sizes: torch.Tensor) -> None:
        """Give the entries of these rows, whose sizes are known, from now on; None: of all."""
        self._rows, self.sizes = rows, sizes
        self.sums = self.whole_sums if rows is None else self.whole_sums[: len(sizes)]
        self._own_sizes: torch.Tensor | None = None
        if rows is None:
            self._copy_out()

    # -- entries of states --

    @property
    def indices(self) -> torch.Tensor:
        """The tensors' places in the model."""
        return self._picked(self._all_indices)

    def begin(self) -> None:
        """Begin a step: look at the entries, which may have been written to since the last one."""
        self.scalars = {}
        if self._rows is not None:
            self._copy_out()

    def _copy_out(self) -> None:
        found = {name: self._picked(column) for name, column in self.all.items()}
        self.steps = found.pop("step")
        self.tensor_scalars = found
        self._counts = self.steps.numpy() if self.is_on_host else None

    def _picked(self, column: torch.Tensor) -> torch.Tensor:
        return column if self._rows is None else column[self._rows]

    def common_count(self) -> float | None:
        """Give the number of steps that all tensors have taken; None where it differs, or the host cannot know it."""
        counts = self._counts
        return counts[0].item() if counts is not None and bool((counts == counts[0]).all()) else None

    def write(self, new: Tensors, taken: torch.Tensor | None) -> None:
        """Write new values of remembered numbers, and count the step.

        Parameters
        ----------
        new
            Values, 0-d or of shape (tensors,).
        taken
            Whether the step is taken, likewise; None where it is.
        """
        for name, value in new.items():
            column = self.tensor_scalars[name]
            column.copy_(value if taken is None else torch.where(taken, value, column))
        self.steps.add_(1.0 if taken is None else taken)
        if self._rows is not None:
            for column, entries in zip(self.all.values(), (self.steps, *self.tensor_scalars.values()), strict=True):
                column[self._rows] = entries

    # -- scalars and sums of a step --

    def put(self, scalars: Numbers) -> None:
        """Set scalars of this step; what is a Python number is written to the table only where it is new."""
        self.scalars.update(scalars)
        for name, value in scalars.items():
            if not isinstance(value, torch.Tensor) and not self.fills:
                continue
            place = self.places.setdefault(name, len(self.places))
            if isinstance(value, torch.Tensor):
                self._column(place).copy_(value)
                self._filled.pop(name, None)
            elif self._filled.get(name) != value:
                if self._on_host is None:
                    self.whole_table[:, place].fill_(value)
                else:
                    self._on_host[:, place] = value  # faster
                self._filled[name] = value

    def column(self, name: str) -> torch.Tensor:
        """Give a scalar of each tensor, in the dtype of the computation."""
        return self._column(self.places[name])

    def _column(self, place: int) -> torch.Tensor:
        column = self._columns[place]
        return column if self._rows is None else column[: len(self.sizes)]

    def scalars_at(self, row: int) -> tuple[torch.Tensor, ...]:
        """Give the row of the table for one tensor, each entry 0-d."""
        if row not in self._rows_of_table:
            self._rows_of_table[row] = self.whole_table[row].unbind()
        return self._rows_of_table[row]

    def sizes_at(self, at: int | slice) -> torch.Tensor:
        """Give numbers of coordinates in the dtype of the computation, 0-d for one tensor alone."""
        if self._own_sizes is None:
            self._own_sizes = self.sizes.to(self.dtype)
        return self._own_sizes[at]

    def note(self, sums: Tensors, at: int | slice) -> tuple[str, ...]:
        """Keep the sums of some tensors; give their names."""
        if self.direct is not None:
            self.direct = sums
        elif sums:
            self.sums[at, : len(sums)] = torch.stack(list(sums.values()), dim=-1)
        return tuple(sums)

    def named_sums(self, names: Sequence[str], table: torch.Tensor | None = None, *, copy: bool = True) -> Tensors:
        """Give the sums last taken, or those of a table of the same form, by name, each of shape (tensors,).

        Without `copy` they hold until the next are taken.
        """
        if self.direct is not None:
            return {name: self.direct[name].to(self.exact) for name in names}
        if table is None and not copy:
            columns, count = zip(names, self._columns_of_sums, strict=False), len(self.sizes)
            return {name: column if self._rows is None else column[:count] for name, column in columns}
        found = (self.sums if table is None else table)[:, : len(names)].clone()
        return dict(zip(names, found.unbind(1), strict=True))


class ModelRow:
    """The 0-d entries that belong to the whole model, in one piece.

    Parameters
    ----------
    param, state
        The parameter that carries them, and its state, into which they are put.
    values
        The first values by name, 0-d; those of a rate control come last.
    of_control
        How many are of a rate control.

    Attributes
    ----------
    param
        The parameter that carries them.
    entries, of_control
        The entries by name, and those of the rate control.
    row
        The part that the rate control's entries are.
    is_on_host
        Whether they may be read without waiting.
    """

    def __init__(
        self, param: torch.Tensor, state: dict[str, Any], values: Mapping[str, torch.Tensor], of_control: int
    ) -> None:
        whole = torch.stack(list(values.values()))
        self.param, self._state = param, state
        self.entries = dict(zip(values, whole.unbind(), strict=True))
        state.update(self.entries)
        first = len(values) - of_control
        self.of_control = dict(list(self.entries.items())[first:])
        self.row = whole[first:]
        self.is_on_host = host_sync_is_free(whole.device)

    def is_in(self, state: Mapping[torch.Tensor, Any]) -> bool:
        """Tell whether an optimizer's state still holds these entries, where they were put."""
        found = state.get(self.param)
        return found is self._state and all(map(operator.is_, map(found.get, self.entries), self.entries.values()))

    def read(self) -> dict[str, float]:
        """Read the rate control's entries on the host."""
        return dict(zip(self.of_control, self.row.tolist(), strict=True))
