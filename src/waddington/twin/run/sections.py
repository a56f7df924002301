"""The parts of a run's configuration: what is read, split, preprocessed, encoded, and how agents are trained.

A field has one more name, by which it is known where all fields stand side by side (on the command line, in a flat TOML
file, in messages); it is the field's own name unless the field says otherwise.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError
from waddington.optim.registry import OptimizerLike
from waddington.twin.data.conditions import MODES
from waddington.twin.data.device import check_device
from waddington.twin.data.io import given_modalities
from waddington.twin.data.io.validation import MIN_CELLS
from waddington.twin.run.optimizers import OptimizerSetting
from waddington.twin.trajectory.order import PARTS, Parts

__all__ = [
    "ActionSpace",
    "EncodeConfig",
    "Evaluation",
    "Mode",
    "PPOConfig",
    "Parts",
    "PreprocessConfig",
    "ReadConfig",
    "SplitConfig",
    "check_least",
    "check_optimizer",
    "flat_name",
]

Mode: TypeAlias = Literal[
    "knockout", "knockdown", "activation", "overexpression", "drug", "cytokine", "perturbation"
]  # fmt: skip
ActionSpace: TypeAlias = Literal["auto", "discrete", "continuous"]
Evaluation: TypeAlias = Literal["deterministic", "stochastic"]


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """What is read, and how: the arguments of :func:`waddington.twin.data.io.read`, with `file` for its `path`."""

    file: str | None = None
    """One multimodal file (`.h5mu`, `.h5ad`, 10x `.h5`, `.zarr`, a 10x `mtx` folder); nothing at all: the simulator."""
    rna: str | None = None
    """A file with RNA counts."""
    atac: str | None = None
    """A file with chromatin accessibility counts of the same cells."""
    protein: str | None = None
    """A file with surface protein counts of the same cells."""
    label_keys: tuple[str, ...] = ()
    """Columns of `obs` that must exist."""
    perturbation_key: str | None = None
    """Column of `obs` with the perturbation; found by its usual names when not given."""
    mode_key: str | None = None
    """Column of `obs` with the modes of perturbations; found by its usual names when not given."""
    dose_key: str | None = None
    """Column of `obs` with doses, numbers that are plain or all have the same unit; found by its usual names when not
    given."""
    perturbation_mode: Mode | None = None
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
    min_cells: int = MIN_CELLS
    """Fewest cells that are accepted."""

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        check_least(self, 1, "min_cells")
        given_modalities(self.normalization, layer=self.layer)
        if self.perturbation_mode is not None:
            check_choice("perturbation_mode", self.perturbation_mode, MODES)
        if self.file is not None and (self.rna or self.atac or self.protein):
            raise ArgumentError(
                f"cannot read both file={self.file!r} and one of rna=, atac= and protein=: "
                "give one file or separate ones"
            )
        idle = [
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default and field.name not in ("file", "rna", "atac", "protein")
        ]
        if self.simulated and idle:
            raise ArgumentError(
                f"cannot use {idle[0]}={getattr(self, idle[0])!r} without a file: the cells are simulated; accepted: "
                "file= or one of rna=, atac= and protein= beside it"
            )

    @property
    def simulated(self) -> bool:
        """Whether no file is named, so that cells are simulated."""
        return self.file is None and not (self.rna or self.atac or self.protein)

    def arguments(self) -> dict[str, Any]:
        """Give the keyword arguments of :func:`waddington.twin.data.io.read`, but for the file itself."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "file"}


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Which cells are held out."""

    test_fraction: float = 0.3
    """Share of the cells of each seen condition that is held out (0.2 in the paper), where no column fixes it."""

    def __post_init__(self) -> None:
        """Refuse a share that leaves nothing on one side."""
        check_in_range("test_fraction", self.test_fraction, 0.0, 1.0, open_low=True, open_high=True)


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """How counts are scaled, and cells joined and ordered."""

    target_sum: float | None = None
    """Total that the RNA counts of each cell are scaled to; the median of the training cells when not given."""
    size_factor_key: str | None = None
    """Column of `obs` with numbers that take the place of each cell's RNA total, such as that of the whole
    transcriptome where the file holds a panel."""
    n_neighbors: int = 15
    """Neighbours of a cell in the graphs."""
    root: str | None = None
    """Where the order of cells begins: a cell, a value of `cell_type`, a marker gene, `time` or `control`; times, where
    there are any, or a guess when not given."""
    parts: Parts = "main"
    """Cells that no path of the graph joins to the root: `main` leaves them without an order, `each` orders every part
    on its own, `refuse` stops."""

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        if self.target_sum is not None:
            check_in_range("target_sum", self.target_sum, 0.0, open_low=True, open_high=True)
        check_choice("parts", self.parts, PARTS)
        check_least(self, 2, "n_neighbors")


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """The encoder and its training."""

    embedding_dim: int = 32
    """Dimensions of each modality's embedding and of the joint one."""
    batch_size: int = 128
    """Cells in a mini-batch (a parameter of the guide)."""
    epochs: int = 50
    """Passes over the training cells (a parameter of the guide)."""
    tune_epochs: int = 15
    """Epochs of a tuning trial, on a whole schedule of that length."""
    reference_optimizer: str = "Adam"
    """Trains the encoder below the agents of the held-out protocol, so that all agents act in the same world."""
    device: str = "cpu"
    """Device of the encoder; agents of small nets run on the CPU, where they are faster."""

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        object.__setattr__(self, "reference_optimizer", check_optimizer(self.reference_optimizer))
        check_device(self.device)
        check_least(self, 1, "epochs", "tune_epochs")
        check_least(self, 2, "batch_size", "embedding_dim")


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Agents and their environments, of both protocols; `paper_` fields are of the paper's protocol alone."""

    steps: int = dataclasses.field(default=10_000, metadata={"flat": "ppo_steps"})
    """Transitions an agent of the held-out protocol is trained for."""
    epochs: int = dataclasses.field(default=5, metadata={"flat": "ppo_epochs"})
    """Passes over each rollout, in the held-out protocol."""
    batch_size: int = dataclasses.field(default=256, metadata={"flat": "ppo_batch_size"})
    """Transitions in a mini-batch of PPO, in the held-out protocol."""
    n_envs: int = 64
    """Cells that an agent of the held-out protocol moves at once."""
    horizon: int = 8
    """Steps of an episode of the held-out protocol."""
    action_space: ActionSpace = "auto"
    """Held-out protocol: `discrete` edits, the `continuous` box, or by what the data measured."""
    max_perturbations: int = 2
    """Most perturbations at once in the held-out protocol."""
    eval_episodes: int = 30
    """Episodes each agent is evaluated on (per target in the held-out protocol)."""
    evaluation: Evaluation = "deterministic"
    """How trained agents act where they are judged: `deterministic`, by their most likely action, or `stochastic`, by
    one that they draw, as in training."""
    paper_steps: int = 2048
    """Transitions an agent of the paper protocol is trained for (50,000 in the paper)."""
    paper_batch_size: int = 256
    """Transitions in a mini-batch of PPO in the paper protocol (64 in the published code)."""
    paper_horizon: int = 1000
    """Most steps of an episode of the paper protocol."""
    paper_net: tuple[int, ...] = (256, 256, 256, 256, 256, 256)
    """Hidden layers of policy and value nets in the paper protocol, all tanh."""
    paper_perturbations: tuple[int, ...] = (2,)
    """Most random perturbations at once in the paper protocol: 1 is its Table II, 2 its Table III."""

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        check_choice("action_space", self.action_space, ("auto", "discrete", "continuous"))
        check_choice("evaluation", self.evaluation, ("deterministic", "stochastic"))
        check_least(self, 1, "steps", "epochs", "n_envs", "horizon", "max_perturbations", "eval_episodes")
        check_least(self, 1, "paper_steps", "paper_horizon")
        check_least(self, 2, "batch_size", "paper_batch_size")


def flat_name(field: dataclasses.Field[Any]) -> str:
    """Give the name of a field where all fields stand side by side."""
    return str(field.metadata.get("flat", field.name))


def check_least(config: Any, low: int, *names: str) -> None:
    """Refuse fields below a bound; messages say their flat names.

    Raises
    ------
    ArgumentError
        Names the field, its value and the bound.
    """
    for field in dataclasses.fields(config):
        if field.name in names:
            check_in_range(flat_name(field), getattr(config, field.name), low)


def check_optimizer(optimizer: OptimizerLike) -> str:
    """Give the text of an optimizer with its own arguments, in one spelling (:mod:`.optimizers`).

    Raises
    ------
    ArgumentError
        It evaluates other weights than it trains, has no name by which other processes find it, or lacks an argument.
    """
    return OptimizerSetting.of(optimizer).text
