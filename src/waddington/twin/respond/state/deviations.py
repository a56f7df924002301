"""Effects that differ between groups of cells, such as cell types, each shrunk towards the shared effect.

The deviation of a group's effect from the shared one is freed of sampling noise by a mixture of normal priors around 0,
which all groups and features of a condition choose together (:mod:`~waddington.twin.respond.denoising`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize

from waddington.twin.respond.denoising import posterior_means
from waddington.twin.respond.measured import Measured
from waddington.twin.respond.state.components import Components, joined

__all__ = ["Deviations"]

Array = npt.NDArray[np.float64]

_SUM = 100.0
"""Weight of the condition that shares sum to 1, beside distances in units of the largest coordinate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Deviations:
    """What each group's effects have beside the shared ones."""

    groups: tuple[str, ...]
    centers: Array
    """Mean state of each group's controls, (groups, components)."""
    tables: Mapping[str, Array]
    """Of each condition, (groups, features): zeros for a group that does not show it."""

    @classmethod
    def fit(cls, components: Components, by_group: Mapping[str, Measured], shared: Mapping[str, Array]) -> Self:
        """Measure and shrink.

        Parameters
        ----------
        components
            What states are.
        by_group
            What each group's training cells show.
        shared
            Effect that all groups have in common, by condition, (features,).
        """
        groups = tuple(by_group)
        each = list(by_group.values())
        controls = np.stack([joined({m: table.mean[0] for m, table in one.tables.items()}) for one in each])
        pooled = [joined({m: one.pooled_variance(m) for m in one.tables}) for one in each]
        effects = [joined({m: one.effects(m) for m in one.tables}) for one in each]
        tables = {}
        for label, effect in shared.items():
            held = [g for g, one in enumerate(each) if label in one.row]
            found = np.zeros((len(groups), len(effect)))
            if held:
                rows = [each[g].row[label] for g in held]
                raw = [effects[g][row] - effect for g, row in zip(held, rows, strict=True)]
                noise = [pooled[g] * (1 / each[g].n[row] + 1 / each[g].n[0]) for g, row in zip(held, rows, strict=True)]
                sd = [np.sqrt(pooled[g]) for g in held]
                shrunk = posterior_means(*(np.concatenate(one) for one in (raw, noise, sd)))
                found[held] = shrunk.reshape(len(held), -1)
            tables[label] = found
        return cls(groups=groups, centers=components.states(controls), tables=tables)

    def change(self, measured: Mapping[str, float], states: Array, groups: npt.NDArray[np.str_] | None = None) -> Array:
        """Give what the effect on cells has beside the shared one.

        Parameters
        ----------
        measured
            Weight of the condition itself if it was measured, else of the measured ones that it is made of.
        states
            (cells, components).
        groups
            Of the cells, (cells,). One that was never measured has the shared effect. Default: each state is taken as a
            mixture of the groups' mean control states, the nearest there is.

        Returns
        -------
        ndarray
            Of joined profiles, (cells, features).
        """
        n_features = next(iter(self.tables.values())).shape[1]
        total = np.zeros((len(self.groups), n_features))
        for label, weight in measured.items():
            if label in self.tables:
                total += weight * self.tables[label]
        if groups is None:
            return self._mixtures(states) @ total
        return np.asarray((groups[:, None] == np.array(self.groups)) @ total)

    def _mixtures(self, states: Array) -> Array:
        """Give the shares of groups whose mixture lies nearest to each state, (cells, groups), by least squares."""
        size = max(float(np.abs(self.centers).max()), 1e-12)
        sides = np.vstack([self.centers.T / size, np.full(len(self.groups), _SUM)])
        shares = np.stack([optimize.nnls(sides, np.append(state / size, _SUM))[0] for state in states])
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors and strings."""
        return {
            "form": "by group",
            "groups": list(self.groups),
            "centers": torch.from_numpy(self.centers.copy()),
            "tables": {label: torch.from_numpy(table.copy()) for label, table in self.tables.items()},
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make it from what :meth:`state_dict` gave."""
        return cls(
            groups=tuple(state["groups"]),
            centers=state["centers"].numpy().copy(),
            tables={label: table.numpy().copy() for label, table in state["tables"].items()},
        )
