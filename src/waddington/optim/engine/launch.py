"""What the engine has compiled: a phase of a rule's step, as a function of plain tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from waddington.optim.engine.noise import Frame, coordinates, random_words
from waddington.optim.engine.phases import BoundRule, StatsSpec, UpdateSpec, apply_update, collect_stats
from waddington.optim.kernels.spec import KernelSpec
from waddington.optim.moments import Numbers
from waddington.optim.rule import Tensors

__all__ = ["PhaseFunction", "spec_of"]


@dataclass(frozen=True)
class PhaseFunction:
    """A phase for one tensor, as a kernel's function (:data:`waddington.optim.kernels.spec.Function`).

    Attributes
    ----------
    bound, phase
        What is done.
    scalars
        Names of the scalars, each with its place in the row that the kernel is given.
    buffers
        Names of the buffers.
    rounds
        Whether anything is rounded stochastically.
    is_cut
        Whether tensors may be shards that are cut along another dimension than the first, so that their coordinates are
        not neighbours in the whole tensor.
    """

    bound: BoundRule
    phase: StatsSpec | UpdateSpec
    scalars: tuple[tuple[str, int], ...]
    buffers: tuple[str, ...]
    rounds: bool
    is_cut: bool = False

    def __call__(
        self,
        value: torch.Tensor,
        grad: torch.Tensor,
        buffers: Sequence[torch.Tensor],
        row: Sequence[torch.Tensor] | torch.Tensor,
        noise: Sequence[torch.Tensor],
    ) -> Tensors:
        """Do the phase by torch's operations; give the sums by name, 0-d."""
        named = dict(zip(self.buffers, buffers, strict=True))
        scalars: Numbers = {name: row[place] for name, place in self.scalars}

        def total(term: torch.Tensor) -> torch.Tensor:
            return term.to(self.bound.dtype).sum()

        if isinstance(self.phase, StatsSpec):
            return collect_stats(self.bound, self.phase, value, grad, named, scalars, total)[0]
        size = row[dict(self.scalars)["size"]] if self.phase.uses_sums else None
        words = None
        if self.rounds:
            salt, *frame = noise
            index = torch.arange(value.numel(), device=value.device)
            # Processors do not divide several integers at once, and only shards need it.
            places = coordinates(index, Frame(*frame)) if self.is_cut else index + frame[2]  # type: ignore[arg-type]
            words = random_words(places, salt)
        return apply_update(self.bound, self.phase, value, grad, named, scalars, total, _same, size=size, words=words)


def _same(found: torch.Tensor) -> torch.Tensor:
    return found


def spec_of(function: PhaseFunction, value: torch.Tensor, buffers: Tensors) -> KernelSpec:
    """Give the spec of the kernel that does a phase for tensors as this one is, with its buffers."""
    dtypes = tuple(buffers[name].dtype for name in function.buffers)
    return KernelSpec(function, value.device.type, value.dtype, dtypes, function.bound.dtype, function.rounds)
