"""What is measured for Tables II and III: cells, rows, protocols, regimes, seeds, and at which rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from waddington._checks import check_choice, check_count
from waddington.errors import ArgumentError
from waddington.twin.plan.agent.config import UPDATES, Update
from waddington.twin.run.config import RunConfig
from waddington.twin.run.optimizers import PAPER_BETA2_GRID, PAPER_GRID, PAPER_P_GRID, OptimizerSetting
from waddington.twin.run.search import Point, points
from waddington.twin.tables.embeddings import PROTOCOLS, Protocol
from waddington.twin.tables.rows import ROWS, Row
from waddington.twin.tables.sources import CellSource

__all__ = ["TablesConfig"]

_TUNING = 10_000
"""From the first seed to that of the search."""


@dataclass(frozen=True, kw_only=True)
class TablesConfig:
    """The experiment; its defaults are section IV.A of the paper.

    Raises
    ------
    ArgumentError
        When a number lies outside its range, two rows, cells, protocols or regimes are one, or a search has no rates.
    """

    cells: tuple[CellSource, ...] = (CellSource.simulated(),)
    """Cells that tables are made on, one after the other."""
    rows: tuple[Row, ...] = ROWS
    """Contestants; the policies that are not trained stand beside them in every table."""
    protocols: tuple[Protocol, ...] = PROTOCOLS
    """``"paper"``, ``"held-out"``, or both."""
    regimes: tuple[int, ...] = (1, 2)
    """Most random perturbations at once: 1 is Table II, 2 Table III."""
    seeds: int = 10
    """Runs of each row; they are the unit of every interval."""
    seed: int = 0
    """First of the seeds."""
    steps: int = 50_000
    """Transitions that an agent is trained for."""
    episodes: int = 30
    """Episodes that it is judged on."""
    horizon: int = 1000
    """Most steps of an episode."""
    net: tuple[int, ...] = (256,) * 6
    """Hidden layers of policy and value net, tanh."""
    batch_size: int = 64
    """Transitions in a mini-batch."""
    n_envs: int = 8
    """Cells that an agent moves at once in training; a rollout is of 2,048 transitions over all of them."""
    eps: float = 1e-8
    """Added to the denominator, of every optimizer that has one."""
    given: bool = True
    """Whether rows are run at the rates that they name."""
    tuned: bool = False
    """Whether rows are run at rates that a search chose, with as many trials for each of them."""
    lr_grid: tuple[float, ...] = PAPER_GRID
    """Rates of the search."""
    beta2_grid: tuple[float, ...] = PAPER_BETA2_GRID
    """Decays of the second moment that are searched with them."""
    p_grid: tuple[float, ...] = PAPER_P_GRID
    """Powers of Padam that are searched with them."""
    trials: int = 21
    """Trials of each row for each kind of cells and protocol, in the last regime, on a seed that is not evaluated."""
    encoder_epochs: int = 50
    """Passes of the encoder's training in the held-out protocol."""
    encoders: int = 0
    """Encoders that are trained in the held-out protocol; seeds take turns at them. 0: one for each seed."""
    update: Update = "written-out"
    """How PPO's gradient is computed."""
    anisotropy: bool = False
    """Whether second moments, gradients and Hessian are measured along each training; a tenth more time."""

    def __post_init__(self) -> None:
        _check_named("cells", self.cells, CellSource)
        _check_named("rows", self.rows, Row)
        for what in ("protocols", "regimes", "net", "lr_grid", "beta2_grid", "p_grid"):
            if not isinstance(values := getattr(self, what), tuple):
                raise ArgumentError(f"cannot use {what}={values!r}: accepted is a tuple")
            if what != "net" and len(set(values)) < len(values):
                raise ArgumentError(f"cannot use {what}={values!r}: accepted is each once")
        for protocol in self.protocols:
            check_choice("protocols", protocol, PROTOCOLS)
        for regime in self.regimes:
            check_count("regimes", regime, 1)
        if not self.protocols or not self.regimes or not (self.given or self.tuned):
            raise ArgumentError("cannot make tables of nothing: accepted are a protocol, a regime, and given or tuned")
        for name in ("given", "tuned", "anisotropy"):
            check_choice(name, getattr(self, name), (False, True))
        if self.tuned and not self.lr_grid:
            raise ArgumentError("cannot use tuned=True with lr_grid=(): accepted are one or more rates to search")
        for name in ("steps", "episodes", "horizon", "n_envs", "trials", "encoder_epochs"):
            check_count(name, getattr(self, name), 1)
        check_count("seeds", self.seeds, 1, _TUNING)  # the seed of the search comes after them
        check_count("seed", self.seed, 0, 2**31 - 1)
        check_count("encoders", self.encoders, 0)
        check_count("batch_size", self.batch_size, 2)
        if not self.net:
            raise ArgumentError("cannot use net=(): accepted is at least one layer")
        for layer in self.net:
            check_count("net", layer, 1)
        check_choice("update", self.update, UPDATES)
        for source in self.cells:
            source.config()  # refuses what reading and simulating refuse
        self._settings()  # refuses arguments that an optimizer refuses

    @property
    def evaluation_seeds(self) -> tuple[int, ...]:
        """Seeds that results are reported on."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def tuning_seed(self) -> int:
        """The seed of the search; never one that is evaluated."""
        return self.seed + _TUNING

    def given_point(self, row: Row) -> Point:
        """Give the rate that a row names."""
        return Point(lr=self._settings().rate(row.optimizer))

    def points(self, row: Row) -> tuple[Point, ...]:
        """Give the points of a row's search."""
        return points(self._settings(), row.optimizer)

    def arguments(self, row: Row, point: Point) -> Mapping[str, Any]:
        """Give all keyword arguments of a row's optimizer at a point."""
        return self._settings().arguments(row.optimizer, point.lr, dict(point.searched))

    def optimizer(self, row: Row) -> str:
        """Name a row's optimizer without its arguments."""
        return OptimizerSetting.of(row.optimizer).optimizer

    def _settings(self) -> RunConfig:
        return RunConfig.of(
            optimizer=[row.optimizer for row in self.rows],
            eps=self.eps,
            lr_grid=self.lr_grid,
            beta2_grid=self.beta2_grid,
            p_grid=self.p_grid,
            trials=self.trials,
        )


def _check_named(what: str, found: Any, kind: type[CellSource] | type[Row]) -> None:
    """Refuse what are no such things, none of them, or two of one name."""
    if not isinstance(found, tuple) or not all(isinstance(one, kind) for one in found):
        raise ArgumentError(f"cannot use {what}={found!r}: accepted is a tuple of {kind.__name__}")
    names = [one.name for one in found]
    if not names or not all(names) or len(set(names)) < len(names):
        raise ArgumentError(f"cannot use {what} {names}: accepted are one or more of different names")
