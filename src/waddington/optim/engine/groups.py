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
from functools import cached_property
from typing import Any, NamedTuple

import torch

from waddington.errors import UnsupportedError
from waddington.optim import kernels
from waddington.optim.engine.buckets import FlatBucket
from waddington.optim.engine.columns import Columns
from waddington.optim.engine.dispatch import rounds_stochastically
from waddington.optim.engine.guards import Found, GradientGuard, LayoutGuard, Looked, WrittenMemory
from waddington.optim.engine.launch import PhaseFunction, spec_of
from waddington.optim.engine.noise import frame_of
from waddington.optim.engine.params import ParamSlot, compute_dtype, is_sharded, real_dtype
from waddington.optim.engine.phases import BoundRule, StatsSpec, UpdateSpec
from waddington.optim.engine.units import SingleTensor, Unit, may_leave
from waddington.optim.kernels import Kernel, Launch
from waddington.optim.moments import Number
from waddington.optim.rule import Rule, Settings, Tensors

__all__ = ["Selection", "TensorGroup", "signature"]

_OF_NO_FORM = ("params", "param_names", "lr", "initial_lr", "weight_decay", "betas", "eps")
_NOT_OF_THE_RULE = ("compile", "nonfinite", "state_dtype")  # settings of the engine


class Selection(NamedTuple):
    """Some tensors of a group, and what is known of steps of these alone; kept for when the set comes again."""

    rows: torch.Tensor | None
    """Theirs among all; None where these are all."""
    slots: list[ParamSlot]
    sizes: torch.Tensor
    units: list[Unit]
    buckets: list[tuple[FlatBucket, int, list[int]]]
    """Those of the units, where they begin among the rows of a step, and which of their tensors take part."""
    found: Found
    looked: Looked
    compiled: list[int]
    """Rows among all of those that a kernel steps, which come first."""
    launch: Launch | None
    """What it is called with; None where it steps none."""


class TensorGroup:
    """The tensors of one parameter group, device and dtype that take part in a step.

    Attributes
    ----------
    settings, group_index
        Their parameter group, as the user holds it.
    all_slots, all_units
        The tensors, in the order of rows, and how they are gone through.
    slots, units
        Those that take part in a step.
    columns
        Step counts, remembered numbers and sizes of the tensors, scalars and sums of a step.
    bound
        The rule under the group's settings.
    is_sharded
        Whether sums have to be added over shards.
    rounds
        Whether anything is rounded stochastically.
    needs_norm
        Whether the rule asks for the norm of all gradients.
    derived
        What the rule concluded from its sums at this step.
    """

    def __init__(self, rule: Rule, units: Sequence[Unit]) -> None:
        self.all_units = list(units)
        self.all_slots = slots = [slot for unit in units for slot in unit.slots]
        first = slots[0]
        self.rule, self.settings, self.group_index = rule, first.group, first.group_index
        self.device, self.dtype = first.value.device, real_dtype(compute_dtype(first.param))
        self.columns = Columns(slots, rule.tensor_scalars(self.settings), self.device, self.dtype)
        self._learn_settings()
        self.is_sharded = any(is_sharded(slot.param) for slot in slots)
        self.rounds = rounds_stochastically(first.param, self.settings)
        self.derived: Tensors = {}
        self._kernels: dict[Any, Kernel] = {}
        self._ready: Kernel | None = None
        self._has_fetched = self._launch_has_begun = False
        self._buckets = [unit for unit in units if isinstance(unit, FlatBucket)]
        self._singles = len(units) - len(self._buckets)
        for unit in units:
            unit.columns = self.columns
        self._all_compiled = [unit for unit in units if isinstance(unit, SingleTensor) and unit.compiled]
        self.columns.fills = bool(self._all_compiled)
        buffers = rule.buffers(self.settings)
        params, states = [slot.param for slot in slots], [slot.state for slot in slots]
        self._guard = LayoutGuard(params, states, (*buffers, *self.columns.all), len(buffers))
        self._gradients = GradientGuard(slots, self._all_compiled)
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
        return Selection(
            *(rows, [self.all_slots[row] for row in at], sizes if rows is None else sizes[rows], units, buckets),
            *(found, self._gradients.of(at), *self._launch_of(at)),
        )

    def _launch_of(self, at: Sequence[int]) -> tuple[list[int], Launch | None]:
        rows = [row for row in at if row < len(self._all_compiled)]
        if not rows:
            return rows, None
        return rows, self._whole_launch if len(rows) == len(self._all_compiled) else self._whole_launch.part(rows)

    @cached_property
    def _whole_launch(self) -> Launch:
        """What a kernel is called with for all that are compiled."""
        values = [unit.value for unit in self._all_compiled]
        buffers = [list(unit.buffers.values()) for unit in self._all_compiled]
        return Launch(values, buffers, self.columns.whole_table, self.columns.whole_sums)

    def select(self, selection: Selection) -> None:
        """Have some tensors take part in the steps to come, and no others."""
        self._guard.select(selection.found)
        self._gradients.select(selection.looked)
        self.slots, self.units = selection.slots, selection.units
        self.columns.select(selection.rows, selection.sizes)
        self._compiled, self._compiled_rows, self._launch = list[SingleTensor](), list[int](), None
        if self._all_compiled:  # unless compiling has failed since
            self._compiled = [self._all_compiled[row] for row in selection.compiled]
            self._compiled_rows, self._launch = selection.compiled, selection.launch
        for bucket, start, which in selection.buckets:
            bucket.select(start, which)
        self._eager = [unit for unit in self.units if not unit.compiled]
        self._place_singles(self._eager)
        is_one_bucket = len(self.units) == 1 and isinstance(self.units[0], FlatBucket)
        self.columns.direct = {} if is_one_bucket else None

    def _place_singles(self, eager: Sequence[Unit]) -> None:
        """Tell single tensors, which come first, what rows they have; a kernel's need not know."""
        if eager and not isinstance(eager[0], FlatBucket):
            for start, unit in enumerate(self.units):
                if not isinstance(unit, FlatBucket):
                    unit.rows, unit.at = slice(start, start + 1), start

    # -- what it was laid out for --

    def _learn_settings(self) -> None:
        """Take note of the group's settings: what is laid out, and what the rule is bound to."""
        group, whole = self.settings, bool(self.rule.whole_tensor_reason)
        self.signature = signature(self.rule, group)
        self.needs_norm = bool(self.rule.needs_norm(group))
        self._count = len(group)
        self._names = [name for name, value in group.items() if name not in _OF_NO_VALUE and not _is_tensor(value)]
        self._values = [list(value) if isinstance(value, list) else value for value in map(group.get, self._names)]
        names = [name for name in group if name not in (*_OF_NO_VALUE, *_NOT_OF_THE_RULE)]
        flags = tuple((name, group[name]) for name in names if whole or isinstance(group[name], bool | str))
        self.bound = BoundRule(self.rule, flags, self.dtype)

    def still_fits(self, group: Settings) -> bool:
        """Tell whether a parameter group is this one's, and its settings ask for the same layout."""
        if group is not self.settings:
            return False
        if len(group) != self._count or list(map(group.get, self._names)) != self._values:
            if signature(self.rule, group) != self.signature:
                return False
            self._learn_settings()
        return True

    def is_in_place(self, state: Mapping[torch.Tensor, Any] | None = None) -> bool:
        """Tell whether all tensors lie where they were found, and so do their states, which `state` still holds."""
        return self._guard.holds(state)

    def keep_apart(self, written: WrittenMemory) -> None:
        """Tell the memory that steps of the model write to."""
        self._gradients.written = written

    @property
    def written(self) -> list[torch.Tensor]:
        """What a step may write to: parameters, buffers as the units have them, and columns."""
        buffers = [buffer for unit in self.all_units for buffer in unit.buffers.values()]
        return [*(slot.value for slot in self.all_slots), *buffers, *self.columns.all.values()]

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

    # -- a step --

    def fetch(self) -> None:
        """Look up the gradients of this step, and check that they fit (:class:`~.guards.GradientGuard`)."""
        addresses = self._gradients.look_up()
        if self._launch is not None:
            if addresses is None:
                addresses = [gradient.data_ptr() for gradient in self._fetched()]
            self._launch.addresses[:, 1] = addresses[: len(self._compiled)]
        for unit in self._eager:
            unit.fetch()

    def _fetched(self) -> list[torch.Tensor]:
        """Give the gradients as a kernel reads them; held until the step is over."""
        if not self._has_fetched:
            for unit in self._compiled:
                unit.fetch()
            self._has_fetched = True
        return [unit.grad for unit in self._compiled]

    def is_finite(self) -> bool:
        """Tell whether all gradients are known to be finite, where one look tells."""
        return self.columns.direct is not None and self.units[0].is_finite()

    def advance(self) -> Tensors:
        """Compute what depends on no coordinate for the step to come, and give the new values of remembered numbers."""
        columns = self.columns
        columns.begin()
        # Asked at every step, for a step count may have been written to.
        count = columns.common_count()
        steps: Number = columns.steps.to(columns.exact) + 1.0 if count is None else count + 1.0
        found = self.rule.scalars(steps, columns.tensor_scalars, self.settings)
        if self.rule.rate_factor is not None:
            found["rate_factor"] = self.rule.rate_factor(steps, self.settings)
        if self.settings["weight_decay"] or columns.fills:
            found["weight_decay"] = self.settings["weight_decay"]
        columns.put(found)
        return {name: found[name] for name in columns.tensor_scalars if name in found}  # type: ignore[misc]

    def collect_stats(self, stats: StatsSpec) -> tuple[str, ...]:
        """Take sums of every tensor into the columns; give their names."""
        names: tuple[str, ...] = ()
        kernel = self._kernel(stats, rounds=False)
        if kernel is not None:
            self._run(kernel, None)
            names = kernel.names
        for unit in self._eager:
            names = unit.collect_stats(self.bound, stats)
        return names

    def prepare(self, update: UpdateSpec, *, rounds: bool) -> None:
        """Make the kernel that :meth:`apply_update` needs, which is called next."""
        self._ready = self._kernel(update, rounds=rounds)

    def apply_update(self, update: UpdateSpec, salts: torch.Tensor | None) -> tuple[str, ...]:
        """Write the new values of every tensor; give the names of the sums taken on the way."""
        names: tuple[str, ...] = ()
        for unit in reversed(self._eager):  # what was looked at last may still be in a cache
            names = unit.apply_update(self.bound, update, salts)
        if self._launch is not None and self._ready is not None:
            self._run(self._ready, salts)
            self._launch_has_begun, names = True, self._ready.names
            torch.autograd.graph.increment_version(self._launch.written)  # autograd cannot see that a kernel writes
        return names

    @property
    def begun(self) -> list[ParamSlot]:
        """The tensors that this step has written to."""
        begun = [slot for unit in self._eager if unit.is_begun for slot in unit.slots]
        return begun + [unit.slot for unit in self._compiled] if self._launch_has_begun else begun

    def release(self) -> None:
        """Hold nothing of this step any more: gradients that a user sets to None are to be freed."""
        for unit in self._eager:
            unit.release()
        self._launch_has_begun = False
        if self._has_fetched and self._launch is not None:
            self._has_fetched, self._launch.gradients = False, ()
            for unit in self._compiled:
                unit.release()

    def shown(self, names: Sequence[str]) -> Tensors:
        """Give numbers of this step by name, each of shape (tensors,), where there are such."""
        known = {**self.columns.scalars, **self.derived}
        like = self.columns.sizes
        exact = {n: torch.as_tensor(known[n], dtype=like.dtype, device=like.device) for n in names if n in known}
        return {name: value.expand(len(self.slots)) for name, value in exact.items()}

    # -- kernels --

    def _run(self, kernel: Kernel, salts: torch.Tensor | None) -> None:
        launch = self._launch
        assert launch is not None
        if salts is not None:
            rows = self._compiled_rows
            frames = self._frames if len(rows) == len(self._frames) else self._frames[rows]
            launch.set_noise(salts[: len(rows)], frames)
        if kernel.reads_tensors:
            launch.gradients = self._fetched()
        kernel.run(launch)

    @cached_property
    def _frames(self) -> torch.Tensor:
        """Where each compiled tensor's local part lies in it, int64 of shape (tensors, 3)."""
        found = [frame_of(unit.slot.param) for unit in self._all_compiled]
        return torch.tensor(found, dtype=torch.int64, device=self.device)

    @cached_property
    def _is_cut(self) -> bool:
        """Whether coordinates that are neighbours here need not be so in the whole tensor; asked of all tensors."""
        lengths = torch.tensor([unit.value.numel() for unit in self._all_compiled], device=self.device)
        return bool((self._frames[:, 0] < lengths).any())

    def _kernel(self, phase: StatsSpec | UpdateSpec, *, rounds: bool) -> Kernel | None:
        """Give the kernel that does a phase, or None where all units do it themselves."""
        if not self._compiled:
            return None
        scalars = self.columns.scalars
        key = (phase, self.bound.settings, tuple(scalars), rounds)
        if key not in self._kernels:
            if self.settings["compile"] is not True and self.device.type in kernels.failures:
                self._give_up(kernels.failures[self.device.type])
                return None
            first = self._all_compiled[0]
            places = tuple((name, self.columns.places[name]) for name in scalars)
            cut = rounds and self._is_cut
            function = PhaseFunction(self.bound, phase, places, tuple(first.buffers), rounds, cut)
            try:
                self._kernels[key] = kernels.compile(spec_of(function, first.value, first.buffers))
            except UnsupportedError as error:
                if self.settings["compile"] is True:
                    raise
                warnings.warn(f"{error}; the step goes on eagerly, and more slowly", RuntimeWarning, stacklevel=2)
                self._give_up(str(error))
                return None
        return self._kernels[key]

    def _give_up(self, reason: str) -> None:
        """Go on without compiling; a phase on either path can follow one on the other."""
        for unit in self._all_compiled:
            unit.compiled, unit.execution = False, replace(unit.execution, path="eager", reason=reason)
        given_up, self._compiled, self._all_compiled = self._compiled, [], []
        self._launch, self._eager, self.columns.fills = None, self.units, False
        self._place_singles(self.units)
        for unit in given_up:
            unit.fetch()


_OF_NO_VALUE = ("params", "param_names", "lr")


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def signature(rule: Rule, group: Settings) -> tuple[Any, ...]:
    """Name what of a group's settings decides how its tensors are laid out, or what form their states have."""
    names = [*_NOT_OF_THE_RULE, "stochastic_rounding"]
    if rule.layouts is not None:  # of what shape buffers are hangs on settings that are the rule's own
        names += [name for name in group if name not in _OF_NO_FORM]
    return rule.buffers(group), rule.tensor_scalars(group), *map(group.get, names)
