"""Parameters kept in a convex set (:mod:`waddington.optim.projection`), around any optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import torch

from waddington._checks import check_choice
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, is_sharded, local_real, moves_at, named, sum_over_shards
from waddington.optim.engine.settings import NonfiniteUnmasked
from waddington.optim.projection import Ball, Box, ConvexSet, SetName, as_set, ball_multiplier, shrink_to_center
from waddington.optim.rule import Settings
from waddington.optim.wrappers.base import OptimizerWrapper

__all__ = ["Projected"]

Metric = Literal["euclidean", "denominator"]
"""In which norm the nearest point is meant."""
_SECOND = ("max_exp_avg_sq", "exp_avg_sq", "square_avg", "sum")
"""What an optimizer divides by a root of, first found first: AMSGrad's, Adam's, RMSprop's, Adagrad's."""


class Projected(OptimizerWrapper):
    """Keep parameters in a convex set: after each step they go to the nearest point of it.

    ``Projected(torch.optim.Adam(params), "nonnegative")``, ``Projected(ASGDAdam(params), Box(0.0, 1.0))``. Theorem 1
    of the ASGDAdam paper takes its iterates from a set of bounded diameter, and its Lemma 2 is that projecting in the
    norm of the denominator brings no two points further apart: ``metric="denominator"``.

    Parameters
    ----------
    optimizer
        What takes the steps; its groups may override `onto`, with None for parameters that are free.
    onto
        A set of :mod:`waddington.optim.projection`: ``Box(low, high)``, ``Ball(radius)``, ``Simplex(total)`` or
        ``Nonnegative()``; or ``"nonnegative"``, ``"ball"`` or ``"simplex"`` for those of size 1.
    metric
        In which norm the nearest point is meant. ``"euclidean"``; or ``"denominator"``, weighted by what the optimizer
        divides its steps by, ``√v̂ + ε`` of the moment in its state (``v̂^p + ε`` for Padam's power). A box and the
        nonnegative numbers are the same in both.
    nonfinite
        See :class:`~.state.WrapperState`.

    Raises
    ------
    ArgumentError
        `onto` is no set, or bounds or a dimension do not fit a parameter.
    UnsupportedError
        A parameter is complex, or sharded where the set needs all of it; the optimizer projects already; or (at the
        first step) has no denominator.

    Notes
    -----
    Parameters may start outside: the first step brings them in, and :meth:`project` does at once. Those without a
    gradient, or at rate 0, stay where they are. In float32 and below they are in the set up to rounding. The moments
    are left alone, as in the papers. Put it outermost, or inside a ``Lookahead``, whose means stay in the set if the
    parameters start there (:meth:`project`).
    """

    _own = ("onto", "metric")

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        onto: ConvexSet | SetName | Mapping[str, Any] | None,
        *,
        metric: Metric = "euclidean",
        nonfinite: NonfiniteUnmasked = "skip",
    ) -> None:
        super().__init__(optimizer, {"onto": onto, "metric": metric}, nonfinite=nonfinite)

    def _completed(self, group: dict[str, Any], settings: Settings, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        full = {**settings, **group}
        # Plain values, which torch.load(weights_only=True) reads.
        return full | {"onto": None if full["onto"] is None else as_set(full["onto"]).described()}

    def _check_own(self, settings: Settings) -> None:
        check_choice("metric", settings["metric"], get_args(Metric))
        if settings["onto"] is None:
            return
        onto, params = as_set(settings["onto"]), settings["params"]
        for param in [params] if isinstance(params, torch.Tensor) else list(params):
            param = param[1] if isinstance(param, tuple) else param
            _check_fit(onto, param, settings)

    @torch.no_grad()
    def project(self) -> None:
        """Bring all parameters into their sets now, in the Euclidean norm."""
        for group_index, group in enumerate(self.param_groups):
            if group["onto"] is not None:
                slots = [ParamSlot(param, group, group_index, 0, {}) for param in group["params"]]
                self._project(self._set_of(group_index), slots, None)

    @cached_property
    def _sets(self) -> dict[int, tuple[dict[str, Any], ConvexSet]]:
        """Sets by the place of their group, with what they were made of; no part of the state."""
        return {}

    def _set_of(self, group_index: int) -> ConvexSet:
        """Give a group's set, made once: checking bounds that are tensors waits for their device."""
        onto, (known, made) = self.param_groups[group_index]["onto"], self._sets.get(group_index, ({}, None))
        if made is None or known.keys() != onto.keys() or any(known[name] is not onto[name] for name in onto):
            made = as_set(onto)
            self._sets[group_index] = dict(onto), made
        return made

    def _around(self, slots: list[ParamSlot]) -> None:
        parts = self._parts(slots)
        # What an optimizer divides by is known from its state, which the first step makes.
        is_first = any(part.weighted for part in parts) and not any(self.state.values())
        before = [slot.value.clone() for slot in slots] if is_first else []
        self._inner_step()
        if self._finite is not None and host_sync_is_free(self._finite.device) and not bool(self._finite):
            return
        try:
            weights = [[self._denominator(slot) for slot in part.slots] if part.weighted else None for part in parts]
        except UnsupportedError:
            if is_first:  # nothing has been done
                self.state.clear()
                for slot, value in zip(slots, before, strict=True):
                    slot.value.copy_(value)
            raise
        for part, weight in zip(parts, weights, strict=True):
            self._project(part.onto, part.slots, weight)

    def _parts(self, slots: Sequence[ParamSlot]) -> list[_Part]:
        """Say what is to be projected, group by group; a rate of 0 moves nothing."""
        found = []
        for group_index, group in enumerate(self.param_groups):
            chosen = [slot for slot in slots if slot.group_index == group_index]
            if group["onto"] is None or not chosen or (not isinstance(group["lr"], torch.Tensor) and not group["lr"]):
                continue
            onto = self._set_of(group_index)
            weighted = group["metric"] == "denominator" and not onto.is_elementwise
            if isinstance(onto, Ball) and onto.over == "group":
                chosen = self._whole_group(chosen, group_index, group, weighted=weighted)
            found.append(_Part(onto, chosen, weighted))
        return found

    def _whole_group(
        self, slots: list[ParamSlot], group_index: int, group: dict[str, Any], *, weighted: bool
    ) -> list[ParamSlot]:
        """Give slots of all parameters of a group: those without a gradient are part of its point, too."""
        known = {id(slot.param): slot for slot in slots}
        missing = [param for param in group["params"] if id(param) not in known]
        if missing and weighted:
            raise UnsupportedError(
                f"cannot project group {group_index} onto one ball in the norm of the denominator:"
                f" {named(missing[0], group, group_index)} has no gradient; accepted are gradients of all its"
                " parameters, metric='euclidean' and over='tensor'"
            )
        return [known.get(id(param)) or ParamSlot(param, group, group_index, 0, {}) for param in group["params"]]

    def _project(self, onto: ConvexSet, slots: Sequence[ParamSlot], weights: Sequence[torch.Tensor] | None) -> None:
        """Move parameters of one group into their set."""
        values = [slot.value.to(torch.promote_types(slot.value.dtype, torch.float32)) for slot in slots]
        if isinstance(onto, Ball):
            projected = _onto_ball(onto, slots, values, weights)
        else:
            each = weights if weights is not None else [None] * len(values)
            projected = [onto.project(x, weight) for x, weight in zip(values, each, strict=True)]
        for slot, new in zip(slots, projected, strict=True):
            goes = self._goes(slot)
            slot.value.copy_(new if goes is None else torch.where(goes, new, slot.value.to(new.dtype)))

    def _goes(self, slot: ParamSlot) -> torch.Tensor | None:
        """Tell, on the device, whether a parameter has been stepped; None where the host knows that it has."""
        rate = slot.group["lr"]
        moves = moves_at(rate, slot.value.device) if isinstance(rate, torch.Tensor) else None
        if self._finite is None or host_sync_is_free(self._finite.device):
            return moves
        finite = self._finite.to(slot.value.device)
        return finite if moves is None else moves & finite

    def _denominator(self, slot: ParamSlot) -> torch.Tensor:
        """Give what the optimizer divides a parameter's step by; a common factor would not matter."""
        state, group = self.state.get(slot.param, {}), slot.group
        name = next((name for name in _SECOND if isinstance(state.get(name), torch.Tensor)), None)
        if name is None:
            raise UnsupportedError(
                f"cannot project in the norm of the denominator of {type(self.innermost).__name__}: that is a root of a"
                f" second moment, and its state holds {self._held(slot.param)}; accepted are optimizers that keep"
                f" {', '.join(_SECOND)}, and metric='euclidean'"
            )
        second = local_real(state[name]).to(slot.grad.dtype)
        if name.endswith("exp_avg_sq") and group.get("bias_correction", True) and "step" in state:
            step = torch.as_tensor(state["step"], dtype=second.dtype, device=second.device)
            second = second / (1.0 - group["betas"][1] ** step)
        power = group.get("p", 0.5)
        root: torch.Tensor = second.sqrt() if power == 0.5 else second.pow(power)
        root = root + group.get("eps", 0.0)
        return root.clamp_min(torch.finfo(root.dtype).tiny)


class _Part(NamedTuple):
    """Parameters that go to one set, and whether the optimizer's denominator says which of its points is nearest."""

    onto: ConvexSet
    slots: list[ParamSlot]
    weighted: bool


def _check_fit(onto: ConvexSet, param: torch.Tensor, settings: Settings) -> None:
    """Check that a parameter can be projected onto a set."""
    shape = tuple(param.shape)
    if param.is_complex():
        raise UnsupportedError(
            f"cannot project a complex parameter, of shape {shape}: sets are of real numbers; accepted are real"
            " parameters, and onto=None for the group of this one"
        )
    if isinstance(onto, Box | Ball):
        for name in ("low", "high", "center"):
            bound = getattr(onto, name, 0.0)
            if isinstance(bound, torch.Tensor) and not _broadcasts(bound.shape, shape):
                raise ArgumentError(f"cannot use {name} of shape {tuple(bound.shape)} for a parameter of shape {shape}")
    dim = getattr(onto, "dim", None)
    if dim is not None and not -param.dim() <= dim < param.dim():
        raise ArgumentError(f"cannot use dim={dim} for a parameter of shape {shape}: it has {param.dim()} dimensions")
    if is_sharded(param) and not _goes_by_shards(onto, settings):
        raise UnsupportedError(
            f"cannot project a sharded parameter, of shape {shape}, onto a {onto.kind} in this way: each process has"
            " a part of it; accepted are the nonnegative numbers, a box between numbers, and a ball around a number"
            " with metric='euclidean'"
        )


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(to), strict=False))


def _goes_by_shards(onto: ConvexSet, settings: Settings) -> bool:
    if any(isinstance(getattr(onto, name, None), torch.Tensor) for name in ("low", "high", "center")):
        return False
    return onto.is_elementwise or (isinstance(onto, Ball) and settings["metric"] == "euclidean")


def _onto_ball(
    onto: Ball, slots: Sequence[ParamSlot], values: Sequence[torch.Tensor], weights: Sequence[torch.Tensor] | None
) -> list[torch.Tensor]:
    center = onto.center
    centers = [center.to(x) if isinstance(center, torch.Tensor) else center for x in values]
    distances = [x - own for x, own in zip(values, centers, strict=True)]
    each = weights if weights is not None else [None] * len(values)
    if any(is_sharded(slot.param) for slot in slots):  # Euclidean, as has been checked
        squares = sum_over_shards(torch.stack([d.square().sum() for d in distances])[:, None], slots)[:, 0]
        lengths = squares.sum().sqrt().expand(len(slots)) if onto.over == "group" else squares.sqrt()
        multipliers = list((lengths / onto.radius - 1.0).clamp_min(0.0))
    elif onto.over == "group":
        multipliers = [ball_multiplier(distances, weights, onto.radius)] * len(values)
    else:
        multipliers = [
            ball_multiplier([d], None if weight is None else [weight], onto.radius)
            for d, weight in zip(distances, each, strict=True)
        ]
    return [
        shrink_to_center(x, own, weight, multiplier.to(x))
        for x, own, weight, multiplier in zip(values, centers, each, multipliers, strict=True)
    ]
