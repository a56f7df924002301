"""What a step of AlphaAdam costs beside a step of torch's fused AdamW: seconds and bytes of state."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from waddington import jobs
from waddington.bench.training import state_bytes
from waddington.claims import pictures
from waddington.claims.experiments.comparing import log_ratio, mean_of
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of
from waddington.optim import AlphaAdam

__all__ = ["costs", "draw_costs", "is_cheaper"]

_SHAPES = ((512, 512), (2048, 512), (512, 2048), (512,), (2048,))
"""Tensors of a transformer's block, about 2.4 million numbers."""


@experiment()
def costs(seed: int, *, rounds: int = 30, shapes: Sequence[Sequence[int]] = _SHAPES) -> Mapping[str, Any]:
    """Time steps of both in turn, on equal tensors, on one thread; the medians of so many rounds, and bytes of state.

    Turns are random and each round has both, so that a busy machine slows both alike.
    """
    draw = torch.Generator().manual_seed(seed)
    threads = torch.get_num_threads()
    arms = {}
    for name in ("AlphaAdam", "AdamW"):
        params = [torch.nn.Parameter(torch.zeros(*shape)) for shape in shapes]
        for param in params:
            param.grad = torch.empty_like(param)
        arms[name] = (params, AlphaAdam(params) if name == "AlphaAdam" else torch.optim.AdamW(params, fused=True))
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    torch.set_num_threads(1)
    try:
        for turn in range(rounds + 3):
            grads = [torch.randn(*shape, generator=draw) for shape in shapes]
            first = int(torch.randint(2, (), generator=draw))
            for name in list(arms)[:: 1 if first else -1]:
                params, optimizer = arms[name]
                for param, grad in zip(params, grads, strict=True):
                    if param.grad is not None:
                        param.grad.copy_(grad)
                begun = time.perf_counter()
                optimizer.step()
                if turn >= 3:
                    seconds[name].append(time.perf_counter() - begun)
    finally:
        torch.set_num_threads(threads)
    return {
        "numbers": sum(param.numel() for param in arms["AdamW"][0]),
        **{name: float(np.median(found)) for name, found in seconds.items()},
        **{f"{name} bytes": state_bytes(optimizer) for name, (_, optimizer) in arms.items()},
    }


def is_cheaper(records: Sequence[jobs.Record]) -> Finding:
    """Say whether a step of AlphaAdam takes less time, or its state less memory, than that of fused AdamW."""
    rows = results_of(records)
    ratio = log_ratio([row["AlphaAdam"] for row in rows], [row["AdamW"] for row in rows])
    bytes_ = mean_of([row["AlphaAdam bytes"] / row["AdamW bytes"] for row in rows])
    words = (
        f"on a processor a step of AlphaAdam takes {ratio.words()} times as long as one of fused AdamW over"
        f" {rows[0]['numbers']:,} numbers ({1e3 * np.median([row['AlphaAdam'] for row in rows]):.2f} ms), and its state"
        f" is {bytes_.middle:.3g} times as large"
    )
    return Finding(
        holds=ratio.high < 1.0 or bytes_.middle < 0.999,
        words=words,
        figures={"step time ratio": ratio.middle, "state ratio": bytes_.middle},
        interval=ratio.interval,
        detectable=ratio.detectable,
    )


def draw_costs(records: Sequence[jobs.Record]) -> Any:
    """Draw both ratios."""
    rows = results_of(records)
    ratio = log_ratio([row["AlphaAdam"] for row in rows], [row["AdamW"] for row in rows])
    size = mean_of([row["AlphaAdam bytes"] / row["AdamW bytes"] for row in rows])
    shown = [
        pictures.Row(name="step time", middle=ratio.middle, interval=ratio.interval),
        pictures.Row(name="state", middle=size.middle, interval=size.interval),
    ]
    return pictures.bars(shown, label="AlphaAdam over fused AdamW", limit=1.0)
