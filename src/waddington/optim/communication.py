"""Gradients in few bits between the processes of ``DistributedDataParallel``.

:mod:`waddington.optim.compression` has the two methods and their papers. Here they are a communication hook: each
process quantizes its own gradient, or picks its largest coordinates, all gather what was sent, and all average the
same. What a method loses stays in the process that lost it and is added to its next gradient.
"""

# No postponed annotations: DistributedDataParallel compares a hook's annotations with the classes themselves.

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import GradBucket  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel

from waddington._checks import check_count
from waddington.errors import ArgumentError
from waddington.optim.compression import Method, check_compression, levels_of

__all__ = ["CompressionHook", "compress_gradients"]


class CompressionHook:
    """State of a communication hook that compresses gradients; made by :func:`compress_gradients`.

    Parameters
    ----------
    params
        Parameters of the wrapped model, in order.
    method, fraction, levels, error_feedback
        As for :class:`~waddington.optim.Compressed`; at most 127 levels travel in a byte, more in two.
    block
        Coordinates that share one norm, from 1; the smaller, the less is lost and the more norms are sent.
    seed
        Of the random numbers, which differ between processes so that their errors average out.
    process_group
        Who takes part; None is everybody.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """

    def __init__(
        self,
        params: list[torch.nn.Parameter],
        *,
        method: Method = "quantize",
        fraction: float = 0.01,
        levels: int = 127,
        block: int = 4096,
        error_feedback: bool = True,
        seed: int = 0,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        settings = {
            "method": method,
            "fraction": fraction,
            "levels": levels,
            "norm": "max",
            "error_feedback": error_feedback,
        }
        check_compression(settings)
        check_count("levels", levels, 1, 2**15 - 1)
        check_count("block", block, 1)
        self.settings: dict[str, Any] = settings
        self.levels = levels
        self.block = block
        self.process_group = process_group
        self._params = list(params)
        self._errors: dict[torch.Tensor, torch.Tensor] = {}
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}
        self._bits = {"sent": 0, "full": 0}
        self._lost: list[torch.Tensor] = []

    def diagnostics(self) -> dict[str, float]:
        """Read what was saved and what it cost; waits for the device.

        Returns
        -------
        dict
            ``bits_per_coordinate`` sent by this process so far, ``traffic_ratio`` of it to float32, and
            ``compression_error``, ‖lost‖²/‖gradient‖² of everything sent since the last call.
        """
        lost, given = torch.stack(self._lost).sum(0).tolist() if self._lost else (0.0, 0.0)
        self._lost = []
        ratio = self._bits["sent"] / self._bits["full"] if self._bits["full"] else 0.0
        return {
            "bits_per_coordinate": 32.0 * ratio,
            "traffic_ratio": ratio,
            "compression_error": lost / given if given else 0.0,
        }

    def state_dict(self) -> dict[str, Any]:
        """Give what this process owes, parameter by parameter; every process has its own to save."""
        return {"errors": {i: self._errors[p].clone() for i, p in enumerate(self._params) if p in self._errors}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave.

        Raises
        ------
        ArgumentError
            It is of another model; nothing has changed.
        """
        errors = dict(state_dict["errors"])
        for index, error in errors.items():
            if index >= len(self._params) or error.numel() != self._params[index].numel():
                raise ArgumentError(
                    f"cannot load errors of parameter {index} with {error.numel()} coordinates: the model has"
                    f" {len(self._params)} parameters; accepted is the state of a hook on the same model"
                )
        self._errors = {self._params[i]: error.to(self._params[i].device, copy=True) for i, error in errors.items()}

    def run(self, bucket: GradBucket) -> torch.futures.Future[torch.Tensor]:
        """Compress one bucket, gather, decode and average."""
        grad = bucket.buffer()
        given = grad.float()
        if self.settings["error_feedback"]:
            given = given + self._owed(bucket, given)
        payload = self._quantized(given) if self.settings["method"] == "quantize" else self._largest(given)
        world = dist.get_world_size(self.process_group)
        gathered = [[torch.empty_like(part) for _ in range(world)] for part in payload]
        futures = [
            dist.all_gather(into, part, group=self.process_group, async_op=True).get_future()
            for into, part in zip(gathered, payload, strict=True)
        ]
        sent = self._decode(payload, given.numel())
        self._count(payload, given, sent)
        if self.settings["error_feedback"]:
            self._owe(bucket, given - sent)

        def average(_: Any, held: Any = payload) -> torch.Tensor:  # what is being sent must live until it is
            total = torch.zeros_like(given)
            for parts in zip(*gathered, strict=True):
                total += self._decode(parts, given.numel())
            return grad.copy_(total.div_(world))

        return torch.futures.collect_all(futures).then(average)

    def _quantized(self, given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give levels and norms."""
        levels = self.levels
        padded = torch.nn.functional.pad(given, (0, -given.numel() % self.block)).view(-1, self.block)
        norms = padded.abs().amax(1, keepdim=True)
        noise = torch.rand(padded.shape, generator=self._generator(given.device), device=given.device)
        found = levels_of(padded, norms, levels, noise).flatten()[: given.numel()]
        # Two bytes travel as two: not every backend knows short integers.
        words = found.to(torch.int8) if levels <= 127 else found.to(torch.int16).view(torch.uint8)
        return words, norms.flatten()

    def _largest(self, given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give values and places."""
        kept = max(1, round(self.settings["fraction"] * given.numel()))
        places = given.abs().topk(kept).indices
        return given[places], places.to(torch.int32 if given.numel() < 2**31 else torch.int64)

    def _decode(self, payload: tuple[torch.Tensor, ...], size: int) -> torch.Tensor:
        first, second = payload
        if self.settings["method"] == "quantize":
            words = first.view(torch.int16) if first.dtype == torch.uint8 else first
            scale = second.repeat_interleave(self.block)[:size] / self.levels
            return words.to(torch.float32) * scale
        return torch.zeros(size, device=first.device).index_copy_(0, second.long(), first)

    def _count(self, payload: tuple[torch.Tensor, ...], given: torch.Tensor, sent: torch.Tensor) -> None:
        self._bits["sent"] += sum(8 * part.numel() * part.element_size() for part in payload)
        self._bits["full"] += 32 * given.numel()
        self._lost.append(torch.stack([(given - sent).square().sum(), given.square().sum()]))
        if len(self._lost) > 1000:
            self._lost = [torch.stack(self._lost).sum(0)]

    def _owed(self, bucket: GradBucket, given: torch.Tensor) -> torch.Tensor:
        # By parameter, because buckets are rebuilt after the first step.
        pieces = [
            self._errors[param] if param in self._errors else given.new_zeros(param.numel())
            for param in bucket.parameters()
        ]
        return torch.cat([piece.to(given.device) for piece in pieces])

    def _owe(self, bucket: GradBucket, lost: torch.Tensor) -> None:
        sizes = [param.numel() for param in bucket.parameters()]
        for param, piece in zip(bucket.parameters(), torch.split(lost, sizes), strict=True):
            self._errors[param] = piece.clone()

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            rank = dist.get_rank(self.process_group)
            self._generators[device] = torch.Generator(device).manual_seed(self._seed * 1_000_003 + rank)
        return self._generators[device]


def _run(state: CompressionHook, bucket: GradBucket) -> torch.futures.Future[torch.Tensor]:
    return state.run(bucket)


def compress_gradients(model: DistributedDataParallel, **settings: Any) -> CompressionHook:
    """Have a ``DistributedDataParallel`` model send its gradients compressed from now on.

    Parameters
    ----------
    model
        The wrapped model; no hook may be registered yet.
    **settings
        Of :class:`CompressionHook`: `method`, `fraction`, `levels`, `block`, `error_feedback`, `seed`.

    Returns
    -------
    CompressionHook
        For its diagnostics and its state.

    Raises
    ------
    ArgumentError
        `model` is no ``DistributedDataParallel``, or a setting is outside its range.
    """
    if not isinstance(model, DistributedDataParallel):
        raise ArgumentError(
            f"cannot use model={type(model).__name__}: it must be a DistributedDataParallel; without processes to talk"
            " to, waddington.optim.Compressed compresses an optimizer's updates"
        )
    trainable = [param for param in model.parameters() if param.requires_grad]
    hook = CompressionHook(trainable, process_group=model.process_group, **settings)
    model.register_comm_hook(hook, _run)
    return hook
