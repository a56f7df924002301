"""One step over the tensor groups of a model: statistics, what follows from them, and the writing of new values.

1. *advance*: what depends on no coordinate, for all tensors of a group at once.
2. *collect_stats*: sums over each tensor that have to be known before anything is written: those of the rate control at
   steps where it decides, squares of gradients where one that is not finite leaves out the step (see `nonfinite`), the
   rule's where tensors are sharded. They stand in one table, which is added up over shards in one collective.
3. *from_sums*: the rule's numbers per tensor, and the rate.
4. *apply_update*: the rule's direction, decay and step are written in place, with the buffers, and all other sums are
   taken.
5. *book*: counts, the rate control's state and the rule's numbers are written.

Kernels are made, and all else that can fail is done, before anything is written: an error leaves all as it was, or says
what it did not.

Most steps need no sums beforehand and read everything once. Rules that need sums of sums (the norm of all gradients
before anything else, counts of what exceeds a mean) take them once more, with one collective each time; none does by
default. No value of a tensor is read on the host (``nonfinite="raise"`` is the documented exception) but where that
costs nothing (:mod:`.host`), so a step never waits for a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn

import torch

from waddington._errors import DataError
from waddington.optim.engine.control import decide, read
from waddington.optim.engine.groups import TensorGroup
from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.noise import make_salt
from waddington.optim.engine.params import sum_over_shards
from waddington.optim.engine.phases import DROPPED, TAKEN, StatsSpec, UpdateSpec
from waddington.optim.engine.state import MASKED, SKIPPED
from waddington.optim.moments import Numbers
from waddington.optim.rule import RateControl, Rule, Settings, Stage, Tensors

__all__ = ["Step", "refuse_nonfinite"]

_ROUNDING = 1  # the stream of random numbers that stochastic rounding draws from


@dataclass
class Step:
    """One step.

    Attributes
    ----------
    rule, control
        What is run.
    tensor_groups
        Over what.
    settings
        Settings of the whole model.
    model_state, model_row
        The 0-d entries of the whole model, and the row that they are views of, those of the rate control last.
    observed
        Whether sums for diagnostics are taken.
    finite
        Afterwards: whether the step was taken, 0-d; None where nobody asked, or all is known to be finite.
    is_left_out
        Afterwards: whether the host knows that it was not.
    is_begun
        Afterwards: whether something was written, or the step ended, so that it cannot be taken back.
    sums
        Afterwards: the sums taken while writing, for each tensor group.
    """

    rule: Rule
    control: RateControl | None
    tensor_groups: Sequence[TensorGroup]
    settings: Settings
    model_state: Tensors
    model_row: torch.Tensor
    observed: bool
    finite: torch.Tensor | None = None
    is_left_out: bool = False
    is_begun: bool = False
    sums: list[Tensors] = field(default_factory=list)

    def run(self) -> None:
        """Take the step, unless a gradient is not finite and the policy is to leave it out."""
        try:
            for tensor_group in self.tensor_groups:
                tensor_group.fetch()
            self._run()
            self.is_begun = True
        except BaseException as error:
            self._say_what_is_changed(error)
            raise
        finally:
            for tensor_group in self.tensor_groups:
                tensor_group.release()

    def _say_what_is_changed(self, error: BaseException) -> None:
        begun = [slot.name for tensor_group in self.tensor_groups for slot in tensor_group.begun]
        self.is_begun = bool(begun)
        if begun:
            error.add_note(
                f"The step broke off while it was being written. Changed, with their buffers: {', '.join(begun)}. Every"
                " other parameter is as it was; step counts and the counts of the whole model may lag behind. Go on"
                " from a saved state."
            )

    def _run(self) -> None:
        self._remembered = [tensor_group.advance() for tensor_group in self.tensor_groups]
        self._is_sharded = any(tensor_group.is_sharded for tensor_group in self.tensor_groups)
        self._masks = self.settings["nonfinite"] == "mask" and not self._is_finite()
        self._taken: list[torch.Tensor | None] = []
        self._decided: Numbers = {}
        self._stage: Stage | None = None
        self._is_late = self._defers_stats()
        self._counts: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._new_row: torch.Tensor | None = None
        self._collect_stats()
        if not self.is_left_out:
            self._set_rates()
            self._apply_update()
            self._book()

    def _is_finite(self) -> bool:
        """Tell whether all gradients are known to be finite, so that there is nothing to mask."""
        return not self._is_sharded and all(tensor_group.is_finite() for tensor_group in self.tensor_groups)

    def _defers_stats(self) -> bool:
        """Tell whether the rate control takes its statistics while this step is written: all gradients are read once.

        Whether it does at all hangs on the settings; then the sums are taken at every step, so that one kernel will do.
        """
        if self.control is None or self._is_sharded or self.settings["nonfinite"] in ("skip", "raise"):
            return False
        first, *others = self.control.stages(self.settings)
        free = all(host_sync_is_free(tensor_group.device) for tensor_group in self.tensor_groups)
        if others or first.reads or not free or not host_sync_is_free(self.model_row.device):
            return False
        self._stage = first
        state = read(*self._of_control)
        self._decided = dict(state)
        return self.control.defers_stats(state, self.settings)

    @cached_property
    def _of_control(self) -> tuple[Tensors, torch.Tensor]:
        """The rate control's state, and the row that it is."""
        assert self.control is not None
        names = self.control.initial(self.settings)
        return {name: self.model_state[name] for name in names}, self.model_row[-len(names) :]

    def _collect_stats(self) -> None:
        """Take the statistics that have to be known before anything is written, and draw the conclusions."""
        rule, policy = self.rule, self.settings["nonfinite"]
        stages = [] if self.control is None or self._is_late else list(self.control.stages(self.settings))
        uses_sums = rule.from_sums is not None and self._is_sharded
        norm_first = any(rule.needs_norm(tensor_group.group) for tensor_group in self.tensor_groups)
        checks = policy in ("skip", "raise")
        squares = checks or norm_first
        first = None if norm_first or not stages else stages.pop(0)
        totals: list[Tensors] = [{} for _ in self.tensor_groups]
        if squares or uses_sums or first is not None:
            totals = self._sums(StatsSpec(squares, uses_sums and not norm_first, first, self._masks), totals)
        if squares:
            whole = self._joined([found["grad_sq"] for found in totals]).sum()
            if checks:
                self._judge(totals, whole)
                if self.is_left_out:
                    return
            if norm_first and rule.from_norm is not None:
                for tensor_group in self.tensor_groups:
                    tensor_group.put(dict(rule.from_norm(_to(whole.sqrt(), tensor_group), tensor_group.group)))
        if norm_first and (uses_sums or stages):
            totals = self._sums(StatsSpec(False, uses_sums, stages.pop(0) if stages else None, self._masks), totals)
        if uses_sums:
            self._from_sums(totals)
        for stage in stages:
            for tensor_group, found in zip(self.tensor_groups, totals, strict=True):
                tensor_group.put({"size": tensor_group.sizes, **found})
            totals = self._sums(StatsSpec(stage=stage, masks=self._masks), totals)
        if self.control is not None and not self._is_late:
            self._decide(totals)

    def _decide(self, totals: list[Tensors]) -> None:
        """Have the rate control draw its conclusions."""
        assert self.control is not None
        columns = {name: self._joined([found[name] for found in totals]) for name in totals[0]}
        sizes = self._joined([tensor_group.sizes for tensor_group in self.tensor_groups])
        entries, row = self._of_control
        known: Numbers | None = self._decided
        if not self._is_late:  # nothing has been written yet, and nothing is before all can be
            free = host_sync_is_free(row.device)
            known = read(entries, row) if free else None
            self._new_row = row = row.clone()
            if not free:
                entries = dict(zip(entries, row.unbind(), strict=True))
        self._decided = decide(self.control, columns, sizes, entries, self.settings, self.finite, row, known)

    def _count(self, dropped: Sequence[torch.Tensor]) -> None:
        """Tell which tensors have no finite gradient: they take no step, and the model none if no tensor does."""
        if self._taken:
            return
        skipped, masked = self.model_state[SKIPPED], self.model_state[MASKED]
        some = self._joined(dropped).sum()
        if host_sync_is_free(some.device) and not some.item():
            self._taken = [None for _ in self.tensor_groups]
            return
        # Counts of more than 2**24 are rounded in float32.
        goes = [
            part <= tensor_group.sizes * (1.0 - 1e-5)
            for part, tensor_group in zip(dropped, self.tensor_groups, strict=True)
        ]
        filled = self._joined(
            [go & (tensor_group.sizes > 0) for go, tensor_group in zip(goes, self.tensor_groups, strict=True)]
        )
        self.finite = filled.any() | (some == 0)
        self._taken = [go & self.finite.to(go.device) for go in goes]
        self._counts = [(skipped, self.finite.logical_not()), (masked, some)]

    def _judge(self, totals: list[Tensors], whole: torch.Tensor) -> None:
        """Tell whether all gradients are finite, which their squares must be as well."""
        raises, skipped = self.settings["nonfinite"] == "raise", self.model_state[SKIPPED]
        free = host_sync_is_free(whole.device)
        is_finite = math.isfinite(whole.item()) if free or raises else None
        self.finite = whole.isfinite() if is_finite is None else torch.tensor(is_finite, device=whole.device)
        if raises and not is_finite:
            fine = [found["grad_sq"].isfinite().tolist() for found in totals]
            each = (
                zip(tensor_group.slots, row, strict=True)
                for tensor_group, row in zip(self.tensor_groups, fine, strict=True)
            )
            refuse_nonfinite(slot.param for pairs in each for slot, is_fine in pairs if not is_fine)
        if is_finite is None:
            self._counts = [(skipped, self.finite.logical_not())]
            for tensor_group in self.tensor_groups:
                tensor_group.put({TAKEN: self.finite.to(device=tensor_group.device, dtype=tensor_group.dtype)})
        elif not is_finite:
            skipped.add_(1.0)
            self.is_left_out = True

    def _from_sums(self, totals: list[Tensors]) -> None:
        """Draw the conclusions of the rule's own sums."""
        assert self.rule.from_sums is not None
        for tensor_group, new, found in zip(self.tensor_groups, self._remembered, totals, strict=True):
            derived = self.rule.from_sums(found, tensor_group.sizes, tensor_group.scalars, tensor_group.bound.flags)
            new |= {name: value for name, value in derived.items() if name in tensor_group.tensor_scalars}
            tensor_group.put(
                {name: value for name, value in derived.items() if name not in tensor_group.tensor_scalars}
            )
            tensor_group.derived = derived

    def _set_rates(self) -> None:
        for tensor_group in self.tensor_groups:
            rate = (
                tensor_group.group["lr"]
                if self.control is None
                else self.control.rate(self._decided, tensor_group.group)
            )
            if isinstance(rate, torch.Tensor):
                rate = rate.to(tensor_group.device).reshape(())
            factor = tensor_group.scalars.get("rate_factor")
            tensor_group.put({"rate": rate if factor is None else rate * factor})

    def _apply_update(self) -> None:
        """Write the new values of everything."""
        # Sums over whole tensors are taken here; those of shards were, with all others, before.
        rule, own = self.rule, self.rule.from_sums is not None and not self._is_sharded
        later = rule.sums_for_next_step
        update = UpdateSpec(own and later, own and not later, self.observed, self._stage, self._masks)
        salts: list[torch.Tensor | None] = []
        for tensor_group in self.tensor_groups:
            if update.uses_sums:
                tensor_group.put({"size": tensor_group.sizes})
            salts.append(
                make_salt(tensor_group.columns.steps + 1.0, tensor_group.columns.indices, _ROUNDING)
                if tensor_group.rounds
                else None
            )
            tensor_group.prepare(update, rounds=salts[-1] is not None)
        for tensor_group, its in zip(self.tensor_groups, salts, strict=True):
            sums = tensor_group.named_sums(tensor_group.apply_update(update, its), copy=self.observed)
            if update.uses_sums:
                tensor_group.derived = {name: sums.pop(name) for name in rule.reported if name in sums}
            self.sums.append(sums)
        if self._masks:
            dropped = [found.pop(DROPPED) for found in self.sums]
            if self._is_sharded and not self._taken:
                dropped = [table[:, 0] for table in self._over_shards([column[:, None] for column in dropped])]
            self._count(dropped)
        if update.own:
            self._from_sums(self.sums)

    def _book(self) -> None:
        """Write what belongs to the whole model, and to whole tensors."""
        if self._is_late:
            self._decide(self.sums)
        for count, more in self._counts:
            count.add_(more.to(count.device))
        if self._new_row is not None:
            self._of_control[1].copy_(self._new_row)
        for at, (tensor_group, new) in enumerate(zip(self.tensor_groups, self._remembered, strict=True)):
            taken = self._taken[at] if self._taken else self.finite if TAKEN in tensor_group.scalars else None
            tensor_group.columns.write(new, None if taken is None else taken.to(tensor_group.device))

    def _sums(self, stats: StatsSpec, before: list[Tensors]) -> list[Tensors]:
        """Take sums over every tensor, and over all its shards; add them to those of the rounds before."""
        tensor_groups = self.tensor_groups
        names = [tensor_group.collect_stats(stats) for tensor_group in tensor_groups]
        parts = [tensor_group.sums for tensor_group in tensor_groups]
        if self._is_sharded:
            width = max(len(given) for given in names)
            parts = self._over_shards([part[:, :width] for part in parts])
        found = [
            tensor_group.named_sums(given, part)
            for tensor_group, given, part in zip(tensor_groups, names, parts, strict=True)
        ]
        if self._masks:
            self._count([sums.pop(DROPPED) for sums in found])
        return [{**known, **new} for known, new in zip(before, found, strict=True)]

    def _over_shards(self, tables: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Add the tensor groups' tables of sums, of one width, over the shards of their tensors, in one collective."""
        first, slots = (
            self.tensor_groups[0],
            [slot for tensor_group in self.tensor_groups for slot in tensor_group.slots],
        )
        whole = sum_over_shards(torch.cat([_to(table, first) for table in tables]), slots)
        pieces = torch.split(whole, [len(tensor_group.slots) for tensor_group in self.tensor_groups])
        return [_to(piece, tensor_group) for piece, tensor_group in zip(pieces, self.tensor_groups, strict=True)]

    def _joined(self, columns: Sequence[torch.Tensor]) -> torch.Tensor:
        """Put the columns of all tensor groups below one another, on the device of the first."""
        if len(columns) == 1:
            return columns[0]
        return torch.cat([_to(column, self.tensor_groups[0]) for column in columns])

    def rows(self) -> tuple[list[Tensors], list[Tensors]]:
        """Give, for each tensor, the sums taken while writing, and the numbers that diagnostics report."""
        sums = [
            row
            for tensor_group, found in zip(self.tensor_groups, self.sums, strict=True)
            for row in _rows(tensor_group, found)
        ]
        reported = [
            row
            for tensor_group in self.tensor_groups
            for row in _rows(tensor_group, tensor_group.shown(self.rule.reported))
        ]
        return sums, reported


def _to(tensor: torch.Tensor, tensor_group: TensorGroup) -> torch.Tensor:
    """Bring statistics to a tensor group's device."""
    return tensor.to(device=tensor_group.device, dtype=tensor_group.sizes.dtype)


def _rows(tensor_group: TensorGroup, columns: Tensors) -> list[Tensors]:
    """Turn columns, which have one entry per tensor, into one dictionary per tensor."""
    rows: list[Tensors] = [{} for _ in tensor_group.slots]
    for name, column in columns.items():
        for row, entry in zip(rows, column.unbind(), strict=True):
            row[name] = entry
    return rows


def refuse_nonfinite(params: Iterable[torch.Tensor]) -> NoReturn:
    """Refuse a step for the gradients of some parameters.

    Raises
    ------
    DataError
        With the parameters' shapes.
    """
    shapes = ", ".join(str(tuple(param.shape)) for param in params)
    raise DataError(
        f"cannot step: found NaN or infinity in the gradients of parameters of shape {shapes};"
        " accepted are finite gradients (nonfinite='skip' leaves such steps out)"
    )
