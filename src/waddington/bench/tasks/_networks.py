"""Networks that tasks write out: residual ones for small images, VGG-16, a transformer and LSTMs over tokens."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["Hidden", "TokenLSTM", "TokenTransformer", "resnet8", "vgg16"]

Hidden: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class _Residual(nn.Module):
    """Two convolutions and what they are added to."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.aside: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.aside = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.inner(x) + self.aside(x))


def resnet8(classes: int, width: int = 16, dropout: float = 0.0) -> nn.Sequential:
    """Give ResNet-8: He et al.'s network for CIFAR (6n + 2 layers) at n = 1."""
    widths = [width, width, 2 * width, 4 * width]
    blocks = [_Residual(a, b, 1 + (b > a)) for a, b in itertools.pairwise(widths)]
    stem = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(4 * width, classes)]
    return nn.Sequential(*stem, *blocks, *head)


def vgg16(classes: int, widths: Sequence[int] = (64, 128, 256, 512, 512), dropout: float = 0.5) -> nn.Sequential:
    """Give VGG-16 for 32 by 32: 13 convolutions with batch normalization, and three layers of 512 instead of 4096."""
    layers: list[nn.Module] = []
    before = 3
    for width, depth in zip(widths, (2, 2, 3, 3, 3), strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(before, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        layers.append(nn.MaxPool2d(2))
    head = [
        nn.Flatten(),
        nn.Linear(before, before), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(before, before), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(before, classes),
    ]  # fmt: skip
    network = nn.Sequential(*layers, *head)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


class _Block(nn.Module):
    """Attention and two layers, each behind a layer normalization and added to what came in (GPT-2's order)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cases, length, width = x.shape
        split = self.attend(self.norm_1(x)).view(cases, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        rate = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        x = x + F.dropout(self.mix(found.transpose(1, 2).reshape(x.shape)), self.dropout, self.training)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm_2(x)))), self.dropout, self.training)


class TokenTransformer(nn.Module):
    """A decoder of GPT-2's make; tokens in, logits of the next ones out."""

    def __init__(
        self, vocabulary: int, *, width: int, layers: int, heads: int, context: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(width), dropout
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                is_last = name.endswith(("mix.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if is_last else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        x = F.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]


class TokenLSTM(nn.Module):
    """An LSTM over tokens; gives logits of the next ones and what it remembers.

    Parameters
    ----------
    vocabulary, width, layers
        Tokens, units of embedding and layers, and layers.
    dropout
        Of what goes up from layer to layer, first and last included (Zaremba et al. 2014).
    spread
        Weights begin even between minus and plus this; None is torch's own beginning.
    """

    def __init__(
        self, vocabulary: int, *, width: int, layers: int, dropout: float = 0.0, spread: float | None = None
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.head = nn.Linear(width, vocabulary)
        if spread is not None:
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -spread, spread)

    def forward(self, tokens: torch.Tensor, hidden: Hidden | None = None) -> tuple[torch.Tensor, Hidden]:
        found, after = self.lstm(self.dropout(self.token(tokens)), hidden)
        return self.head(self.dropout(found)), after
