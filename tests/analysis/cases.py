"""Models with a loss, and brute force: the dense gradient and Hessian by torch.func, in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.func import functional_call, grad, hessian

Loss = Callable[[nn.Module], torch.Tensor]


class Quadratic(nn.Module):
    """xᵀAx/2 in parameters that are cut into two tensors."""

    def __init__(self, matrix: torch.Tensor, start: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.first, self.second = nn.Parameter(start[:2].clone()), nn.Parameter(start[2:].clone())

    def forward(self) -> torch.Tensor:
        x = torch.cat([self.first, self.second])
        return 0.5 * x @ self.matrix @ x


def value(model: nn.Module) -> torch.Tensor:
    """The loss of a model that is its own loss."""
    return model()


def rotated(eigenvalues: list[float], seed: int = 0) -> torch.Tensor:
    """Give a symmetric matrix with known eigenvalues."""
    noise = torch.randn(len(eigenvalues), len(eigenvalues), generator=torch.Generator().manual_seed(seed)).double()
    basis = torch.linalg.qr(noise)[0]
    return basis @ torch.diag(torch.tensor(eigenvalues).double()) @ basis.T


def quadratic(eigenvalues: list[float], start: float = 1.0) -> Quadratic:
    return Quadratic(rotated(eigenvalues), torch.full((len(eigenvalues),), start, dtype=torch.float64))


class Tied(nn.Module):
    """An autoencoder whose two layers share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(4, 4), nn.Linear(4, 4)
        self.up.weight = self.down.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(torch.tanh(self.down(x)))


class Attention(nn.Module):
    """One block of attention with a head."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x[:, None, :, None] * torch.ones(4, dtype=x.dtype)).chunk(3, dim=-1)
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v)).mean((1, 2))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTM(1, 3, batch_first=True), nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.cell(x[..., None])[0][:, -1])


def build(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Make a small model of four inputs."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = {
            "mlp": lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)),
            "linear": lambda: nn.Linear(4, 3),
            "tied": Tied,
            "batchnorm": lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)),
            "dropout": lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3)),
            "attention": Attention,
            "recurrent": Recurrent,
            "embedding": lambda: nn.Sequential(
                nn.Embedding(6, 3, sparse=True), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3)
            ),
        }[name]()
    return made.to(dtype)


def data(model_dtype: torch.dtype = torch.float64, count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 4, generator=generator).to(model_dtype), torch.randint(
        0, 3, (count,), generator=generator
    )


def loss_of(name: str, dtype: torch.dtype = torch.float64) -> Loss:
    """Give a loss on fixed data that fits a model of :func:`build`."""
    x, y = data(dtype)
    if name == "tied":
        return lambda model: nn.functional.mse_loss(model(x), x)
    if name == "attention":
        return lambda model: model(x).square().mean()
    if name == "embedding":
        tokens = y[:, None] + torch.arange(4)
        return lambda model: nn.functional.cross_entropy(model(tokens), y)
    return lambda model: nn.functional.cross_entropy(model(x), y)


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([param.detach().reshape(-1) for param in model.parameters() if param.requires_grad])


class _Call(nn.Module):
    """Make the loss the output, so that `functional_call` can put other parameters into the model."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self) -> torch.Tensor:
        return self.loss(self.model)


def dense(model: nn.Module, loss: Loss) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute gradient and Hessian by brute force."""
    call = _Call(model, loss)
    named = [(name, param) for name, param in call.named_parameters() if param.requires_grad]

    def of(vector: torch.Tensor) -> torch.Tensor:
        parts = vector.split([param.numel() for _, param in named])
        values = {name: part.view(param.shape) for (name, param), part in zip(named, parts, strict=True)}
        return functional_call(call, values, (), tie_weights=True)

    at = flat(model)
    return grad(of)(at), hessian(of)(at)
