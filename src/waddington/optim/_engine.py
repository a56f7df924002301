"""The engine: the only ``step()`` that runs rules; its own mathematics is ``θ -= α d`` and no more.

A step goes over the families of tensors that :mod:`waddington.optim._layout` has made of the model:

1. *advance*: what depends on no coordinate, for all tensors of a family at once.
2. *look*: sums over each tensor: of squared gradients, which tell whether all are finite (see `nonfinite`), and what
   the rule and the rate control ask for. They stand in one table, which is added up over shards in one collective.
3. *conclude*: the rule's numbers per tensor, and the rate.
4. *take*: the rule's direction, decay and step are written in place, with the buffers.

Rules that need sums of sums (the norm of all gradients before anything else, counts of what exceeds a mean) look once
more, with one collective each time; none does by default. The engine reads no value of a tensor on the host
(``nonfinite="raise"`` is the documented exception), nor do the rules of the four papers, so a step never waits for a
GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import torch
from torch._compile import _disable_dynamo

from waddington._errors import DataError, UnsupportedError
from waddington.optim._control import decide
from waddington.optim._host import reads_are_free
from waddington.optim._layout import Family, lay_out
from waddington.optim._noise import make_salt
from waddington.optim._phases import TAKEN, Take, Want
from waddington.optim._rule import Tensors
from waddington.optim._slots import HasGroup, gradient_of, sum_over_shards
from waddington.optim._state import SKIPPED, RuleState
from waddington.optim._units import Member
from waddington.optim.moments import Numbers

__all__ = ["RuleOptimizer", "is_phantom", "refuse_nonfinite", "refuse_transforms"]

_ROUNDING = 1  # the stream of random numbers that stochastic rounding draws from


class RuleOptimizer(RuleState):
    """A torch optimizer that runs a rule; subclasses name the rule, perhaps a rate control, and their arguments.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    defaults
        Settings of a group that does not say otherwise. Besides the rule's own these are ``lr`` (a number or a 0-d
        tensor), ``weight_decay``, ``decoupled_weight_decay`` (True: ``θ -= rate λ θ``; False: ``g += λ θ``),
        ``maximize``, ``nonfinite``, ``stochastic_rounding`` and ``compile``.

        ``nonfinite`` says what a NaN or infinite gradient anywhere in the model does. ``"skip"``: the step is not
        taken: parameters, moments, step count and switch stay, on every rank, and ``diagnostics()["skipped_steps"]``
        counts it. ``"raise"``: DataError before anything has changed; costs one wait for the device per step.
        ``"propagate"``: no check, as torch; saves one pass over the gradients.

        ``stochastic_rounding`` rounds new values of bfloat16 parameters up or down at random so that their expectation
        is exact: without it updates below half a unit in the last place, 0.2 % of the parameter, are lost. The random
        numbers depend on coordinate and step alone: replicas agree, shards too, and a resumed run repeats them.

        ``compile`` is ``"auto"`` or False; both run eagerly in this version.

    Notes
    -----
    State is kept in float32 under parameters of lower precision. A step with rate 0 and all gradients 0 on an optimizer
    without state is not counted: it is how ``torch.distributed.checkpoint`` asks for the state before loading.
    """

    _finite: torch.Tensor | None = None
    """Whether the last step was taken, 0-d and on the device; None where nobody asked."""
    _families: tuple[Family, ...] = ()
    _order: Sequence[Member] = ()
    _decided: Numbers = {}  # noqa: RUF012  (never written to)

    @_disable_dynamo  # traced, it would be compiled anew whenever gradients are; inside torch.compile it is eager
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure
            Computes the loss anew and calls ``backward``; called once, with gradients on.

        Returns
        -------
        object
            What the closure gave, or None.

        Raises
        ------
        DataError
            A gradient is not finite and ``nonfinite="raise"``.
        UnsupportedError
            A gradient is sparse, or the call stands inside a transform of ``torch.func``, or ``compile=True`` and
            compiling failed.
        """
        refuse_transforms(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        without_state = not self.state
        families = self._laid_out()
        if not families:
            return loss
        model_state = self._model_state()
        if without_state and all(is_phantom(member) for family in families for member in family.members):
            return loss
        self._step(families, model_state)
        return loss

    def _step(self, families: Sequence[Family], model_state: Tensors) -> None:
        for family in families:
            for unit in family.units:
                unit.fetch()
        remembered = [family.advance() for family in families]
        finite = self._finite = self._look(families, remembered, model_state)
        if finite is not None and reads_are_free(finite.device) and not bool(finite):
            return
        self._set_rates(families)
        self._take(families, remembered, finite)

    # -- layout --

    def _laid_out(self) -> tuple[Family, ...]:
        """Give the families of the parameters that have gradients."""
        if self._is_laid_out():
            return self._families
        members = []
        index = -1
        for group_index, group in enumerate(self.param_groups):
            for param in group["params"]:
                index += 1
                if param.grad is not None:
                    gradient_of(param)  # refuses what cannot be stepped before any state is made
                    members.append(Member(param, group, group_index, index, self._state_of(param, group)))
        self._families = tuple(lay_out(self._rule, members))
        self._order = sorted((m for family in self._families for m in family.members), key=lambda m: m.index)
        return self._families

    def _is_laid_out(self) -> bool:
        """Tell whether the last layout still holds: the same parameters have gradients, and nothing has moved."""
        groups = self.param_groups
        if not self._families or any(
            family.group_index >= len(groups) or not family.still_fits(groups[family.group_index])
            for family in self._families
        ):
            return False
        known, state = iter(self._order), self.state
        for group in groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                member = next(known, None)
                if member is None or member.param is not param or member.group is not group:
                    return False
                if state.get(param) is not member.state or not member.is_in_place():
                    return False
        return next(known, None) is None

    # -- the parts of a step --

    def _look(self, families: Sequence[Family], remembered: list[Tensors], model_state: Tensors) -> torch.Tensor | None:
        """Take all statistics, draw the conclusions, and tell whether the step is to be taken (0-d)."""
        rule, policy = self._rule, self.param_groups[0]["nonfinite"]
        stages = [] if self._control is None else list(self._control.stages(self.param_groups[0]))
        settles = rule.settle is not None and any(family.is_sharded for family in families)
        norm_first = any(rule.needs_norm(family.group) for family in families)
        squares = policy != "propagate" or norm_first
        first = None if norm_first or not stages else stages.pop(0)
        finite: torch.Tensor | None = None
        totals: list[Tensors] = [{} for _ in families]
        if squares or settles or first is not None:
            totals = _sums(families, Want(squares, settles and not norm_first, first), totals)
        if squares:
            whole = _whole([found["grad_sq"] for found in totals], families)
            finite = self._judge(families, totals, whole, policy)
            if norm_first and rule.from_norm is not None:
                norm = whole.sqrt()
                for family in families:
                    family.put(dict(rule.from_norm(_to(norm, family), family.group)))
        if finite is not None and not (reads_are_free(finite.device) and bool(finite)):
            model_state[SKIPPED].add_(finite.logical_not().to(model_state[SKIPPED].device))
            if reads_are_free(finite.device):
                return finite
        if norm_first and (settles or stages):
            totals = _sums(families, Want(False, settles, stages.pop(0) if stages else None), totals)
        if settles:
            self._settle(families, remembered, totals)
        for stage in stages:
            for family, found in zip(families, totals, strict=True):
                family.put({"size": family.sizes, **found})
            totals = _sums(families, Want(stage=stage), totals)
        if self._control is not None:
            columns = {name: _joined([found[name] for found in totals], families) for name in totals[0]}
            sizes = _joined([family.sizes for family in families], families)
            entries = {name: model_state[name] for name in self._control.initial(self.param_groups[0])}
            self._decided = decide(self._control, columns, sizes, entries, self.param_groups[0], finite)
        return finite

    def _judge(
        self, families: Sequence[Family], totals: list[Tensors], whole: torch.Tensor, policy: str
    ) -> torch.Tensor | None:
        """Tell whether all gradients are finite, which their squares must be as well."""
        if policy == "propagate":
            return None
        finite = whole.isfinite()
        if policy == "raise" and not bool(finite):
            pairs = zip(families, totals, strict=True)
            bad = [(family.members, found["grad_sq"].isfinite().tolist()) for family, found in pairs]
            refuse_nonfinite(
                m.param for members, fine in bad for m, is_fine in zip(members, fine, strict=True) if not is_fine
            )
        for family in families:
            if not reads_are_free(finite.device):
                family.put({TAKEN: finite.to(device=family.device, dtype=family.dtype)})
        return finite

    def _settle(self, families: Sequence[Family], remembered: list[Tensors], totals: list[Tensors]) -> None:
        assert self._rule.settle is not None
        for family, new, found in zip(families, remembered, totals, strict=True):
            settled = self._rule.settle(found, family.sizes, family.numbers, family.work.choices)
            new |= {name: value for name, value in settled.items() if name in family.scalars}
            family.put({name: value for name, value in settled.items() if name not in family.scalars})
            family.settled = settled

    def _set_rates(self, families: Sequence[Family]) -> None:
        for family in families:
            rate = family.group["lr"] if self._control is None else self._control.rate(self._decided, family.group)
            if isinstance(rate, torch.Tensor):
                rate = rate.to(family.device).reshape(())
            factor = family.numbers.get("rate_factor")
            family.put({"rate": rate if factor is None else rate * factor})

    def _take(self, families: Sequence[Family], remembered: list[Tensors], finite: torch.Tensor | None) -> None:
        # Sums over whole tensors are taken here; those of shards were, with all others, before.
        rule = self._rule
        own = rule.settle is not None and not any(family.is_sharded for family in families)
        wanted = Take(own and rule.settles_for_later, own and not rule.settles_for_later, self._recording_on)
        found: list[Tensors] = []
        for family in families:
            if wanted.settles:
                family.put({"size": family.sizes})
            salts = make_salt(family.steps + 1.0, family.indices, _ROUNDING) if family.rounds else None
            sums = family.named_sums(family.take(wanted, salts))
            if wanted.settles:
                family.settled = {name: sums.pop(name) for name in rule.reported if name in sums}
            found.append(sums)
        if wanted.own:
            self._settle(families, remembered, found)
        for family, new in zip(families, remembered, strict=True):
            family.remember(new, finite)
            family.steps.add_(1.0 if finite is None else finite.to(family.device))
        if self._recording_on:
            self._record(families, found, finite)

    def _record(self, families: Sequence[Family], found: list[Tensors], finite: torch.Tensor | None) -> None:
        members = [member for family in families for member in family.members]
        sums = [row for family, columns in zip(families, found, strict=True) for row in _rows(family, columns)]
        reported = [row for family in families for row in _rows(family, family.shown(self._rule.reported))]
        order = sorted(range(len(members)), key=lambda at: members[at].index)
        self._keep(
            [members[at] for at in order],
            [sums[at] for at in order],
            [reported[at] for at in order],
            finite,
            self._rule.ratios,
        )


def _sums(families: Sequence[Family], want: Want, before: list[Tensors]) -> list[Tensors]:
    """Take sums over every tensor, and over all its shards; add them to those of the rounds before."""
    names = [family.look(want) for family in families]
    if any(family.is_sharded for family in families):
        width = max(len(given) for given in names)
        tables = [_to(family.sums[:, :width], families[0]) for family in families]
        members = [member for family in families for member in family.members]
        whole = sum_over_shards(torch.cat(tables), members)
        pieces = torch.split(whole, [len(family.members) for family in families])
        parts = [_to(table, family) for table, family in zip(pieces, families, strict=True)]
    else:
        parts = [family.sums for family in families]
    return [
        {**known, **family.named_sums(given, part)}
        for known, family, given, part in zip(before, families, names, parts, strict=True)
    ]


def _whole(columns: Sequence[torch.Tensor], families: Sequence[Family]) -> torch.Tensor:
    """Sum columns of all families, 0-d."""
    return _joined(columns, families).sum()


def _joined(columns: Sequence[torch.Tensor], families: Sequence[Family]) -> torch.Tensor:
    """Put the columns of all families below one another, on the device of the first."""
    if len(columns) == 1:
        return columns[0]
    return torch.cat([_to(column, families[0]) for column in columns])


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


def refuse_transforms(optimizer: torch.optim.Optimizer) -> None:
    """Refuse a step inside ``torch.func``'s transforms.

    Raises
    ------
    UnsupportedError
        Inside ``grad``, ``vmap``, ``jvp`` or another of them.
    """
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedError(
            f"cannot take a step of {type(optimizer).__name__} inside a torch.func transform: a step changes parameters"
            " and state in place, and a transform would lose or mix those changes; compute gradients inside, store them"
            " in .grad, and call step() outside"
        )


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


def is_phantom(member: HasGroup) -> bool:
    """Tell whether a step of a parameter can change nothing: rate 0 and gradient 0.

    Only ever asked of an optimizer without state, so its wait for the device happens once in a life, if at all.
    """
    assert member.param.grad is not None
    return float(member.group["lr"]) == 0.0 and not bool(member.param.grad.any())
