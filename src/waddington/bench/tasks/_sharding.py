"""One model over several processes (torchrun): FSDP2 shards it, each process has its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from waddington.errors import ArgumentError

__all__ = ["average_statistics", "mean_over_ranks", "of_this_rank", "rank", "sharded", "together", "world"]


def world() -> int:
    """Give the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Give this process's number."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def together(device: str) -> Iterator[str]:
    """Join the processes that torchrun has started, over NCCL on GPUs and gloo elsewhere; give this one's device.

    Without torchrun there is one process, and nothing to join.
    """
    if "RANK" not in os.environ:
        yield device
        return
    is_gpu = torch.device(device).type == "cuda"
    if is_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if is_gpu else "gloo")
    try:
        yield f"cuda:{os.environ['LOCAL_RANK']}" if is_gpu else device
    finally:
        dist.destroy_process_group()


def sharded(model: nn.Module, blocks: type[nn.Module] | tuple[type[nn.Module], ...]) -> nn.Module:
    """Shard a model in place over all processes by FSDP2, block by block; leave it alone where there is one process."""
    if world() > 1:
        device = next(model.parameters()).device.type
        mesh = init_device_mesh(device, (world(),))
        for module in model.modules():
            if isinstance(module, blocks):
                fully_shard(module, mesh=mesh)
        fully_shard(model, mesh=mesh)
    return model


def of_this_rank(chosen: torch.Tensor) -> torch.Tensor:
    """Give this process's share of a batch; shares are equal, so that the mean of their means is that of the batch.

    Raises
    ------
    ArgumentError
        The batch cannot be shared equally.
    """
    if len(chosen) % world():
        raise ArgumentError(
            f"cannot use batch_size={len(chosen)} with {world()} processes: accepted is a multiple of their number"
        )
    return chosen[rank() :: world()]


def mean_over_ranks(sums: Mapping[str, float], count: int, device: torch.device) -> dict[str, float]:
    """Divide the sums of all processes by the number of all their cases."""
    values = torch.tensor([*sums.values(), float(count)], dtype=torch.float64, device=device)
    if world() > 1:
        dist.all_reduce(values)
    return dict(zip(sums, (values[:-1] / values[-1]).tolist(), strict=True))


def average_statistics(model: nn.Module) -> None:
    """Let all processes have the mean of what their batch normalizations have seen."""
    if world() > 1:
        for buffer in model.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= world()
