"""What has no vector of parameters says so, wherever one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from waddington.analysis import PathRecorder, load_parameter_vector, measure_step, parameter_vector, random_directions
from waddington.analysis.vectors import real_points
from waddington.errors import ArgumentError, UnsupportedError

Use = Callable[[nn.Module], Any]
USES: list[Use] = [
    parameter_vector,
    PathRecorder,
    random_directions,
    lambda model: load_parameter_vector(model, torch.zeros(0)),
    lambda model: measure_step(model, lambda _: torch.zeros(()), lambda: None),
]
FROZEN = nn.Linear(2, 2).requires_grad_(False)


class Empty(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(0, 4))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (nn.ReLU(), ArgumentError, "no parameter requires grad"),
        (FROZEN, ArgumentError, "no parameter requires grad"),
        (Empty(), ArgumentError, "every parameter that requires grad is empty"),
        (nn.Linear(2, 2, dtype=torch.complex64), UnsupportedError, "'weight': it is complex"),
        (nn.LazyLinear(2), ArgumentError, "it has no shape yet"),
        (lambda: None, ArgumentError, "model=function: accepted is a torch.nn.Module"),
    ],
    ids=["without", "frozen", "empty", "complex", "lazy", "function"],
)
def test_a_model_without_a_vector_is_refused(model: Any, error: type[Exception], said: str, use: Use) -> None:
    with pytest.raises(error, match=said):
        use(model)


@pytest.mark.parametrize("vector", [np.zeros(6), torch.zeros(6, dtype=torch.complex64)])
def test_a_vector_is_a_real_tensor(vector: Any) -> None:
    with pytest.raises(ArgumentError, match=r"accepted is a real tensor of shape \(6,\)"):
        load_parameter_vector(nn.Linear(2, 2), vector)


def test_points_are_real_and_finite_and_at_least_in_single_precision() -> None:
    assert real_points("points", np.arange(6).reshape(2, 3)).dtype == torch.float32
    assert real_points("points", torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32
    assert real_points("points", np.ones((2, 3))).dtype == torch.float64
    for wrong, said in (
        (np.ones(3), r"of shape \(3,\)"),
        (np.ones((0, 3)), r"of shape \(0, 3\)"),
        (np.ones((2, 4)), r"of shape \(2, 4\).* accepted are real points of shape \(T, 3\)"),
        (np.ones((2, 3)) * 1j, "complex128"),
        ([[1.0], "a"], "points=list"),
        (np.array([[1.0, np.nan, 1.0], [1.0, 1.0, 1.0]]), "1 of 2 points are not finite"),
    ):
        with pytest.raises(ArgumentError, match=said):
            real_points("points", wrong, 3)
