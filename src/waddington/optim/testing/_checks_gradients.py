"""Gradients of every kind: sparse, broken, accumulated, negated."""

from __future__ import annotations

import torch

from waddington.optim.testing._catalog import (
    CheckFailure,
    Refusal,
    check,
    describe,
    may_refuse,
    require,
    require_argument,
)
from waddington.optim.testing._problems import (
    backward,
    copies,
    identical,
    make_gradients,
    make_params,
    require_close,
    run,
    set_gradients,
    state_tensors,
    step,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


@check("sparse_gradients", "sparse gradients act as dense ones do, or are refused", group="gradients")
def _sparse_gradients(subject: Subject) -> None:
    dense = make_params(shapes=((6, 3),))
    sparse = copies(dense)
    gradient = torch.zeros(6, 3)
    gradient[[1, 4]] = torch.arange(1.0, 7.0).view(2, 3)
    dense[0].grad, sparse[0].grad = gradient, gradient.to_sparse(1)
    with may_refuse("sparse"):
        step(subject.build(sparse))
    # Only the first step: a lazy optimizer rightly leaves the moments of absent rows alone afterwards.
    step(subject.build(dense))
    require_close(sparse, dense, "the first step with a sparse gradient")


@check("nan_gradient", "after a NaN gradient the next clean steps train on with finite values", group="gradients")
def _nan_gradient(subject: Subject) -> str:
    return _broken_gradient(subject, float("nan"))


@check("inf_gradient", "after an infinite gradient the next clean steps train on with finite values", group="gradients")
def _inf_gradient(subject: Subject) -> str:
    return _broken_gradient(subject, float("inf"))


def _broken_gradient(subject: Subject, bad: float) -> str:
    params, gradients = make_params(), make_gradients(10)
    optimizer = subject.build(params)
    run(optimizer, params, gradients[:4])
    before = values(params)
    set_gradients(params, gradients[4])
    assert params[1].grad is not None
    params[1].grad[1] = bad
    try:
        step(optimizer)
    except CheckFailure:
        raise
    except Exception as error:
        raise Refusal(f"raised before anything changed: {describe(error)}") from error
    policy = "the step was skipped"
    if not all(map(identical, before, params)):
        policy = "the step was taken with finite values" if _all_finite(params) else "the step was taken"
    run(optimizer, params, gradients[5:])
    spoilt = [name for name, tensor in state_tensors(optimizer) if not _all_finite([tensor])]
    wrong = sum(not _all_finite([param]) for param in params)
    require(wrong == 0, f"{policy} and poisoned {wrong} of {len(params)} parameters for good")
    require(not spoilt, f"{policy} and poisoned the state for good: {', '.join(spoilt)}")
    return policy


def _all_finite(tensors: list[torch.Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


@check("maximize", "maximize=True is the same as negated gradients", group="gradients")
def _maximize(subject: Subject) -> None:
    require_argument(subject, "maximize")
    plain, gradients = make_params(), make_gradients(12)
    flipped = copies(plain)
    run(subject.build(plain, maximize=False), plain, [[-g for g in row] for row in gradients])
    run(subject.build(flipped, maximize=True), flipped, gradients)
    require_close(flipped, plain, "maximize against negated gradients")


@check(
    "accumulation",
    "two backward passes before a step are one with the sum of the gradients",
    group="gradients",
)
def _accumulation(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(12)
    accumulated = copies(params)
    left, right = subject.build(params), subject.build(accumulated)
    for row in gradients:
        # On this grid float32 adds without rounding, so that the sums are the same to the last bit.
        half = [(gradient * 64).round().float() / 64 for gradient in row]
        set_gradients(params, [3 * gradient for gradient in half])
        step(left)
        right.zero_grad()
        for factor in (1, 2):
            terms = [(param * (factor * g)).sum() for param, g in zip(accumulated, half, strict=True)]
            backward(torch.stack(terms).sum())
        step(right)
    require_close(accumulated, params, "accumulated gradients")


@check("clipping", "clip_grad_norm_ between backward and step has its effect", group="gradients")
def _clipping(subject: Subject) -> None:
    params, gradients = make_params(), make_gradients(12)
    clipped, scratch = copies(params), copies(params)
    left, right = subject.build(params), subject.build(clipped)
    for row in gradients:
        for each in (scratch, clipped):
            set_gradients(each, row)
            torch.nn.utils.clip_grad_norm_(each, 0.5)
        set_gradients(params, [param.grad for param in scratch if param.grad is not None])
        step(left)
        step(right)
    require_close(clipped, params, "clipped gradients")
