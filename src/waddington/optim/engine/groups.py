"""A tensor group: the tensors of one parameter group, device and dtype, which are stepped with few calls.

What a rule knows of each of its tensors stands in columns (:mod:`.columns`), so that a step turns all of them at once.
The tensors are gone through as *units* (:mod:`.units`): a large one is a unit of its own; small ones, whose cost is
that of calls and not of bytes, are laid end to end and stepped as one. :meth:`TensorGroup.select` picks those that take
part in a step, and all that the step sees is as if there were no others.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import torch

from waddington._errors import UnsupportedError
from waddington.optim.engine.buckets import FlatBucket
from waddington.optim.engine.columns import Columns
from waddington.optim.engine.dispatch import rounds_stochastically
from waddington.optim.engine.gradients import Gradients
from waddington.optim.engine.guards import LayoutGuard
from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.launch import Batch
from waddington.optim.engine.params import ParamSlot, compute_dtype, is_sharded, real_dtype, statistics_dtype
from waddington.optim.engine.phases import BoundRule, StatsSpec, UpdateSpec
from waddington.optim.engine.selection import Selection
from waddington.optim.engine.units import SingleTensor, Unit, may_leave
from waddington.optim.kernels.cache import Kernel, failures, kernel_for
from waddington.optim.kernels.memory import Memory
from waddington.optim.kernels.spec import SCALARS, SUMS, Recipe
from waddington.optim.moments import Number, Numbers
from waddington.optim.rule import Rule, Settings, Tensors

__all__ = ["TensorGroup", "signature"]

_OF_NO_FORM = ("params", "param_names", "lr", "initial_lr", "weight_decay", "betas", "eps")
_NOT_OF_THE_RULE = ("compile", "nonfinite", "state_dtype")  # settings of the engine


class TensorGroup:
    """The tensors of one parameter group, device and dtype that take part in a step.

    Attributes
    ----------
    group, group_index
        Their parameter group.
    all_slots, all_units
        The tensors, in the order of rows, and how they are gone through.
    slots, units
        Those that take part in a step.
    columns
        Step counts, remembered numbers and sizes of the tensors.
    is_sharded
        Whether sums have to be added over shards.
    scalars
        What the rule computes with at this step, by name: Python numbers, or tensors, 0-d or of shape (tensors,).
    table, sums
        Numbers and sums of each tensor; the rows of those that take part come first.
    is_one_bucket, direct
        Whether all tensors are stepped as one, and the sums last taken then, which need no table.
    entries
        Names of the entries of the states that belong to the layout.
    derived
        What the rule concluded from its sums at this step.
    together
        Whether all tensors have taken the same number of steps, and the host may know it.
    """

    def __init__(self, rule: Rule, units: Sequence[Unit]) -> None:
        self.all_units = list(units)
        self.all_slots = slots = [slot for unit in units for slot in unit.slots]
        first = slots[0]
        self.rule, self.group, self.group_index = rule, first.group, first.group_index
        self.device, self.dtype = first.value.device, real_dtype(compute_dtype(first.param))
        self.signature = signature(rule, self.group)
        self.columns = Columns(slots, rule.tensor_scalars(self.group), self.device)
        self.together = False
        self.is_sharded = any(is_sharded(slot.param) for slot in slots)
        self.scalars: dict[str, Number] = {}
        self.derived: Tensors = {}
        whole = bool(rule.whole_tensor_reason)
        names = (name for name in self.group if name not in ("params", "param_names", "lr", *_NOT_OF_THE_RULE))
        self._flag_names = [name for name in names if whole or isinstance(self.group[name], bool | str)]
        self._chosen: tuple[Any, ...] | None = None
        self._bound_rule()
        self.table = self._whole_table = torch.zeros(len(slots), SCALARS, dtype=self.dtype, device=self.device)
        self.places: dict[str, int] = {}
        self._table_on_host = self.table.numpy() if host_sync_is_free(self.device) else None
        self._filled: dict[str, float] = {}
        exact = statistics_dtype(self.device)
        self.sums = self._whole_sums = torch.zeros(len(slots), SUMS, dtype=exact, device=self.device)
        self._columns, self._columns_of_sums = self.table.unbind(1), self.sums.unbind(1)
        self._entries: dict[int, tuple[torch.Tensor, ...]] = {}
        self._kernels: dict[Any, Kernel] = {}
        self._ready: Kernel | None = None
        self.direct: Tensors = {}
        self._buckets = [unit for unit in units if isinstance(unit, FlatBucket)]
        self._singles = len(units) - len(self._buckets)
        for unit in units:
            unit.tensor_group = self
        compiled = [unit for unit in units if isinstance(unit, SingleTensor) and unit.compiled]
        self._batch = Batch(self, compiled) if compiled else None
        self.entries = (*rule.buffers(self.group), *self.columns.all)
        formed = len(rule.buffers(self.group))
        self._guard = LayoutGuard([m.param for m in slots], [m.state for m in slots], self.entries, formed)
        self._gradients = Gradients(slots, compiled)
        everything = self.of(tuple(range(len(slots))))
        assert everything is not None  # it is looked at for the first time
        self.select(everything)

    def of(self, at: tuple[int, ...]) -> Selection | None:
        """Give what is known of steps of some rows.

        Parameters
        ----------
        at
            One or more, in ascending order.

        Returns
        -------
        Selection or None
            None where a tensor, of these or not, has another form by now.
        """
        found = self._guard.of(at)
        if found is None:
            return None
        rows = None if len(at) == len(self.all_slots) else torch.tensor(at, device=self.device)
        sizes = self.columns.all_sizes
        singles = [self.all_units[row] for row in at if row < self._singles]
        start, begin = len(singles), self._singles
        units, buckets = list(singles), list[tuple[FlatBucket, int, list[int]]]()
        for bucket in self._buckets:
            end = begin + len(bucket.all_slots)
            which = [row - begin for row in at if begin <= row < end]
            if which:
                buckets.append((bucket, start, which))
                units.append(bucket)
            start, begin = start + len(which), end
        compiled = tuple(row for row in at if self._batch is not None and row < len(self._batch.all_units))
        return Selection(
            *(rows, [self.all_slots[row] for row in at], sizes if rows is None else sizes[rows], units, buckets),
            *(found, self._gradients.of(at), None if self._batch is None else self._batch.of(compiled)),
        )

    def select(self, selection: Selection) -> None:
        """Have some tensors take part in the steps to come, and no others."""
        self._guard.select(selection.found)
        self._gradients.select(selection.looked)
        self.slots, self.units, count = selection.slots, selection.units, len(selection.slots)
        self.columns.select(selection.rows, selection.sizes)
        self._own_sizes: torch.Tensor | None = None
        self._is_whole = count == len(self.all_slots)
        self.table, self.sums = self._whole_table, self._whole_sums
        if not self._is_whole:
            self.table, self.sums = self.table[:count], self.sums[:count]
        if self._batch is not None and selection.call is not None:
            self._batch.select(selection.call)
        for bucket, start, which in selection.buckets:
            bucket.select(start, which)
        self._eager = [unit for unit in self.units if not unit.compiled]
        self._place_singles(self._eager)
        self.is_one_bucket = len(self.units) == 1 and isinstance(self.units[0], FlatBucket)

    def _place_singles(self, eager: Sequence[Unit]) -> None:
        """Tell single tensors, which come first, what rows they have; a kernel's need not know."""
        if eager and not isinstance(eager[0], FlatBucket):
            for start, unit in enumerate(self.units):
                if not isinstance(unit, FlatBucket):
                    unit.rows, unit.at = slice(start, start + 1), start

    @property
    def sizes(self) -> torch.Tensor:
        """Numbers of coordinates of the whole tensors, shape (tensors,)."""
        return self.columns.sizes

    @property
    def tensor_scalars(self) -> Tensors:
        """The numbers that the rule remembers, each of shape (tensors,)."""
        return self.columns.tensor_scalars

    def _bound_rule(self) -> BoundRule:
        values = tuple(map(self.group.get, self._flag_names))
        if values != self._chosen:
            self._chosen = values
            self.bound = BoundRule(self.rule, tuple(zip(self._flag_names, values, strict=True)), self.dtype)
        return self.bound

    def still_fits(self, group: Settings) -> bool:
        """Tell whether a parameter group is this one's, and its settings ask for the same layout."""
        return group is self.group and signature(self.rule, group) == self.signature

    def is_in_place(self, state: Mapping[torch.Tensor, Any] | None = None) -> bool:
        """Tell whether all tensors lie where they were found, and so do their states, which `state` still holds."""
        return self._guard.holds(state)

    def is_finite(self) -> bool:
        """Tell whether all gradients are known to be finite, where one look tells."""
        return self.is_one_bucket and self.units[0].is_finite()

    # -- numbers --

    def put(self, scalars: Numbers) -> None:
        """Set numbers of this step; what is a Python number is written only where it is new."""
        self.scalars.update(scalars)
        for name, value in scalars.items():
            if not isinstance(value, torch.Tensor) and self._batch is None:
                continue
            place = self.places.setdefault(name, len(self.places))
            if isinstance(value, torch.Tensor):
                self._column(place).copy_(value)
                self._filled.pop(name, None)
            elif self._filled.get(name) != value:
                if self._table_on_host is None:
                    self._whole_table[:, place].fill_(value)
                else:
                    self._table_on_host[:, place] = value  # faster
                self._filled[name] = value

    def column(self, name: str) -> torch.Tensor:
        """Give a number of each tensor, in the dtype of the computation."""
        return self._column(self.places[name])

    def _column(self, place: int) -> torch.Tensor:
        column = self._columns[place]
        return column if self._is_whole else column[: len(self.slots)]

    def advance(self) -> Tensors:
        """Compute what depends on no coordinate for the step to come, and give the new values of remembered numbers."""
        self._bound_rule()
        self.scalars = {}
        self.columns.begin()
        # Asked at every step, for a step count may have been written to.
        count = self.columns.common_count()
        self.together = count is not None
        exact = statistics_dtype(self.device)
        steps: Number = self.columns.steps.to(exact) + 1.0 if count is None else count + 1.0
        found = self.rule.scalars(steps, self.tensor_scalars, self.group)
        if self.rule.rate_factor is not None:
            found["rate_factor"] = self.rule.rate_factor(steps, self.group)
        if self.group["weight_decay"] or self._batch is not None:
            found["weight_decay"] = self.group["weight_decay"]
        self.put(found)
        return {name: found[name] for name in self.tensor_scalars if name in found}  # type: ignore[misc]

    # -- phases --

    def fetch(self) -> None:
        """Look up the gradients of this step, and check that they fit (:class:`~.gradients.Gradients`)."""
        addresses = self._gradients.look_up()
        if self._batch is not None:
            self._batch.fetch(addresses)
        for unit in self._eager:
            unit.fetch()

    def prepare(self, update: UpdateSpec, *, rounds: bool) -> None:
        """Make the kernel that :meth:`apply_update` needs, which is called next."""
        self._ready = self._kernel(update, rounds=rounds)

    @property
    def written(self) -> list[torch.Tensor]:
        """What a step may write to: parameters, buffers as the units have them, and columns."""
        buffers = [buffer for unit in self.all_units for buffer in unit.buffers.values()]
        return [*(slot.value for slot in self.all_slots), *buffers, *self.columns.all.values()]

    def keep_apart(self, written: Memory) -> None:
        """Tell the memory that steps of the model write to."""
        self._gradients.written = written

    @property
    def begun(self) -> list[ParamSlot]:
        """The tensors that this step has written to."""
        begun = [slot for unit in self._eager if unit.is_begun for slot in unit.slots]
        return begun + [unit.slot for unit in self._batch.units] if self._batch and self._batch.is_begun else begun

    def release(self) -> None:
        """Hold nothing of this step any more: gradients that a user sets to None are to be freed."""
        if self._batch is not None:
            self._batch.release()
        for unit in self._eager:
            unit.release()

    def collect_stats(self, stats: StatsSpec) -> tuple[str, ...]:
        """Take sums of every tensor into ``sums``; give their names."""
        names: tuple[str, ...] = ()
        kernel = self._kernel(stats, rounds=False)
        if self._batch is not None and kernel is not None:
            kernel.run(self._batch, None)
            names = kernel.names
        for unit in self._eager:
            names = unit.collect_stats(stats)
        return names

    def apply_update(self, update: UpdateSpec, salts: torch.Tensor | None) -> tuple[str, ...]:
        """Write the new values of every tensor; give the names of the sums taken on the way."""
        names: tuple[str, ...] = ()
        kernel = self._ready
        for unit in reversed(self._eager):  # what was looked at last may still be in a cache
            names = unit.apply_update(update, salts)
        if self._batch is not None and kernel is not None:
            kernel.run(self._batch, salts)
            self._batch.is_begun, names = True, kernel.names
            torch.autograd.graph.increment_version(self._batch.written)  # autograd cannot see that a kernel writes
        return names

    def named_sums(self, names: Sequence[str], table: torch.Tensor | None = None, *, copy: bool = True) -> Tensors:
        """Give the sums last taken, or those of a table of the same form, by name, each of shape (tensors,).

        Without `copy` they hold until the next are taken.
        """
        if self.is_one_bucket:
            return {name: self.direct[name].to(self.sizes.dtype) for name in names}
        if table is None and not copy:
            columns = zip(names, self._columns_of_sums, strict=False)
            return {name: column if self._is_whole else column[: len(self.slots)] for name, column in columns}
        found = (self.sums if table is None else table)[:, : len(names)].clone()
        return dict(zip(names, found.unbind(1), strict=True))

    def shown(self, names: Sequence[str]) -> Tensors:
        """Give numbers of this step by name, each of shape (tensors,), where there are such."""
        known = {**self.scalars, **self.derived}
        like = self.sizes
        exact = {n: torch.as_tensor(known[n], dtype=like.dtype, device=like.device) for n in names if n in known}
        return {name: value.expand(len(self.slots)) for name, value in exact.items()}

    def _kernel(self, phase: StatsSpec | UpdateSpec, *, rounds: bool) -> Kernel | None:
        """Give the kernel that does a phase, or None where all units do it themselves."""
        if self._batch is None or not self._batch.units:
            return None
        key = (phase, self.bound.settings, tuple(self.scalars), rounds)
        if key not in self._kernels:
            unit = self._batch.all_units[0]
            scalars = tuple((name, self.places[name]) for name in self.scalars)
            buffers = tuple((name, buffer.dtype) for name, buffer in unit.buffers.items())
            if self.group["compile"] is not True and self.device.type in failures:
                self._give_up(self._batch, failures[self.device.type])
                return None
            cut = rounds and self._batch.is_cut
            recipe = Recipe(self.bound, phase, scalars, self.device.type, unit.value.dtype, buffers, rounds, cut)
            try:
                self._kernels[key] = kernel_for(recipe)
            except UnsupportedError as error:
                if self.group["compile"] is True:
                    raise
                warnings.warn(f"{error}; the step goes on eagerly, and more slowly", RuntimeWarning, stacklevel=2)
                self._give_up(self._batch, str(error))
                return None
        return self._kernels[key]

    def _give_up(self, batch: Batch, reason: str) -> None:
        """Go on without compiling; a phase on either path can follow one on the other."""
        for unit in batch.all_units:
            unit.compiled, unit.execution = False, replace(unit.execution, path="eager", reason=reason)
        self._batch, self._eager = None, self.units
        self._place_singles(self.units)
        for unit in batch.units:
            unit.fetch()

    def sizes_of(self, unit: Unit) -> torch.Tensor:
        """Give the numbers of coordinates of a unit's tensors, 0-d for one alone, in the dtype of the computation."""
        if self._own_sizes is None:
            self._own_sizes = self.sizes.to(self.dtype)
        return self._own_sizes[unit.at]

    def scalars_at(self, row: int) -> tuple[torch.Tensor, ...]:
        """Give the entries of the table for one tensor, each 0-d."""
        if row not in self._entries:
            self._entries[row] = self._whole_table[row].unbind()
        return self._entries[row]

    @property
    def rounds(self) -> bool:
        """Whether anything is rounded stochastically."""
        return rounds_stochastically(self.slots[0].param, self.group)

    def leave(self, staying: AbstractSet[int]) -> None:
        """Leave entries that are part of something longer to themselves; a saved state would hold all of it.

        Parameters
        ----------
        staying
            Identities of the parameters whose entries go on as part of something longer.
        """
        params = {id(slot.state): id(slot.param) for slot in self.all_slots}
        for placed in (self.columns.placed, *(unit.placed for unit in self.all_units)):
            for (holder, name), (held, mine) in placed.items():
                if held.get(name) is mine and params[holder] not in staying and may_leave(mine):
                    held[name] = mine.clone()


def signature(rule: Rule, group: Settings) -> tuple[Any, ...]:
    """Name what of a group's settings decides how its tensors are laid out, or what form their states have."""
    names = [*_NOT_OF_THE_RULE, "stochastic_rounding"]
    if rule.layouts is not None:  # of what shape buffers are hangs on settings that are the rule's own
        names += [name for name in group if name not in _OF_NO_FORM]
    return rule.buffers(group), rule.tensor_scalars(group), *map(group.get, names)
