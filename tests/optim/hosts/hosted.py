"""The optimizers that every host runs, and the small trainings that it runs them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from optim.table import BRIEF, Row


@dataclass(frozen=True)
class Hosted:
    """One optimizer as a host's user would set it up."""

    row: Row

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def factory(self) -> Callable[..., Any]:
        """What a host is given to build it with: the class, or a function where components are put around it."""
        return self.row.build if self.row.wrap else self.row.cls

    @property
    def kwargs(self) -> dict[str, Any]:
        """What the host is to call the factory with besides parameters and lr."""
        return {key: value for key, value in self.row.kwargs.items() if key != "lr"}

    @property
    def lr(self) -> float:
        return float(self.row.kwargs["lr"])

    def build(self, params: Any, **overrides: Any) -> Any:
        return self.row.build(params, **overrides)


_CLASSES = (
    "ASGDAdam-relative",  # one decision for a whole group, and a second rate that schedulers turn
    "ASGDAMSGrad-clock",  # a third buffer of a parameter's shape, and sums of moments before the step
    "AMGT-hard",  # a threshold for each coordinate
    "AlphaAdam-default",  # one factor for a tensor
    "AMVT-preprocessed",  # a norm of the whole model, before the step
    "MicroAdam-sparse",  # whole-number buffers, of other shapes than the parameter
    "LDAdam-ranked",  # buffers that depend on a tensor being a matrix
    "Masked-AdamW",  # a component without state around torch's
    "Compressed-AMGT",  # one with state around this package's
    "Lookahead-Masked-Switched-AdamW",  # several, with decisions of their own
)
HOSTED = [Hosted(row) for row in BRIEF if row.name in _CLASSES]
"""One for each thing that a host can get wrong; what depends on the rule alone, test_contract.py asks of every kind."""

SWITCHED = next(hosted for hosted in HOSTED if hosted.name == "ASGDAdam-relative")
"""The one with most state to lose, for tests that need only one."""

AVERAGED = Hosted(next(row for row in BRIEF if row.name == "Averaged-Switched-AdamW"))
"""It reads a wrapped optimizer's moments before the step, and keeps a buffer that begins as the weights."""

SHARDED = [*(hosted for hosted in HOSTED if hosted.row.shards), AVERAGED]
"""Those that accept sharded parameters."""

each_sharded = pytest.mark.parametrize("hosted", SHARDED, ids=lambda hosted: hosted.name)
each_hosted_some_slow = pytest.mark.parametrize(
    "hosted",
    [
        pytest.param(hosted, marks=[] if hosted in (SWITCHED, HOSTED[-1]) else pytest.mark.slow, id=hosted.name)
        for hosted in HOSTED
    ],
)
"""All of them in time, and at once the one with most state and the one of several layers."""
each_hosted = pytest.mark.parametrize("hosted", HOSTED, ids=lambda hosted: hosted.name)


def net(seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.nn.Sequential:
    """Give a network whose shapes two ranks cannot halve: 7 and 3 rows, and tensors of one row."""
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)]
    return torch.nn.Sequential(*layers).to(dtype)


def batch(step: int, size: int = 8, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the inputs and targets of a step; their scale varies so that the switches have something to see."""
    generator = torch.Generator().manual_seed(1000 + step)
    x = torch.randn(size, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(size, 1, generator=generator, dtype=torch.float64)
    scale = 3.0 if step % 5 else 0.3
    return x.to(dtype), (scale * torch.sin(x[:, :1]) + 0.1 * noise).to(dtype)


def loss_of(model: torch.nn.Module, step: int, rows: slice = slice(None)) -> torch.Tensor:
    """Give the loss of a model on some rows of a step's batch, in the model's own dtype."""
    x, y = batch(step, dtype=next(model.parameters()).dtype)
    return torch.nn.functional.mse_loss(model(x[rows]), y[rows])


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: Iterable[int]) -> None:
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copy the parameters, whole where they are sharded."""
    return {name: whole(param) for name, param in model.named_parameters()}


def whole(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return tensor.detach().clone()


def assert_equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different


def assert_close(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor], rtol: float) -> None:
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(
            left[name], right[name], rtol=rtol, atol=rtol, msg=lambda text, n=name: f"{n}: {text}"
        )


def assert_same_figures(left: dict[str, float], right: dict[str, float], rtol: float = 0.0) -> None:
    assert left.keys() == right.keys()
    assert left == pytest.approx(right, rel=rtol, abs=rtol, nan_ok=True)
