"""One step over the families of a model: statistics, what follows from them, and the writing of new values.

1. *advance*: what depends on no coordinate, for all tensors of a family at once.
2. *look*: sums over each tensor that have to be known before anything is written: those of the rate control at steps
   where it decides, squares of gradients where one that is not finite leaves out the step (see `nonfinite`), the rule's
   where tensors are sharded. They stand in one table, which is added up over shards in one collective.
3. *conclude*: the rule's numbers per tensor, and the rate.
4. *take*: the rule's direction, decay and step are written in place, with the buffers, and all other sums are taken.
5. *book*: counts, the rate control's state and the rule's numbers are written.

Kernels are made, and all else that can fail is done, before anything is written: an error leaves all as it was, or says
what it did not.

Most steps need no look and read everything once. Rules that need sums of sums (the norm of all gradients before
anything else, counts of what exceeds a mean) look once more, with one collective each time; none does by default. No
value of a tensor is read on the host (``nonfinite="raise"`` is the documented exception) but where that costs nothing
(:mod:`.host`), so a step never waits for a GPU.
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
from waddington.optim.engine.groups import Family
from waddington.optim.engine.host import reads_are_free
from waddington.optim.engine.noise import make_salt
from waddington.optim.engine.params import sum_over_shards
from waddington.optim.engine.phases import DROPPED, TAKEN, Take, Want
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
    families
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
        Afterwards: the sums taken while writing, for each family.
    """

    rule: Rule
    control: RateControl | None
    families: Sequence[Family]
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
            for family in self.families:
                family.fetch()
            self._run()
            self.is_begun = True
        except BaseException as error:
            self._say_what_is_changed(error)
            raise
        finally:
            for family in self.families:
                family.release()

    def _say_what_is_changed(self, error: BaseException) -> None:
        begun = [member.name for family in self.families for member in family.begun]
        self.is_begun = bool(begun)
        if begun:
            error.add_note(
                f"The step broke off while it was being written. Changed, with their buffers: {', '.join(begun)}. Every"
                " other parameter is as it was; step counts and the counts of the whole model may lag behind. Go on"
                " from a saved state."
            )

    def _run(self) -> None:
        self._remembered = [family.advance() for family in self.families]
        self._is_sharded = any(family.is_sharded for family in self.families)
        self._masks = self.settings["nonfinite"] == "mask" and not self._is_finite()
        self._taken: list[torch.Tensor | None] = []
        self._decided: Numbers = {}
        self._stage: Stage | None = None
        self._is_late = self._may_wait()
        self._counts: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._new_row: torch.Tensor | None = None
        self._look()
        if not self.is_left_out:
            self._set_rates()
            self._take()
            self._book()

    def _is_finite(self) -> bool:
        """Tell whether all gradients are known to be finite, so that there is nothing to mask."""
        return not self._is_sharded and all(family.is_finite() for family in self.families)

    def _may_wait(self) -> bool:
        """Tell whether the rate control takes its statistics while this step is written: all gradients are read once.

        Whether it does at all hangs on the settings; then the sums are taken at every step, so that one kernel will do.
        """
        if self.control is None or self._is_sharded or self.settings["nonfinite"] in ("skip", "raise"):
            return False
        first, *others = self.control.stages(self.settings)
        free = all(reads_are_free(family.device) for family in self.families)
        if others or first.reads or not free or not reads_are_free(self.model_row.device):
            return False
        self._stage = first
        state = read(*self._of_control)
        self._decided = dict(state)
        return self.control.waits(state, self.settings)

    @cached_property
    def _of_control(self) -> tuple[Tensors, torch.Tensor]:
        """The rate control's state, and the row that it is."""
        assert self.control is not None
        names = self.control.initial(self.settings)
        return {name: self.model_state[name] for name in names}, self.model_row[-len(names) :]

    def _look(self) -> None:
        """Take the statistics that have to be known before anything is written, and draw the conclusions."""
        rule, policy = self.rule, self.settings["nonfinite"]
        stages = [] if self.control is None or self._is_late else list(self.control.stages(self.settings))
        settles = rule.settle is not None and self._is_sharded
        norm_first = any(rule.needs_norm(family.group) for family in self.families)
        checks = policy in ("skip", "raise")
        squares = checks or norm_first
        first = None if norm_first or not stages else stages.pop(0)
        totals: list[Tensors] = [{} for _ in self.families]
        if squares or settles or first is not None:
            totals = self._sums(Want(squares, settles and not norm_first, first, self._masks), totals)
        if squares:
            whole = self._joined([found["grad_sq"] for found in totals]).sum()
            if checks:
                self._judge(totals, whole)
                if self.is_left_out:
                    return
            if norm_first and rule.from_norm is not None:
                for family in self.families:
                    family.put(dict(rule.from_norm(_to(whole.sqrt(), family), family.group)))
        if norm_first and (settles or stages):
            totals = self._sums(Want(False, settles, stages.pop(0) if stages else None, self._masks), totals)
        if settles:
            self._settle(totals)
        for stage in stages:
            for family, found in zip(self.families, totals, strict=True):
                family.put({"size": family.sizes, **found})
            totals = self._sums(Want(stage=stage, masks=self._masks), totals)
        if self.control is not None and not self._is_late:
            self._decide(totals)

    def _decide(self, totals: list[Tensors]) -> None:
        """Have the rate control draw its conclusions."""
        assert self.control is not None
        columns = {name: self._joined([found[name] for found in totals]) for name in totals[0]}
        sizes = self._joined([family.sizes for family in self.families])
        entries, row = self._of_control
        known: Numbers | None = self._decided
        if not self._is_late:  # nothing has been written yet, and nothing is before all can be
            free = reads_are_free(row.device)
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
        if reads_are_free(some.device) and not some.item():
            self._taken = [None for _ in self.families]
            return
        # Counts of more than 2**24 are rounded in float32.
        goes = [part <= family.sizes * (1.0 - 1e-5) for part, family in zip(dropped, self.families, strict=True)]
        filled = self._joined([go & (family.sizes > 0) for go, family in zip(goes, self.families, strict=True)])
        self.finite = filled.any() | (some == 0)
        self._taken = [go & self.finite.to(go.device) for go in goes]
        self._counts = [(skipped, self.finite.logical_not()), (masked, some)]

    def _judge(self, totals: list[Tensors], whole: torch.Tensor) -> None:
        """Tell whether all gradients are finite, which their squares must be as well."""
        raises, skipped = self.settings["nonfinite"] == "raise", self.model_state[SKIPPED]
        free = reads_are_free(whole.device)
        is_finite = math.isfinite(whole.item()) if free or raises else None
        self.finite = whole.isfinite() if is_finite is None else torch.tensor(is_finite, device=whole.device)
        if raises and not is_finite:
            fine = [found["grad_sq"].isfinite().tolist() for found in totals]
            each = (zip(family.members, row, strict=True) for family, row in zip(self.families, fine, strict=True))
            refuse_nonfinite(member.param for pairs in each for member, is_fine in pairs if not is_fine)
        if is_finite is None:
            self._counts = [(skipped, self.finite.logical_not())]
            for family in self.families:
                family.put({TAKEN: self.finite.to(device=family.device, dtype=family.dtype)})
        elif not is_finite:
            skipped.add_(1.0)
            self.is_left_out = True

    def _settle(self, totals: list[Tensors]) -> None:
        """Draw the conclusions of the rule's own sums."""
        assert self.rule.settle is not None
        for family, new, found in zip(self.families, self._remembered, totals, strict=True):
            settled = self.rule.settle(found, family.sizes, family.numbers, family.work.choices)
            new |= {name: value for name, value in settled.items() if name in family.scalars}
            family.put({name: value for name, value in settled.items() if name not in family.scalars})
            family.settled = settled

    def _set_rates(self) -> None:
        for family in self.families:
            rate = family.group["lr"] if self.control is None else self.control.rate(self._decided, family.group)
            if isinstance(rate, torch.Tensor):
                rate = rate.to(family.device).reshape(())
            factor = family.numbers.get("rate_factor")
            family.put({"rate": rate if factor is None else rate * factor})

    def _take(self) -> None:
        """Write the new values of everything."""
        # Sums over whole tensors are taken here; those of shards were, with all others, before.
        rule, own = self.rule, self.rule.settle is not None and not self._is_sharded
        later = rule.settles_for_later
        wanted = Take(own and later, own and not later, self.observed, self._stage, self._masks)
        salts: list[torch.Tensor | None] = []
        for family in self.families:
            if wanted.settles:
                family.put({"size": family.sizes})
            salts.append(
                make_salt(family.columns.steps + 1.0, family.columns.indices, _ROUNDING) if family.rounds else None
            )
            family.prepare(wanted, rounds=salts[-1] is not None)
        for family, its in zip(self.families, salts, strict=True):
            sums = family.named_sums(family.take(wanted, its), copy=self.observed)
            if wanted.settles:
                family.settled = {name: sums.pop(name) for name in rule.reported if name in sums}
            self.sums.append(sums)
        if self._masks:
            dropped = [found.pop(DROPPED) for found in self.sums]
            if self._is_sharded and not self._taken:
                dropped = [table[:, 0] for table in self._over_shards([column[:, None] for column in dropped])]
            self._count(dropped)
        if wanted.own:
            self._settle(self.sums)

    def _book(self) -> None:
        """Write what belongs to the whole model, and to whole tensors."""
        if self._is_late:
            self._decide(self.sums)
        for count, more in self._counts:
            count.add_(more.to(count.device))
        if self._new_row is not None:
            self._of_control[1].copy_(self._new_row)
        for at, (family, new) in enumerate(zip(self.families, self._remembered, strict=True)):
            taken = self._taken[at] if self._taken else self.finite if TAKEN in family.numbers else None
            family.columns.write(new, None if taken is None else taken.to(family.device))

    def _sums(self, want: Want, before: list[Tensors]) -> list[Tensors]:
        """Take sums over every tensor, and over all its shards; add them to those of the rounds before."""
        families = self.families
        names = [family.look(want) for family in families]
        parts = [family.sums for family in families]
        if self._is_sharded:
            width = max(len(given) for given in names)
            parts = self._over_shards([part[:, :width] for part in parts])
        found = [family.named_sums(given, part) for family, given, part in zip(families, names, parts, strict=True)]
        if self._masks:
            self._count([sums.pop(DROPPED) for sums in found])
        return [{**known, **new} for known, new in zip(before, found, strict=True)]

    def _over_shards(self, tables: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Add the families' tables of sums, of one width, over the shards of their tensors, in one collective."""
        first, members = self.families[0], [member for family in self.families for member in family.members]
        whole = sum_over_shards(torch.cat([_to(table, first) for table in tables]), members)
        pieces = torch.split(whole, [len(family.members) for family in self.families])
        return [_to(piece, family) for piece, family in zip(pieces, self.families, strict=True)]

    def _joined(self, columns: Sequence[torch.Tensor]) -> torch.Tensor:
        """Put the columns of all families below one another, on the device of the first."""
        if len(columns) == 1:
            return columns[0]
        return torch.cat([_to(column, self.families[0]) for column in columns])

    def rows(self) -> tuple[list[Tensors], list[Tensors]]:
        """Give, for each tensor, the sums taken while writing, and the numbers that diagnostics report."""
        sums = [row for family, found in zip(self.families, self.sums, strict=True) for row in _rows(family, found)]
        reported = [row for family in self.families for row in _rows(family, family.shown(self.rule.reported))]
        return sums, reported


def _to(tensor: torch.Tensor, family: Family) -> torch.Tensor:
    """Bring statistics to a family's device."""
    return tensor.to(device=family.device, dtype=family.sizes.dtype)


def _rows(family: Family, columns: Tensors) -> list[Tensors]:
    """Turn columns, which have one entry per tensor, into one dictionary per tensor."""
    rows: list[Tensors] = [{} for _ in family.members]
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
