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
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from waddington.optim.engine.columns import ModelRow
from waddington.optim.engine.fit import refuse_nonfinite
from waddington.optim.engine.groups import TensorGroup
from waddington.optim.engine.noise import make_salt
from waddington.optim.engine.params import sum_over_shards
from waddington.optim.engine.phases import DROPPED, TAKEN, StatsSpec, UpdateSpec
from waddington.optim.engine.state import MASKED, SKIPPED
from waddington.optim.moments import DEVICE, HOST, Number, Numbers
from waddington.optim.rule import RateControl, Rule, Settings, Stage, Tensors

__all__ = ["Step", "decide"]

_ROUNDING = 1  # the stream of random numbers that stochastic rounding draws from


@dataclass
class Step:
    """One step.

    Attributes
    ----------
    rule, control
        What is run.
    groups
        Over what.
    settings
        Settings of the whole model.
    model
        The 0-d entries of the whole model.
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
    groups: Sequence[TensorGroup]
    settings: Settings
    model: ModelRow
    observed: bool
    finite: torch.Tensor | None = None
    is_left_out: bool = False
    is_begun: bool = False
    sums: list[Tensors] = field(default_factory=list)

    def run(self) -> None:
        """Take the step, unless a gradient is not finite and the policy is to leave it out."""
        try:
            for group in self.groups:
                group.fetch()
            self._run()
            self.is_begun = True
        except BaseException as error:
            self._say_what_is_changed(error)
            raise
        finally:
            for group in self.groups:
                group.release()

    def _say_what_is_changed(self, error: BaseException) -> None:
        begun = [slot.name for group in self.groups for slot in group.begun]
        self.is_begun = bool(begun)
        if begun:
            error.add_note(
                f"The step broke off while it was being written. Changed, with their buffers: {', '.join(begun)}. Every"
                " other parameter is as it was; step counts and the counts of the whole model may lag behind. Go on"
                " from a saved state."
            )

    def _run(self) -> None:
        self._remembered = [group.advance() for group in self.groups]
        self._is_sharded = any(group.is_sharded for group in self.groups)
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
        return not self._is_sharded and all(group.is_finite() for group in self.groups)

    def _defers_stats(self) -> bool:
        """Tell whether the rate control takes its statistics while this step is written: all gradients are read once.

        Whether it does at all hangs on the settings; then the sums are taken at every step, so that one kernel will do.
        """
        if self.control is None or self._is_sharded or self.settings["nonfinite"] in ("skip", "raise"):
            return False
        first, *others = self.control.stages(self.settings)
        free = self.model.is_on_host and all(group.columns.is_on_host for group in self.groups)
        if others or first.reads or not free:
            return False
        self._stage = first
        state = self.model.read()
        self._decided = state
        return self.control.defers_stats(state, self.settings)

    def _collect_stats(self) -> None:
        """Take the statistics that have to be known before anything is written, and draw the conclusions."""
        rule, policy = self.rule, self.settings["nonfinite"]
        stages = [] if self.control is None or self._is_late else list(self.control.stages(self.settings))
        uses_sums = self._uses_sums() and self._is_sharded
        norm_first = any(group.needs_norm for group in self.groups)
        checks = policy in ("skip", "raise")
        squares = checks or norm_first
        first = None if norm_first or not stages else stages.pop(0)
        totals: list[Tensors] = [{} for _ in self.groups]
        if squares or uses_sums or first is not None:
            totals = self._sums(StatsSpec(squares, uses_sums and not norm_first, first, self._masks), totals)
        if squares:
            whole = self._joined([found["grad_sq"] for found in totals]).sum()
            if checks:
                self._judge(totals, whole)
                if self.is_left_out:
                    return
            if norm_first and rule.from_norm is not None:
                for group in self.groups:
                    group.columns.put(dict(rule.from_norm(_to(whole.sqrt(), group), group.settings)))
        if norm_first and (uses_sums or stages):
            totals = self._sums(StatsSpec(False, uses_sums, stages.pop(0) if stages else None, self._masks), totals)
        if uses_sums:
            self._from_sums(totals)
        for stage in stages:
            for group, found in zip(self.groups, totals, strict=True):
                group.columns.put({"size": group.columns.sizes, **found})
            totals = self._sums(StatsSpec(stage=stage, masks=self._masks), totals)
        if self.control is not None and not self._is_late:
            self._decide(totals)

    def _decide(self, totals: list[Tensors]) -> None:
        """Have the rate control draw its conclusions; they are written when all is."""
        assert self.control is not None
        columns = {name: self._joined([found[name] for found in totals]) for name in totals[0]}
        sizes = self._joined([group.columns.sizes for group in self.groups])
        summary = self.control.summarize(columns, sizes, self.settings)
        model, known = self.model, self._decided if self._is_late else None
        names = list(model.of_control)
        self._decided, self._new_row = decide(
            self.control, summary, names, model.row, self.settings, self.finite, on_host=model.is_on_host, known=known
        )

    def _count(self, dropped: Sequence[torch.Tensor]) -> None:
        """Tell which tensors have no finite gradient: they take no step, and the model none if no tensor does."""
        if self._taken:
            return
        skipped, masked = self.model.entries[SKIPPED], self.model.entries[MASKED]
        some = self._joined(dropped).sum()
        if self.groups[0].columns.is_on_host and not some.item():
            self._taken = [None for _ in self.groups]
            return
        # Counts of more than 2**24 are rounded in float32.
        goes = [part <= group.columns.sizes * (1.0 - 1e-5) for part, group in zip(dropped, self.groups, strict=True)]
        filled = self._joined([go & (group.columns.sizes > 0) for go, group in zip(goes, self.groups, strict=True)])
        self.finite = filled.any() | (some == 0)
        self._taken = [go & self.finite.to(go.device) for go in goes]
        self._counts = [(skipped, self.finite.logical_not()), (masked, some)]

    def _judge(self, totals: list[Tensors], whole: torch.Tensor) -> None:
        """Tell whether all gradients are finite, which their squares must be as well."""
        raises, skipped = self.settings["nonfinite"] == "raise", self.model.entries[SKIPPED]
        free = self.groups[0].columns.is_on_host
        is_finite = math.isfinite(whole.item()) if free or raises else None
        self.finite = whole.isfinite() if is_finite is None else torch.tensor(is_finite, device=whole.device)
        if raises and not is_finite:
            fine = [found["grad_sq"].isfinite().tolist() for found in totals]
            each = (zip(group.slots, row, strict=True) for group, row in zip(self.groups, fine, strict=True))
            refuse_nonfinite(slot.param for pairs in each for slot, is_fine in pairs if not is_fine)
        if is_finite is None:
            self._counts = [(skipped, self.finite.logical_not())]
            for group in self.groups:
                group.columns.put({TAKEN: self.finite.to(device=group.device, dtype=group.dtype)})
        elif not is_finite:
            skipped.add_(1.0)
            self.is_left_out = True

    def _uses_sums(self) -> bool:
        """Tell whether the rule draws conclusions of sums under the settings of any group."""
        return self.rule.from_sums is not None and any(self.rule.needs_sums(group.settings) for group in self.groups)

    def _from_sums(self, totals: list[Tensors]) -> None:
        """Draw the conclusions of the rule's own sums."""
        assert self.rule.from_sums is not None
        for group, new, found in zip(self.groups, self._remembered, totals, strict=True):
            derived = self.rule.from_sums(found, group.columns.sizes, group.columns.scalars, group.bound.flags)
            new |= {name: value for name, value in derived.items() if name in group.columns.tensor_scalars}
            group.columns.put(
                {name: value for name, value in derived.items() if name not in group.columns.tensor_scalars}
            )
            group.derived = derived

    def _set_rates(self) -> None:
        for group in self.groups:
            rate = group.settings["lr"] if self.control is None else self.control.rate(self._decided, group.settings)
            if isinstance(rate, torch.Tensor):
                rate = rate.to(group.device).reshape(())
            factor = group.columns.scalars.get("rate_factor")
            group.columns.put({"rate": rate if factor is None else rate * factor})

    def _apply_update(self) -> None:
        """Write the new values of everything."""
        # Sums over whole tensors are taken here; those of shards were, with all others, before.
        rule, own = self.rule, self._uses_sums() and not self._is_sharded
        later = rule.sums_for_next_step
        update = UpdateSpec(own and later, own and not later, self.observed, self._stage, self._masks)
        salts: list[torch.Tensor | None] = []
        for group in self.groups:
            if update.uses_sums:
                group.columns.put({"size": group.columns.sizes})
            salts.append(
                make_salt(group.columns.steps + 1.0, group.columns.indices, _ROUNDING) if group.rounds else None
            )
            group.prepare(update, rounds=salts[-1] is not None)
        for group, its in zip(self.groups, salts, strict=True):
            sums = group.columns.named_sums(group.apply_update(update, its), copy=self.observed)
            if update.uses_sums:
                group.derived = {name: sums.pop(name) for name in rule.reported if name in sums}
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
            self.model.row.copy_(self._new_row)
        for at, (group, new) in enumerate(zip(self.groups, self._remembered, strict=True)):
            taken = self._taken[at] if self._taken else self.finite if TAKEN in group.columns.scalars else None
            group.columns.write(new, None if taken is None else taken.to(group.device))

    def _sums(self, stats: StatsSpec, before: list[Tensors]) -> list[Tensors]:
        """Take sums over every tensor, and over all its shards; add them to those of the rounds before."""
        groups = self.groups
        names = [group.collect_stats(stats) for group in groups]
        parts = [group.columns.sums for group in groups]
        if self._is_sharded:
            width = max(len(given) for given in names)
            parts = self._over_shards([part[:, :width] for part in parts])
        found = [group.columns.named_sums(given, part) for group, given, part in zip(groups, names, parts, strict=True)]
        if self._masks:
            self._count([sums.pop(DROPPED) for sums in found])
        return [{**known, **new} for known, new in zip(before, found, strict=True)]

    def _over_shards(self, tables: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Add the tensor groups' tables of sums, of one width, over the shards of their tensors, in one collective."""
        first, slots = (
            self.groups[0],
            [slot for group in self.groups for slot in group.slots],
        )
        whole = sum_over_shards(torch.cat([_to(table, first) for table in tables]), slots)
        pieces = torch.split(whole, [len(group.slots) for group in self.groups])
        return [_to(piece, group) for piece, group in zip(pieces, self.groups, strict=True)]

    def _joined(self, columns: Sequence[torch.Tensor]) -> torch.Tensor:
        """Put the columns of all tensor groups below one another, on the device of the first."""
        if len(columns) == 1:
            return columns[0]
        return torch.cat([_to(column, self.groups[0]) for column in columns])


def _to(tensor: torch.Tensor, group: TensorGroup) -> torch.Tensor:
    """Bring statistics to a tensor group's device."""
    return tensor.to(device=group.device, dtype=group.columns.sizes.dtype)


def decide(
    control: RateControl,
    summary: torch.Tensor,
    names: Sequence[str],
    row: torch.Tensor,
    settings: Settings,
    finite: torch.Tensor | None,
    *,
    on_host: bool,
    known: Numbers | None = None,
) -> tuple[Numbers, torch.Tensor]:
    """Have a rate control decide; write nothing.

    Parameters
    ----------
    control
        What sets the rate.
    summary
        What it makes of its statistics, 0-d.
    names, row
        Names and values of its entries.
    settings
        Settings of the whole model.
    finite
        False (0-d) leaves the entries as they are; so does a summary that is not finite.
    on_host
        Whether the row may be read without waiting.
    known
        The entries, if they have been read at this step.

    Returns
    -------
    entries, row
        The new entries by name, and as a row.
    """
    summary = summary.to(device=row.device, dtype=row.dtype)
    if on_host:
        numbers: dict[str, Number] = dict(known or zip(names, row.tolist(), strict=True))
        number = summary.item()
        if math.isfinite(number) and (finite is None or bool(finite)):
            numbers |= control.decide(number, numbers, settings, HOST)
        written = [float(numbers[name]) for name in names]
        return numbers, torch.tensor(written, dtype=row.dtype, device=row.device)
    state = dict(zip(names, row.unbind(), strict=True))
    found = control.decide(summary, dict(state), settings, DEVICE)
    # Stacked, because there are a dozen of them and each costs a launch.
    values = [torch.as_tensor(found.get(name, state[name]), dtype=row.dtype, device=row.device) for name in names]
    goes = summary.isfinite() if finite is None else finite.to(row.device) & summary.isfinite()
    new = torch.where(goes, torch.stack(values), row)
    return dict(zip(names, new.unbind(), strict=True)), new
