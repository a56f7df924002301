"""Everything a run can be told: one dataclass, three presets, TOML in and JSON out.

The fields ``lr``, ``beta1``, ``beta2``, ``eps``, ``switch_interval``, ``alpha_min``, ``alpha_max``, ``batch_size``,
``epochs`` and ``optimizer`` are the parameters of the published guide (paper 001), under its names and with its
defaults. The command line has a flag of the same name for each of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from waddington._checks import check_choice, check_in_range, check_known
from waddington._errors import ArgumentError
from waddington.optim import registry
from waddington.twin.data.conditions import MODES
from waddington.twin.data.device import check_device
from waddington.twin.data.io import given_modalities
from waddington.twin.run.fields import typed
from waddington.twin.trajectory.order import PARTS

__all__ = ["GUIDE_OPTIMIZERS", "PAPER_GRID", "PRESETS", "READ_FIELDS", "RunConfig"]

GUIDE_OPTIMIZERS = ("Adam", "AMSGrad", "ASGDAdam", "ASGDAMSGrad", "Padam", "SGD")
"""The guide's benchmark, and the paper's."""

PAPER_GRID = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Learning rates that section IV.A of paper 000 searches."""

READ_FIELDS = (
    *("rna", "atac", "protein", "perturbation_key", "mode_key", "perturbation_mode", "control"),
    *("combination_separator", "time_key", "split_key", "batch_key", "cell_type_key"),
    *("counts_layer", "normalization", "layer"),
)
"""Fields that :func:`waddington.twin.data.io.read` is told, under the names of its arguments."""

_PROTOCOLS = ("paper", "held-out", "both")
_ACTIONS = ("auto", "discrete", "continuous")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run does. Every field may be a line of a TOML file, `--set` or a keyword; many are flags too."""

    # --- what is read ---
    file: str | None = None
    """One multimodal file (`.h5mu`, `.h5ad`, 10x `.h5`, `.zarr`, a 10x `mtx` folder); nothing at all: the simulator."""
    rna: str | None = None
    """A file with RNA counts."""
    atac: str | None = None
    """A file with chromatin accessibility counts of the same cells."""
    protein: str | None = None
    """A file with surface protein counts of the same cells."""
    perturbation_key: str | None = None
    """Column of `obs` with the perturbation; found by its usual names when not given."""
    mode_key: str | None = None
    """Column of `obs` with the modes of perturbations; found by its usual names when not given."""
    perturbation_mode: str | None = None
    """Mode of all perturbations whose mode no column says, such as `knockdown` or `drug`."""
    control: str | None = None
    """A further label that means control; `nan` takes cells without a label for controls, which are left out otherwise.
    """
    combination_separator: str | None = None
    """What joins the perturbations of a label, such as `_`; `+` between known names when not given."""
    time_key: str | None = None
    """Column of `obs` with the observed time; found by its usual names when not given."""
    split_key: str | None = None
    """Column of `obs` that fixes which cells are `train` and `test`; drawn when not given."""
    batch_key: str | None = None
    """Column of `obs` with the batch; found by its usual names when not given."""
    cell_type_key: str | None = None
    """Column of `obs` with the cell type; found by its usual names when not given."""
    counts_layer: str | None = None
    """Layer with raw counts; looked for, then in `X` and `raw.X`, when not given."""
    normalization: str = "total"
    """`total`: raw counts, RNA scaled to a common total; `none`: values are taken as they are, with Gaussian noise,
    because they are normalized already or no counts at all (mass cytometry, qPCR); `none:rna,protein`: so for these."""
    layer: str | None = None
    """Layer with the values that are taken as they are; `X` when not given."""
    target_sum: float | None = None
    """Total that the RNA counts of each cell are scaled to; the median of the training cells when not given."""
    size_factor_key: str | None = None
    """Column of `obs` with numbers that take the place of each cell's RNA total, such as that of the whole
    transcriptome where the file holds a panel."""
    n_cells: int = 1800
    """Cells to simulate when no file is given."""

    test_fraction: float = 0.3
    """Share of the cells of each seen condition that is held out (0.2 in the paper), where no column fixes it."""

    # --- the guide's parameters (paper 001) ---
    optimizer: tuple[str, ...] = GUIDE_OPTIMIZERS
    """Optimizers to compare, by registry name."""
    lr: float = 1e-3
    """Learning rate of the optimizers with one rate, where it is not tuned."""
    beta1: float = 0.9
    """Decay rate of the first moment (momentum of SGD)."""
    beta2: float = 0.999
    """Decay rate of the second moment."""
    eps: float = 1e-8
    """Added to the denominator; the same for every optimizer."""
    switch_interval: int = 10
    """Steps between two looks at the switch of ASGDAdam and ASGDAMSGrad."""
    alpha_min: float = 1e-4
    """Small base rate of the switching optimizers; scaled with `alpha_max` where that is tuned."""
    alpha_max: float = 1e-2
    """Large base rate of the switching optimizers, their `lr`, where it is not tuned."""
    batch_size: int = 128
    """Cells in a mini-batch of the encoder."""
    epochs: int = 50
    """Passes over the training cells when the encoder is trained."""

    # --- the comparison ---
    protocol: str = "both"
    """`paper` (as published), `held-out` (unseen cells and conditions), or `both`."""
    seeds: int = 3
    """Repetitions of everything that is random, with the same seeds for every optimizer."""
    seed: int = 0
    """First of the seeds."""
    lr_grid: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    """Rates each optimizer is tuned over, at the same cost, on a seed that is not evaluated; empty: no tuning."""
    tune_epochs: int = 15
    """Epochs of an encoder's tuning trial, on a whole schedule of that length."""
    reference_optimizer: str = "Adam"
    """Trains the encoder below the agents of the held-out protocol, so that all agents act in the same world."""

    # --- model, environment and agent ---
    embedding_dim: int = 32
    """Dimensions of each modality's embedding and of the joint one."""
    n_neighbors: int = 15
    """Neighbours of a cell in the graphs."""
    root: str | None = None
    """Where the order of cells begins: a cell, a value of `cell_type`, a marker gene, `time` or `control`; times, where
    there are any, or a guess when not given."""
    parts: str = "main"
    """Cells that no path of the graph joins to the root: `main` leaves them without an order, `each` orders every part
    on its own, `refuse` stops."""
    ppo_steps: int = 10_000
    """Transitions an agent of the held-out protocol is trained for."""
    ppo_epochs: int = 5
    """Passes over each rollout, in the held-out protocol."""
    ppo_batch_size: int = 256
    """Transitions in a mini-batch of PPO, in the held-out protocol."""
    n_envs: int = 64
    """Cells that an agent of the held-out protocol moves at once."""
    horizon: int = 8
    """Steps of an episode of the held-out protocol."""
    paper_steps: int = 2048
    """Transitions an agent of the paper protocol is trained for (50,000 in the paper)."""
    paper_batch_size: int = 256
    """Transitions in a mini-batch of PPO in the paper protocol (64 in the published code)."""
    paper_horizon: int = 1000
    """Most steps of an episode of the paper protocol."""
    paper_net: tuple[int, ...] = (256, 256, 256, 256, 256, 256)
    """Hidden layers of policy and value nets in the paper protocol, all tanh."""
    eval_episodes: int = 30
    """Episodes each agent is evaluated on (per target in the held-out protocol)."""
    action_space: str = "auto"
    """Held-out protocol: `discrete` edits, the `continuous` box, or by what the data measured."""
    max_perturbations: int = 2
    """Most perturbations at once in the held-out protocol."""
    paper_perturbations: tuple[int, ...] = (2,)
    """Most random perturbations at once in the paper protocol: 1 is its Table II, 2 its Table III."""

    # --- where and how it runs ---
    device: str = "cpu"
    """Device of the encoder; agents of small nets run on the CPU, where they are faster."""
    workers: int = 0
    """Processes that share the work; 0: one for each core."""
    preset: str = "default"
    """Name of the preset that the other fields started from."""

    def __post_init__(self) -> None:
        """Refuse values that could only fail later.

        Raises
        ------
        ArgumentError
            Names the field, its value and what is accepted.
        """
        object.__setattr__(self, "optimizer", tuple(dict.fromkeys(registry.get(name).name for name in self.optimizer)))
        object.__setattr__(self, "reference_optimizer", registry.get(self.reference_optimizer).name)
        if not self.optimizer:
            raise ArgumentError(f"cannot use optimizer=(): give at least one of {', '.join(registry.names())}")
        for name in (*self.optimizer, self.reference_optimizer):
            if registry.get(name).modes:
                raise ArgumentError(
                    f"cannot use optimizer={name!r}: it evaluates other weights than it trains, and a run would judge"
                    " those that it trains; accepted are optimizers without train() and eval()"
                )
        check_device(self.device)
        check_choice("protocol", self.protocol, _PROTOCOLS)
        check_choice("action_space", self.action_space, _ACTIONS)
        check_choice("parts", self.parts, PARTS)
        check_choice("preset", self.preset, PRESETS)
        for name in ("lr", "eps", "alpha_min", "alpha_max"):
            check_in_range(name, getattr(self, name), 0.0, open_low=True, open_high=True)
        for name in ("beta1", "beta2"):
            check_in_range(name, getattr(self, name), 0.0, 1.0, open_high=True)
        if self.target_sum is not None:
            check_in_range("target_sum", self.target_sum, 0.0, open_low=True, open_high=True)
        check_in_range("test_fraction", self.test_fraction, 0.0, 1.0, open_low=True, open_high=True)
        if self.alpha_min > self.alpha_max:
            raise ArgumentError(
                f"cannot use alpha_min={self.alpha_min:g} with alpha_max={self.alpha_max:g}: "
                "the small base rate must not exceed the large one"
            )
        for rate in self.lr_grid:
            check_in_range("lr_grid", rate, 0.0, open_low=True, open_high=True)
        for name, low in _AT_LEAST.items():
            check_in_range(name, getattr(self, name), low)
        self._check_reading()

    def _check_reading(self) -> None:
        given_modalities(self.normalization, layer=self.layer)
        if self.perturbation_mode is not None:
            check_choice("perturbation_mode", self.perturbation_mode, MODES)
        if self.file is not None and (self.rna or self.atac or self.protein):
            raise ArgumentError(
                f"cannot read both file={self.file!r} and one of rna=, atac= and protein=: "
                "give one file or separate ones"
            )
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        idle = [name for name in READ_FIELDS if getattr(self, name) != defaults[name]]
        if self.simulated and idle:
            raise ArgumentError(
                f"cannot use {idle[0]}={getattr(self, idle[0])!r} without a file: the cells are simulated; accepted: "
                "file= or one of rna=, atac= and protein= beside it"
            )

    @property
    def simulated(self) -> bool:
        """Whether no file is named, so that cells are simulated."""
        return self.file is None and not (self.rna or self.atac or self.protein)

    def read_arguments(self) -> dict[str, Any]:
        """Give the keyword arguments of :func:`waddington.twin.data.io.read`."""
        return {name: getattr(self, name) for name in READ_FIELDS}

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols to run, in order."""
        return ("paper", "held-out") if self.protocol == "both" else (self.protocol,)

    @property
    def evaluation_seeds(self) -> tuple[int, ...]:
        """Seeds that results are reported on."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def tuning_seed(self) -> int:
        """The seed that learning rates are chosen on; never one that is evaluated."""
        return self.seed + 10_000

    def rate(self, optimizer: str) -> float:
        """Give the untuned learning rate of an optimizer: `alpha_max` if it switches, else `lr`."""
        return self.alpha_max if registry.get(optimizer).switching else self.lr

    def arguments(self, optimizer: str, lr: float) -> dict[str, Any]:
        """Give an optimizer's keyword arguments at one learning rate; moments and eps are the same for all."""
        wanted = {
            "lr": lr,
            "betas": (self.beta1, self.beta2),
            "momentum": self.beta1,
            "eps": self.eps,
            "switch_interval": self.switch_interval,
            "alpha_min": self.alpha_min * lr / self.alpha_max,
        }
        accepted = registry.get(optimizer).arguments
        return {name: value for name, value in wanted.items() if name in accepted}

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as JSON can hold them."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def of(cls, preset: str = "default", **changes: Any) -> RunConfig:
        """Start from a preset and change fields; ``None`` leaves a field as the preset has it.

        Raises
        ------
        ArgumentError
            When a field is unknown, or a value is not of its type or range.
        """
        preset = check_known("preset", preset, PRESETS)
        known = {field.name: field for field in dataclasses.fields(cls)}
        for name in changes:
            if name not in known:
                check_known("configuration field", name, known)
        values = {**PRESETS[preset], **{k: v for k, v in changes.items() if v is not None}, "preset": preset}
        return cls(**{name: typed(name, value, str(known[name].type)) for name, value in values.items()})


_FROM_ONE = (
    *("switch_interval", "epochs", "tune_epochs", "seeds", "ppo_steps", "ppo_epochs", "n_envs", "horizon"),
    *("paper_steps", "paper_horizon", "eval_episodes", "max_perturbations"),
)
_FROM_TWO = ("batch_size", "embedding_dim", "n_neighbors", "ppo_batch_size", "paper_batch_size")
_AT_LEAST = {
    **dict.fromkeys(_FROM_ONE, 1),
    **dict.fromkeys(_FROM_TWO, 2),
    **dict.fromkeys(("seed", "workers"), 0),
    "n_cells": 200,
}

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "n_cells": 500,
        "optimizer": ("Adam", "ASGDAdam"),
        "seeds": 1,
        "epochs": 6,
        "lr_grid": (),
        "ppo_steps": 3072,
        "paper_steps": 1024,
        "paper_horizon": 100,
        "paper_net": (64, 64),
        "eval_episodes": 8,
        "workers": 1,
    },
    "default": {},
    "paper": {
        "n_cells": 5000,
        "test_fraction": 0.2,
        "seeds": 10,
        "lr_grid": PAPER_GRID,
        "tune_epochs": 50,
        "ppo_steps": 50_000,
        "paper_steps": 50_000,
        "paper_batch_size": 64,
        "paper_perturbations": (1, 2),
    },
}
"""What each preset changes: `smoke` shows that everything runs, `paper` is section IV.A of paper 000."""
