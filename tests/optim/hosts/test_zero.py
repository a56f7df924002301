"""ZeroRedundancyOptimizer gives each process a part of the parameters: right for it, or refused with the reason."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import pytest
import torch

from optim.hosts.processes import on_two_ranks
from waddington.errors import UnsupportedError
from waddington.optim import AMGT, AMVT, ASGDAdam, LDAdam, Masked, Switched

STEPS = 4


def train(build: Any) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = build(model.parameters())
    for step in range(STEPS):
        x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (model(x) - x[:, :1].sin()).square().mean().backward()
        optimizer.step()
    return [param.detach() for param in model.parameters()]


def switched(params: Any, **kwargs: Any) -> torch.optim.Optimizer:
    return Switched(torch.optim.SGD(params, **kwargs))


def masked(params: Any, nonfinite: str, **kwargs: Any) -> torch.optim.Optimizer:
    return Masked(torch.optim.AdamW(params, **kwargs), nonfinite=nonfinite)


WORKS = {
    "AMGT": partial(AMGT, lr=1e-2),
    "AMVT": partial(AMVT, lr=1e-2),
    "LDAdam": partial(LDAdam, lr=1e-2, rank=2, nonfinite="propagate"),
    "Masked": partial(masked, lr=1e-2, nonfinite="propagate"),
}
REFUSED = {
    "ASGDAdam": (partial(ASGDAdam, lr=1e-2), "its rate is chosen from the gradients of the whole model"),
    "clipped": (partial(AMVT, lr=1e-2, clip_grad_norm=1.0), "it needs the norm of all gradients"),
    "skips": (partial(AMGT, lr=1e-2, nonfinite="skip"), "nonfinite='skip' asks of all gradients"),
    "LDAdam": (partial(LDAdam, lr=1e-2), "nonfinite='skip' asks of all gradients whether they are finite; use 'prop"),
    "Switched": (partial(switched, lr=1e-2), "its rate is chosen from the gradients of the whole model"),
    "Masked": (partial(masked, lr=1e-2, nonfinite="skip"), "nonfinite='skip' asks of all gradients"),
}


def worker(rank: int) -> dict[str, dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, at the import
        from torch.distributed.optim import ZeroRedundancyOptimizer

    def zero(build: Any) -> Any:
        return lambda params: ZeroRedundancyOptimizer(params, optimizer_class=build)

    weights = {name: train(zero(build)) for name, build in WORKS.items()}
    messages = {}
    for name, (build, _) in REFUSED.items():
        with pytest.raises(UnsupportedError) as caught:
            train(zero(build))
        messages[name] = str(caught.value)
    return {"weights": weights, "messages": messages}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    return on_two_ranks(worker, tmp_path_factory.mktemp("zero"))


@pytest.mark.parametrize("name", WORKS)
def test_what_looks_at_one_tensor_at_a_time_trains_as_in_one_process(ranks, name):
    expected = train(WORKS[name])
    for rank in ranks:
        for found, wanted in zip(rank["weights"][name], expected, strict=True):
            torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_the_whole_model_is_refused_on_every_rank(ranks, name):
    for rank in ranks:
        message = rank["messages"][name]
        assert "inside ZeroRedundancyOptimizer: " + REFUSED[name][1] in message
        assert "accepted is fully_shard (FSDP2)" in message
