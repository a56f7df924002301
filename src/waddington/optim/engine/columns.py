"""What is known of each tensor of a group, in columns with one entry per tensor.

Step counts and the numbers that a rule remembers belong to states: ``state["step"]`` of a parameter is a view of an
entry of a column, so that a step turns all of them at once. Where not all tensors take part in a step, the entries of
those that do are copied out, and back again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, statistics_dtype
from waddington.optim.rule import Tensors

__all__ = ["Columns"]


class Columns:
    """The columns of a tensor group.

    Parameters
    ----------
    slots
        Its tensors.
    names
        The numbers that the rule remembers.
    device
        Theirs.

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
    """

    def __init__(self, slots: Sequence[ParamSlot], names: Sequence[str], device: torch.device) -> None:
        exact = statistics_dtype(device)
        self.all: Tensors = {}
        self.placed: dict[tuple[int, str], tuple[dict[str, Any], torch.Tensor]] = {}
        for name in ("step", *names):
            dtype = torch.float32 if name == "step" else exact
            self.all[name] = torch.stack([slot.state[name].to(device, dtype) for slot in slots])
            for slot, entry in zip(slots, self.all[name].unbind(), strict=True):
                slot.state[name] = entry
                self.placed[id(slot.state), name] = slot.state, entry
        self.all_sizes = torch.tensor([float(slot.size) for slot in slots], dtype=exact, device=device)
        self._all_indices = torch.tensor([slot.index for slot in slots], device=device)
        self._is_on_host = host_sync_is_free(device)
        self.select(None, self.all_sizes)

    def select(self, rows: torch.Tensor | None, sizes: torch.Tensor) -> None:
        """Give the entries of these rows, whose sizes are known, from now on; None: of all."""
        self._rows, self.sizes = rows, sizes
        if rows is None:
            self._copy_out()

    @property
    def indices(self) -> torch.Tensor:
        """The tensors' places in the model."""
        return self._picked(self._all_indices)

    def begin(self) -> None:
        """Look at the entries, which may have been written to since the last step."""
        if self._rows is not None:
            self._copy_out()

    def _copy_out(self) -> None:
        found = {name: self._picked(column) for name, column in self.all.items()}
        self.steps = found.pop("step")
        self.tensor_scalars = found
        self._counts = self.steps.numpy() if self._is_on_host else None

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
