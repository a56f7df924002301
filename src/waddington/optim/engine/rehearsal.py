"""A rule is run once on two coordinates when an optimizer is made: what could not be run, or runs wrong, is refused.

Tensors are laid end to end, cut into shards and handed to kernels, and a rule must not notice. So its functions of
coordinates may read no value of a tensor, and give for each coordinate what they would give for it alone: a sum over
"the tensor" would be one over whatever is stepped together with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from waddington.errors import ArgumentError
from waddington.optim.engine.names import Flags, Given, listed
from waddington.optim.engine.settings import DEFAULTS
from waddington.optim.rule import Measured, RateControl, Rule, Settings, Tensors

__all__ = ["check_rule"]

_OF_STATES = {"step", "skipped_steps", "masked_coordinates"}
_SCALARS = {"rate", "rate_factor", "size", "taken", "weight_decay"}
_SUMS = {"dropped", "grad_sq", "update_sq", "param_sq", "update_grad", "update_ratio", "update_cosine"}
_MOST_SCALARS, _MOST_SUMS = 40, 16  # so that a kernel's rows have room for the engine's own and a rate control's
_GRADIENT, _DTYPE = (0.5, -2.0), torch.float64


def check_rule(rule: Rule, control: RateControl | None, settings: Settings, passed: set[Any]) -> None:
    """Refuse a rule that cannot be run as the engine runs it.

    Parameters
    ----------
    rule, control
        What is to be run. Of rules that need whole tensors only names are looked at.
    settings
        Of a group.
    passed
        What groups before it were found in order with, to which this is added: one group of a kind is enough.

    Raises
    ------
    ArgumentError
        A name that is none, or that the engine keeps; one that is read and not given. A function of coordinates that
        reads the value of a tensor or is not elementwise, or that gives something else than it is there for.
    """
    settings = Given(settings, "the settings")
    buffers, remembered = (
        _names(f"`{field}`", named(settings))
        for field, named in (("buffers", rule.buffers), ("tensor_scalars", rule.tensor_scalars))
    )
    kept = _OF_STATES | set(DEFAULTS) | set(control.initial(settings) if control is not None else ())
    _refuse("a buffer", buffers, kept | set(remembered))
    _refuse("a remembered number", remembered, kept | _SCALARS)
    scalars = _scalars(rule, remembered, settings)
    _refuse("a number", scalars, (_SCALARS | set(DEFAULTS)))
    kind = (*scalars, *((name, value) for name, value in settings.items() if isinstance(value, bool | str)))
    if not rule.whole_tensor_reason and kind not in passed:
        _Rehearsal(rule, settings, buffers, scalars | dict.fromkeys(_SCALARS & {"rate", "size"}, 1.0)).run()
        passed.add(kind)


def _scalars(rule: Rule, remembered: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Compute what depends on no coordinate, with the step as a number, and as a tensor."""
    first = rule.tensor_scalars_after(_number(0.0), settings)
    for steps in (torch.tensor([3.0], dtype=_DTYPE, device="cpu"), 1.0):
        known = Given({name: first[name].reshape(1) for name in remembered}, "the numbers that `tensor_scalars` names")
        with _Watch("`scalars`", are_coordinates=False):
            found: Any = rule.scalars(steps, known, settings)
    if not isinstance(found, dict):
        raise ArgumentError(f"cannot use what `scalars` gives, a {type(found).__name__}: accepted is a dict of numbers")
    for name, value in found.items():
        if not isinstance(value, Real | torch.Tensor) or (isinstance(value, torch.Tensor) and value.numel() != 1):
            what = f"of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
            raise ArgumentError(f"cannot use what `scalars` gives as {name!r}, {what}: accepted is one number")
    if rule.from_norm is not None and rule.needs_norm(settings):
        found = found | rule.from_norm(_number(1.0), settings)
    return {name: value.reshape(()) if isinstance(value, torch.Tensor) else value for name, value in found.items()}


class _Rehearsal:
    """The functions of coordinates, on two of them."""

    def __init__(self, rule: Rule, settings: Settings, buffers: Sequence[str], scalars: dict[str, Any]) -> None:
        self.rule = rule
        is_flag = {name: isinstance(value, bool | str) for name, value in settings.items()}
        others = {name: value for name, value in settings.items() if not is_flag[name]}
        self.flags = Flags(((name, value) for name, value in settings.items() if is_flag[name]), others)
        self.buffers = buffers
        self.scalars = Given(scalars, "the numbers that `scalars` and `from_sums` give")

    @torch.no_grad()
    def run(self) -> None:
        """Run them from the first step to the second, together and one by one.

        Raises
        ------
        ArgumentError
            See :func:`check_rule`.
        """
        grad = torch.tensor(_GRADIENT, dtype=_DTYPE, device="cpu")
        held = {name: torch.zeros_like(grad) for name in self.buffers}
        first = self._step(grad, held, names=True)
        self.scalars = Given(
            {
                name: torch.as_tensor(value, dtype=_DTYPE, device="cpu").reshape(-1)[0]
                for name, value in self.scalars.items()
            },
            "the numbers that `scalars` and `from_sums` give",
        )
        held |= {name: value for name, value in first.items() if name in held}
        together = self._step(grad, held)
        for at in range(len(grad)):
            alone = self._step(grad[at : at + 1], {name: value[at : at + 1] for name, value in held.items()})
            for name, value in alone.items():
                if not torch.allclose(together[name][at], value[0], rtol=1e-6, atol=1e-12, equal_nan=True):
                    raise ArgumentError(
                        f"cannot use a rule whose {name!r} of one coordinate depends on the others beside it: tensors"
                        " are stepped together and in parts. What is taken over a whole tensor, a sum, a mean, a norm,"
                        " is named in the `terms` of `update_moments` and used in `from_sums`"
                    )

    def _step(self, grad: torch.Tensor, held: Tensors, *, names: bool = False) -> Tensors:
        """Run the functions of one step; give the new buffers, the direction and the terms of sums."""
        rule, flags, given = self.rule, self.flags, grad.clone()
        untouched = grad
        given_buffers: Any = Given(held, "the rule's buffers")
        if rule.prepare is not None:
            with _Watch("`prepare`"):
                grad = _alike("`prepare`", rule.prepare(grad, given_buffers, self.scalars, flags), grad)
        with _Watch("`update_moments`"):
            measured: Any = rule.update_moments(grad, given_buffers, self.scalars, flags)
        if not isinstance(measured, Measured):
            raise ArgumentError(
                f"cannot use what `update_moments` gives, a {type(measured).__name__}: accepted is a Measured, as in"
                " Measured({'exp_avg': ...}, saved={...})"
            )
        if names:
            unnamed = measured.buffers.keys() - held.keys()
            if unnamed:
                raise ArgumentError(f"cannot keep {listed(unnamed)}: `buffers` names {listed(held) or 'none'}")
            self._derive(measured)
        for name, value in measured.buffers.items():
            _alike(f"`update_moments` for {name!r}", value, grad)
        saved: Any = Given(measured.saved, "what `update_moments` saves")
        seen = Measured(measured.buffers, measured.terms, saved)
        after: Any = Given({**held, **measured.buffers}, "the rule's buffers")
        with _Watch("`update`"):
            direction = _alike("`update`", rule.update(grad, seen, after, self.scalars, flags), grad)
        if not torch.equal(untouched, given):
            raise ArgumentError(
                "cannot use a rule that writes into the gradient: it is the user's; compute a new tensor"
            )
        observed: Tensors = {}
        if rule.observe is not None:
            with _Watch("`observe`"):
                observed = rule.observe(direction, seen, after, self.scalars, flags)
        if names:
            self._check_sums(measured, observed)
        return {**measured.buffers, **measured.terms, "direction": direction}

    def _derive(self, measured: Measured) -> None:
        """Draw the conclusions of sums, once: the numbers that follow are the same for each coordinate."""
        _refuse("a sum", _names("`terms`", tuple(measured.terms)), _SUMS)
        self._derived: Tensors = {}
        if self.rule.from_sums is not None:
            sums = {name: term.sum() for name, term in measured.terms.items()}
            totals: Any = Given(sums, "the sums of `update_moments`")
            size = _number(len(_GRADIENT))
            with _Watch("`from_sums`", are_coordinates=False):
                self._derived = self.rule.from_sums(totals, size, self.scalars, self.flags)
            _refuse("a number", self._derived, _SCALARS | _SUMS | set(DEFAULTS) | set(measured.terms))
        self._own = self.scalars.keys() - _SCALARS
        self.scalars.update(self._derived)

    def _check_sums(self, measured: Measured, observed: Tensors) -> None:
        _refuse("a sum", _names("`observe`", tuple(observed)), _SUMS | set(measured.terms) | set(self._derived))
        names: tuple[tuple[str, Collection[str], int], ...] = (
            ("numbers", self._own | self._derived.keys(), _MOST_SCALARS),
            ("sums", [*measured.terms, *observed, *self._derived], _MOST_SUMS),
        )
        for what, found, most in names:
            if len(found) > most:
                raise ArgumentError(f"cannot use a rule of {len(found)} {what}: {most} or fewer are accepted")


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuse that a function reads the value of a tensor, or makes one of another shape where coordinates are given."""

    def __init__(self, where: str, *, are_coordinates: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._where, self._are_coordinates = where, are_coordinates

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")  # type: ignore[attr-defined]
        if name in ("_local_scalar_dense", "is_nonzero", "item", "equal", "nonzero"):
            raise ArgumentError(
                f"cannot use a rule that reads the value of a tensor in {self._where}, as `if`, float() and .item() do:"
                " a step is taken for many tensors at once. Choose with torch.where, and compute with torch's functions"
            )
        found = func(*args, **(kwargs or {}))
        shapes = [arg.shape for arg in args if isinstance(arg, torch.Tensor) and arg.dim()]
        made = found.shape if isinstance(found, torch.Tensor) else None
        if self._are_coordinates and shapes and made != shapes[0]:
            raise ArgumentError(
                f"cannot use torch's {name} in {self._where} of a rule: it is not elementwise, and tensors are stepped"
                " together and in parts. What is taken over a whole tensor, a sum, a mean, a norm, is named in the"
                " `terms` of `update_moments` and used in `from_sums`"
            )
        return found


def _number(value: float) -> torch.Tensor:
    return torch.full((), value, dtype=_DTYPE, device="cpu")


def _alike(where: str, given: Any, grad: torch.Tensor) -> torch.Tensor:
    if not isinstance(given, torch.Tensor) or given.shape != grad.shape:
        found = f"of shape {tuple(given.shape)}" if isinstance(given, torch.Tensor) else f"a {type(given).__name__}"
        raise ArgumentError(f"cannot use what {where} gives, {found}: accepted is a tensor of the gradient's shape")
    return given


def _names(what: str, given: object) -> tuple[str, ...]:
    """Refuse what is no tuple of identifiers."""
    if not isinstance(given, tuple | list) or not all(isinstance(name, str) and name.isidentifier() for name in given):
        raise ArgumentError(
            f"cannot use {what} = {given!r} of a rule: accepted is a tuple of identifiers, as in ('exp_avg',)"
        )
    return tuple(given)


def _refuse(what: str, names: Iterable[str], kept: set[str]) -> None:
    _names("the names", tuple(names))
    taken = sorted(set(names) & kept)
    if taken:
        raise ArgumentError(
            f"cannot name {what} of a rule {listed(taken)}: names that are in use already are {listed(sorted(kept))}"
        )
