"""Diagnostics: what an optimizer did in its last step, kept on the device and read when somebody asks.

Figures that cost nothing (the switched rate, skipped steps) are always there. Those that cost a pass over the tensors
are taken between ``record()`` and ``record(False)``, and for all optimizers the same way: sums over each tensor,
reduced over shards with the others of their step, and turned into ratios on the host when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from waddington.optim.engine.params import HasParam, stack, statistics_dtype, sum_over_shards
from waddington.optim.rule import Tensors

__all__ = ["Recordable", "Recorded", "Recording", "common_terms", "per_tensor"]


class Recordable(HasParam, Protocol):
    """One parameter of a step."""

    @property
    def index(self) -> int:
        """Its place among all parameters."""
        ...

    @property
    def size(self) -> int:
        """Its number of coordinates, over all shards."""
        ...


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
        Statistics on the device, each of shape (tensors,); zero where a tensor has no such statistic.
    summed, reported
        Which of them each tensor has: as sums over its coordinates, which are shown as means, and as they are shown.
        Tensors may differ, as the settings of their groups do.
    ratios
        Figures that are the quotient of two sums, which are then not shown themselves.
    """

    names: list[str]
    sizes: list[int]
    columns: Tensors
    summed: list[frozenset[str]]
    reported: list[frozenset[str]]
    ratios: Mapping[str, tuple[str, str]]

    def read(self) -> list[dict[str, float]]:
        """Fetch the statistics of each tensor, all at once."""
        rows = torch.stack(list(self.columns.values()), dim=1).tolist()
        has = [summed | reported for summed, reported in zip(self.summed, self.reported, strict=True)]
        return [
            {name: value for name, value in zip(self.columns, row, strict=True) if name in names}
            for row, names in zip(rows, has, strict=True)
        ]

    def figures(self, rows: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
        """Turn the statistics of some tensors, by their place, into figures of them all."""
        sums: dict[str, float] = {}
        found: dict[str, float] = {}
        hidden = {*_SUMS, *(part for pair in self.ratios.values() for part in pair)}
        for name in self.columns:
            values = {at: row[name] for at, row in rows.items() if name in row}
            sums[name] = sum(values.values())
            if not values or name in hidden:
                continue
            if all(name in self.summed[at] for at in values):
                found[name] = sums[name] / max(sum(self.sizes[at] for at in values), 1)
            else:
                each = [v / max(self.sizes[at], 1) if name in self.summed[at] else v for at, v in values.items()]
                found[name] = sum(each) / len(each)
        for name, (above, below) in self.ratios.items():
            found[name] = sums[above] / sums[below] if sums[below] else 0.0
        update, grad, param = (max(sums[name], 0.0) ** 0.5 for name in ("update_sq", "grad_sq", "param_sq"))
        found["update_ratio"] = update / param if param else 0.0
        found["update_cosine"] = sums["update_grad"] / (update * grad) if update * grad else 0.0
        return found


def common_terms(update: torch.Tensor, grad: torch.Tensor, param: torch.Tensor) -> Tensors:
    """Give the terms of the sums behind what every optimizer shows: update/parameter ratio, cosine to the descent.

    Parameters
    ----------
    update
        What the step subtracts from the parameter; a common factor does not matter for the cosine.
    grad, param
        Gradient (of what is minimized) and parameter before the step, of the same shape.
    """
    return {
        "update_sq": update.square(),
        "grad_sq": grad.square(),
        "param_sq": param.square(),
        "update_grad": update * grad,
    }


def per_tensor(columns: Tensors, count: int) -> list[Tensors]:
    """Turn columns, which have one entry per tensor, into one dictionary per tensor."""
    rows: list[Tensors] = [{} for _ in range(count)]
    for name, column in columns.items():
        for row, entry in zip(rows, column.unbind(), strict=True):
            row[name] = entry
    return rows


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
            ``skipped_steps`` (left out for non-finite gradients), ``masked_coordinates`` (left out one by one, over all
            steps) and, under a base-rate switch, ``statistic``, ``large_rate_fraction`` and ``mean_rate`` (over all
            steps taken). After :meth:`record` also, of the last step and over the whole model: ``update_ratio``
            (‖update‖/‖parameters‖), ``update_cosine`` (of update and gradient; 1 is steepest descent) and the
            optimizer's own, as means over its tensors or coordinates.
        """
        figures = self._figures()
        if self._last is None:
            return figures
        rows = {at: row for at, row in enumerate(self._last.read()) if self._last.sizes[at]}
        return {**figures, **self._last.figures(rows)}

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
        rows = enumerate(self._last.read())
        return {self._last.names[at]: self._last.figures({at: row}) for at, row in rows}

    def _figures(self) -> dict[str, float]:
        """Give the figures that are always there."""
        return {}

    def _keep(
        self,
        slots: Sequence[Recordable],
        sums: list[Tensors],
        reported: list[Tensors],
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
            Statistics of each whole tensor, 0-d.
        finite
            False (0-d) keeps the last ones.
        ratios
            As in :class:`Recording`.
        """
        names = _names(self.param_groups)
        columns = _columns(sums, lambda table: sum_over_shards(table, slots))
        for name, column in _columns(reported, lambda table: table).items():
            columns[name] = columns[name] + column.to(columns[name]) if name in columns else column
        device = next(iter(columns.values())).device
        dtype = statistics_dtype(device)
        columns = {name: column.to(device=device, dtype=dtype) for name, column in columns.items()}
        last = self._last
        if finite is not None and last is not None and last.sizes == [slot.size for slot in slots]:
            keep = finite.to(device)
            columns = {name: torch.where(keep, column, last.columns[name]) for name, column in columns.items()}
        self._last = Recording(
            [names[slot.index] for slot in slots],
            [slot.size for slot in slots],
            columns,
            [frozenset(row) for row in sums],
            [frozenset(row) for row in reported],
            ratios or {},
        )


def _columns(rows: Sequence[Tensors], reduce: Callable[[torch.Tensor], torch.Tensor]) -> Tensors:
    """Stack the entries of each name, zero where a row has none."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return {}
    nothing = torch.zeros((), device=next(value for row in rows for value in row.values()).device)
    table = reduce(stack([[row.get(name, nothing) for name in names] for row in rows]))
    return dict(zip(names, table.unbind(1), strict=True))


def _names(groups: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for index, group in enumerate(groups):
        found += group.get("param_names") or [f"{index}.{place}" for place in range(len(group["params"]))]
    return found
