"""Saving, loading and copying."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import torch

from waddington.optim.testing._catalog import CheckFailure, NotApplicable, check, describe, require
from waddington.optim.testing._problems import (
    copies,
    identical,
    make_gradients,
    make_params,
    require_moved,
    require_same,
    run,
    state_tensors,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return dict(torch.load(stream, weights_only=True))


@check(
    "resume_from_file", "training resumes bit for bit from torch.save and torch.load(weights_only=True)", group="state"
)
def _resume_from_file(subject: Subject) -> None:
    _resume(subject, _through_a_file)


@check("resume_in_process", "training resumes bit for bit from a copy of state_dict()", group="state")
def _resume_in_process(subject: Subject) -> None:
    _resume(subject, copy.deepcopy)


def _resume(subject: Subject, carry: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    params, gradients = make_params(), make_gradients(30)
    optimizer = subject.build(params)
    run(optimizer, params, gradients[:13])
    resumed = copies(params)
    fresh = subject.build(resumed)
    fresh.load_state_dict(carry(optimizer.state_dict()))
    run(optimizer, params, gradients[13:])
    run(fresh, resumed, gradients[13:])
    require_same(resumed, params, "17 steps after resuming")


@check("load_copies", "a loaded state shares no memory with the one it was loaded from", group="state")
def _load_copies(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(16)
    optimizer = subject.build(params)
    run(optimizer, params, gradients[:8])
    twins = copies(params)
    fresh = subject.build(twins)
    fresh.load_state_dict(optimizer.state_dict())
    before = {name: tensor.detach().clone() for name, tensor in state_tensors(fresh)}
    run(optimizer, params, gradients[8:])
    moved = [name for name, tensor in state_tensors(fresh) if not identical(before[name], tensor)]
    require(not moved, f"training the source on changed the loaded {', '.join(moved[:3])}")


@check("load_keeps_dtypes", "load_state_dict keeps the precision of the state under bfloat16 parameters", group="state")
def _load_keeps_dtypes(subject: Subject) -> str:
    params = make_params(torch.bfloat16, scale=0.01)
    optimizer = subject.build(params)
    run(optimizer, params, make_gradients(6))
    fresh = subject.build(copies(params))
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    loaded = dict(state_tensors(fresh))
    for name, tensor in state_tensors(optimizer):
        require(name in loaded, f"{name} was not loaded")
        after = loaded[name]
        require(tensor.dtype == after.dtype, f"{name} was {tensor.dtype} and is {after.dtype} after loading")
        require(identical(tensor, after), f"{name} has another value after loading")
    kinds = {
        str(t.dtype).removeprefix("torch.") for _, t in state_tensors(optimizer) if t.is_floating_point() and t.dim()
    }
    return f"state in {', '.join(sorted(kinds))}" if kinds else "no state of a floating dtype"


@check(
    "load_refuses_others", "a state with other parameters is refused, and leaves training undisturbed", group="state"
)
def _load_refuses_others(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(16)
    source = subject.build(make_params()[:2])
    untouched = copies(params)
    optimizer, reference = subject.build(params), subject.build(untouched)
    for each, theirs in ((optimizer, params), (reference, untouched)):
        run(each, theirs, gradients[:8])
    try:
        optimizer.load_state_dict(source.state_dict())
    except Exception as error:  # noqa: BLE001 - any refusal will do, if nothing has changed
        run(optimizer, params, gradients[8:])
        run(reference, untouched, gradients[8:])
        require_same(params, untouched, f"training on after the refusal ({describe(error)})")
    else:
        raise CheckFailure("a state of two parameters was loaded over four without a word")


@check("deepcopy", "a deep copy trains on by itself, bit for bit as the original", group="state")
def _deepcopy(subject: Subject) -> None:
    _duplicate(subject, copy.deepcopy)


@check("pickle", "a pickled optimizer trains on bit for bit", group="state")
def _pickle(subject: Subject) -> None:
    def through_bytes(pair: Any) -> Any:
        try:
            data = pickle.dumps(pair)
        except Exception as error:
            raise CheckFailure(f"cannot be pickled: {describe(error)}") from error
        return pickle.loads(data)

    _duplicate(subject, through_bytes)


def _duplicate(subject: Subject, duplicate: Callable[[Any], Any]) -> None:
    params, gradients = make_params(), make_gradients(20)
    optimizer = subject.build(params)
    run(optimizer, params, gradients[:8])
    other, others = duplicate((optimizer, params))
    kept = values(others)
    run(optimizer, params, gradients[8:])
    require_same(others, kept, "training the original changed the copy")
    run(other, others, gradients[8:])
    require_same(others, params, "12 steps after copying")


@check("state_hooks", "hooks around state_dict and load_state_dict run, and what they return is used", group="state")
def _state_hooks(subject: Subject) -> None:
    params = make_params()
    optimizer = subject.build(params)
    run(optimizer, params, make_gradients(3))
    seen: list[str] = []

    def altered(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        seen.append("state_dict post")
        return {**state, "note": "kept"}

    def doubled(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        seen.append("load pre")
        return {**state, "param_groups": [{**group, "note": "from the hook"} for group in state["param_groups"]]}

    optimizer.register_state_dict_pre_hook(lambda _: seen.append("state_dict pre"))
    optimizer.register_state_dict_post_hook(altered)
    optimizer.register_load_state_dict_pre_hook(doubled)
    optimizer.register_load_state_dict_post_hook(lambda _: seen.append("load post"))
    state = optimizer.state_dict()
    require(state.get("note") == "kept", "what a state_dict hook returned was not used")
    optimizer.load_state_dict(copy.deepcopy(state))
    require(
        optimizer.param_groups[0].get("note") == "from the hook", "what a load_state_dict hook returned was not used"
    )
    expected = ["state_dict pre", "state_dict post", "load pre", "load post"]
    require(seen == expected, f"the hooks that ran are {seen}, not {expected}")


@check("loads_from_adam", "a state of torch's Adam loads, where the buffers have the same names", group="state")
def _loads_from_adam(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(12)
    adam = torch.optim.Adam(params, lr=1e-3)
    run(adam, params, gradients[:6])
    twins = copies(params)
    probe = subject.build(make_params())
    run(probe, probe.param_groups[0]["params"], gradients[:1])
    names = set(next(iter(probe.state.values()), {}))
    if not {"exp_avg", "exp_avg_sq"} <= names:
        raise NotApplicable(f"its buffers are {', '.join(sorted(map(str, names))) or 'none'}")
    optimizer = subject.build(twins)
    try:
        optimizer.load_state_dict(copy.deepcopy(adam.state_dict()))
        before = values(twins)
        exp_avg = optimizer.state[twins[0]]["exp_avg"]
        require(identical(exp_avg, adam.state[params[0]]["exp_avg"]), "exp_avg did not arrive")
        run(optimizer, twins, gradients[6:])
        require_moved(before, twins, "after loading")
    except Exception as error:
        # Nobody promised it: worth knowing, and no failure.
        raise NotApplicable(f"torch's own state does not load: {describe(error)}") from error
