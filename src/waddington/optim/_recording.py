"""Diagnostics: what an optimizer did in its last step, kept on the device and read when somebody asks.

Figures that cost nothing (the switched rate, skipped steps) are always there. Those that cost a pass over the tensors
are taken between ``record()`` and ``record(False)``, and for all optimizers the same way: sums over each tensor,
reduced over shards with the others of their step, and turned into ratios on the host when they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from waddington.optim._rule import Tensors
from waddington.optim._slots import Slot, stack, statistics_dtype, sum_over_shards

__all__ = ["Recorded", "Recording", "common_sums"]

_SUMS = ("update_sq", "grad_sq", "param_sq", "update_grad")


@dataclass(slots=True)
class Recording:
    """Statistics of the last step.

    Attributes
    ----------
    names
        A name for each tensor that took part.
    sizes
        Their numbers of coordinates.
    columns
        Statistics on the device, each of shape (tensors,); sums over coordinates are not yet divided by anything.
    means
        Which of the columns are sums over coordinates that are shown as means.
    ratios
        Figures that are the quotient of two columns, which are then not shown themselves.
    """

    names: list[str]
    sizes: list[int]
    columns: Tensors
    means: tuple[str, ...]
    ratios: Mapping[str, tuple[str, str]]

    def figures(self, sums: Mapping[str, float], size: int, tensors: int) -> dict[str, float]:
        """Turn sums over `tensors` tensors with `size` coordinates into figures."""
        found = {
            name: value / max(size if name in self.means else tensors, 1)
            for name, value in sums.items()
            if name not in _SUMS and not any(name in pair for pair in self.ratios.values())
        }
        for name, (above, below) in self.ratios.items():
            found[name] = sums[above] / sums[below] if sums[below] else 0.0
        update, grad, param = (max(sums[name], 0.0) ** 0.5 for name in ("update_sq", "grad_sq", "param_sq"))
        found["update_ratio"] = update / param if param else 0.0
        found["update_cosine"] = sums["update_grad"] / (update * grad) if update * grad else 0.0
        return found


def common_sums(update: torch.Tensor, grad: torch.Tensor, param: torch.Tensor) -> Tensors:
    """Give the sums behind the figures that every optimizer has: update/parameter ratio, cosine to the descent.

    Parameters
    ----------
    update
        What the step subtracts from the parameter; a common factor does not matter for the cosine.
    grad, param
        Gradient (of what is minimized) and parameter before the step, of the same shape.
    """
    return {
        "update_sq": update.square().sum(),
        "grad_sq": grad.square().sum(),
        "param_sq": param.square().sum(),
        "update_grad": (update * grad).sum(),
    }


class Recorded:
    """What an optimizer of this package shows of itself."""

    param_groups: list[dict[str, Any]]
    _recording_on: bool = False
    _last: Recording | None = None

    def record(self, on: bool = True) -> None:
        """Take the statistics that cost a pass over the tensors from the next step on, or stop.

        Off at first, and then costs nothing. It is no part of the state: neither saved nor copied.
        """
        self._recording_on = on
        self._last = self._last if on else None

    def diagnostics(self) -> dict[str, float]:
        """Read what the optimizer is doing; waits for the device, once for all figures.

        Returns
        -------
        dict
            ``base_rate`` (of the first group: its ``lr``, or under a switch what was chosen at the last step),
            ``skipped_steps`` (left out for a non-finite
            gradient) and, under a base-rate switch, ``statistic``, ``large_rate_fraction`` and ``mean_rate`` (over all
            steps taken). After :meth:`record` also, of the last step and over the whole model: ``update_ratio``
            (‖update‖/‖parameters‖), ``update_cosine`` (of update and gradient; 1 is steepest descent) and the
            optimizer's own, as means over its tensors or coordinates.
        """
        figures = self._figures()
        if self._last is None:
            return figures
        table = [row for row, size in zip(_read(self._last), self._last.sizes, strict=True) if size]
        sums = {name: sum(row[name] for row in table) for name in self._last.columns}
        return {**figures, **self._last.figures(sums, sum(self._last.sizes), len(table))}

    def tensor_diagnostics(self) -> dict[str, dict[str, float]]:
        """Read the figures of the last step for each tensor; empty unless :meth:`record` was called before it.

        Returns
        -------
        dict
            By name (from ``named_parameters()``, or group and place): the figures of :meth:`diagnostics` that a single
            tensor has.
        """
        if self._last is None:
            return {}
        rows = zip(self._last.names, self._last.sizes, _read(self._last), strict=True)
        return {name: self._last.figures(row, size, 1) for name, size, row in rows}

    def _figures(self) -> dict[str, float]:
        """Give the figures that are always there."""
        return {}

    def _keep(
        self,
        slots: Sequence[Slot],
        sums: list[Tensors],
        reported: Tensors,
        finite: torch.Tensor | None,
        ratios: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """Reduce and keep the statistics of a step, unless it is being skipped.

        Parameters
        ----------
        slots
            Those that took part.
        sums
            Sums over the local part of each.
        reported
            Statistics that are reduced already, each of shape (tensors,).
        finite
            False (0-d) keeps the last ones.
        ratios
            As in :class:`Recording`.
        """
        names = _names(self.param_groups)
        table = sum_over_shards(stack([list(row.values()) for row in sums]), slots)
        columns = dict(zip(sums[0], table.unbind(1), strict=True)) | reported
        dtype = statistics_dtype(table.device)
        columns = {name: column.to(device=table.device, dtype=dtype) for name, column in columns.items()}
        last = self._last
        if finite is not None and last is not None and last.sizes == [slot.size for slot in slots]:
            keep = finite.to(table.device)
            columns = {name: torch.where(keep, column, last.columns[name]) for name, column in columns.items()}
        means = tuple(name for name in sums[0] if name not in _SUMS)
        sizes = [slot.size for slot in slots]
        self._last = Recording([names[slot.index] for slot in slots], sizes, columns, means, ratios or {})


def _names(groups: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for index, group in enumerate(groups):
        found += group.get("param_names") or [f"{index}.{place}" for place in range(len(group["params"]))]
    return found


def _read(recording: Recording) -> list[dict[str, float]]:
    rows = torch.stack(list(recording.columns.values()), dim=1).tolist()
    return [dict(zip(recording.columns, row, strict=True)) for row in rows]
