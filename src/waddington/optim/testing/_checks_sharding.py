"""torch.distributed: checkpoints, and parameters that are sharded over processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from waddington.optim.testing._catalog import CheckFailure, NotApplicable, Refusal, check, describe, may_refuse, require
from waddington.optim.testing._problems import backward, make_model, require_same, train, values
from waddington.optim.testing._subject import Subject

__all__: list[str] = []

_STEPS = 12
_RANKS = 2
_HANGS = 1200.0
"""Seconds after which two processes are taken to wait for each other; a busy machine needs minutes to start them."""
_REFUSED = "refused: "


@check(
    "checkpoint_probe",
    "asking for the state before training, as distributed checkpoints do, changes nothing",
    group="hosts",
)
def _checkpoint_probe(subject: Subject) -> None:
    _require_distributed()
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    plain, x, y = make_model()
    model, _, _ = make_model()
    before = values(model.parameters())
    optimizer = subject.build(model.parameters())
    get_optimizer_state_dict(model, optimizer)
    require_same(model.parameters(), before, "get_optimizer_state_dict on a fresh optimizer changed a parameter")
    train(plain, subject.build(plain.parameters()), x, y, 10)
    train(model, optimizer, x, y, 10)
    require_same(model.parameters(), plain.parameters(), "10 steps after get_optimizer_state_dict against 10 without")


@check("checkpoint_resume", "training resumes bit for bit through torch.distributed.checkpoint's state", group="hosts")
def _checkpoint_resume(subject: Subject) -> None:
    _require_distributed()
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

    model, x, y = make_model()
    optimizer = subject.build(model.parameters())
    train(model, optimizer, x, y, 8)
    state = copy.deepcopy(get_optimizer_state_dict(model, optimizer))
    resumed = copy.deepcopy(model)
    fresh = subject.build(resumed.parameters())
    set_optimizer_state_dict(resumed, fresh, state)
    train(model, optimizer, x, y, 8)
    train(resumed, fresh, x, y, 8)
    require_same(resumed.parameters(), model.parameters(), "8 steps after resuming")


def _require_distributed() -> None:
    """Leave the check where torch was built without its distributed part."""
    if not dist.is_available():
        raise NotApplicable("this torch was built without torch.distributed")


@check("fully_sharded", "FSDP2 over two processes trains as one process does, or is refused", group="hosts", slow=True)
def _fully_sharded(subject: Subject) -> str:
    _require_distributed()
    if not dist.is_gloo_available():
        raise NotApplicable("this torch was built without gloo")
    if multiprocessing.current_process().daemon:
        raise NotApplicable("a daemonic process cannot start others")
    try:
        pickle.dumps(subject)
    except Exception as error:
        raise NotApplicable(f"cannot be sent to another process: {describe(error)}") from error
    with tempfile.TemporaryDirectory() as folder:
        context = spawn(_shard_and_train, args=(subject, folder), nprocs=_RANKS, join=False)  # type: ignore[no-untyped-call]
        started = time.monotonic()
        try:
            while not context.join(timeout=1.0):
                if time.monotonic() - started > _HANGS:
                    raise CheckFailure(f"did not come back within {_HANGS:g} seconds")
        finally:
            for process in context.processes:
                if process.is_alive():
                    process.kill()
        found = {path.read_text(encoding="utf-8") for path in Path(folder).glob("result-*")}
    refused = [message for message in found if message.startswith(_REFUSED)]
    if len(found) == len(refused) == 1:
        raise Refusal(refused[0].removeprefix(_REFUSED))
    require(found == {""}, "; ".join(sorted(found - {""})))
    return f"parameters agree after {_STEPS} steps on 2 processes"


def _shard_and_train(rank: int, subject: Subject, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=_RANKS)
    result = Path(folder, f"result-{rank}")
    try:
        message = _difference_when_sharded(subject)
    except Exception as error:  # noqa: BLE001 - told to the parent, which fails the check with it
        result.write_text(_judged(error), encoding="utf-8")
        os._exit(0)  # the other waits for this one's part: what breaks the connection ends that
    result.write_text(message, encoding="utf-8")
    # Whoever leaves while the other still reads breaks its last exchange. Should it die, the parent ends this one.
    while len(list(Path(folder).glob("result-*"))) < _RANKS:
        time.sleep(0.02)
    # All is said. gloo's threads may abort a process while its interpreter goes, and that is no optimizer's.
    os._exit(0)


def _judged(error: Exception) -> str:
    # Where torch's own dispatch gives up on an operation, the optimizer has refused nothing.
    innermost = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    if innermost.is_relative_to(Path(dist.__file__).parent):
        return f"raised {describe(error)}"
    try:
        with may_refuse("DTensor", "sharded"):
            raise error
    except Refusal as refusal:
        return f"{_REFUSED}{refusal}"
    except CheckFailure as failure:
        return str(failure)


def _difference_when_sharded(subject: Subject) -> str:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    plain, x, y = make_model(torch.float64)
    sharded: Any = make_model(torch.float64)[0]
    mesh = init_device_mesh("cpu", (_RANKS,))
    for layer in (sharded[0], sharded[2]):
        fully_shard(layer, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    train(plain, subject.build(plain.parameters()), x, y, _STEPS)
    optimizer = subject.build(sharded.parameters())
    for _ in range(_STEPS):
        optimizer.zero_grad()
        backward(torch.nn.functional.mse_loss(sharded(x), y))
        optimizer.step()
    gaps = [
        (theirs.full_tensor() - ours).abs().max().item()
        for theirs, ours in zip(sharded.parameters(), plain.parameters(), strict=True)
    ]
    return "" if max(gaps) < 1e-6 else f"parameters differ by up to {max(gaps):.3g} after {_STEPS} steps on 2 processes"
