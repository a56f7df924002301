"""The borrowed optimizers against their papers' equations in float64, and what the adapters promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from waddington.errors import ArgumentError
from waddington.optim import registry

STEPS = 50
SHAPES = {"embed": (6, 4), "matrix": (5, 7), "vector": (3,)}


def gradients(steps=STEPS):
    """Give gradients for each step and name, with a drift, so that moments and signs settle and change."""
    rng = np.random.default_rng(0)
    return [
        {name: rng.normal(loc=math.sin(step / 7), size=shape) for name, shape in SHAPES.items()}
        for step in range(steps)
    ]


def start():
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def run(name, *, named=False, **overrides):
    """Run the registry's optimizer in float64; give the parameters after each step."""
    pytest.importorskip(registry.get(name).package)
    params = {key: torch.tensor(value, requires_grad=True) for key, value in start().items()}
    optimizer = registry.build(name, params.items() if named else params.values(), **overrides)
    trajectory = []
    for grads in gradients():
        for key, param in params.items():
            param.grad = torch.tensor(grads[key])
        optimizer.step()
        trajectory.append({key: param.detach().numpy().copy() for key, param in params.items()})
    return trajectory, optimizer, params


def expected(update, **settings):
    """Run ``update(x, g, state, t, **settings) -> x`` over every parameter."""
    params, states = start(), {name: {} for name in SHAPES}
    trajectory = []
    for t, grads in enumerate(gradients(), start=1):
        params = {name: update(params[name], grads[name], states[name], t, **settings) for name in SHAPES}
        trajectory.append(params)
    return trajectory


def assert_equal(found, update, rtol=1e-10, only=tuple(SHAPES)):
    for ours, theirs in zip(found, update, strict=True):
        for name in only:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, atol=rtol)


def ema(state, name, value, beta):
    state[name] = beta * state.get(name, 0.0) + (1 - beta) * value
    return state[name]


def adam(x, g, state, t, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    m = ema(state, "m", g, betas[0]) / (1 - betas[0] ** t)
    v = ema(state, "v", g**2, betas[1]) / (1 - betas[1] ** t)
    return x - lr * (m / (np.sqrt(v) + eps) + weight_decay * x)


def adabelief(x, g, state, t, *, lr, betas=(0.9, 0.999), eps=1e-16):
    m = ema(state, "m", g, betas[0])
    state["s"] = betas[1] * state.get("s", 0.0) + (1 - betas[1]) * (g - m) ** 2 + eps
    s = state["s"] / (1 - betas[1] ** t)
    return x - lr * m / (1 - betas[0] ** t) / (np.sqrt(s) + eps)


def adabound(x, g, state, t, *, lr, final_lr, gamma, betas=(0.9, 0.999), eps=1e-8):
    m, v = ema(state, "m", g, betas[0]), ema(state, "v", g**2, betas[1])
    rate = lr * math.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t) / (np.sqrt(v) + eps)
    return x - np.clip(rate, final_lr * (1 - 1 / (gamma * t + 1)), final_lr * (1 + 1 / (gamma * t))) * m


def lion(x, g, state, t, *, lr, betas=(0.9, 0.99), weight_decay=0.0):
    m = state.get("m", np.zeros_like(g))
    direction = np.sign(betas[0] * m + (1 - betas[0]) * g)
    ema(state, "m", g, betas[1])
    return x - lr * (direction + weight_decay * x)


def grams(x, g, state, t, *, lr, betas=(0.9, 0.999), eps=1e-6):
    return x - lr * np.abs(x - adam(x, g, state, t, lr=1.0, betas=betas, eps=eps)) * np.sign(g)


def adam_mini(x, g, state, t, *, lr, betas=(0.9, 0.999), eps=1e-8):
    m = ema(state, "m", g, betas[0]) / (1 - betas[0] ** t)
    v = ema(state, "v", np.mean(g**2), betas[1]) / (1 - betas[1] ** t)
    return x - lr * m / (np.sqrt(v) + eps)


def galore(x, g, state, t, *, lr, rank, gap, scale, betas=(0.9, 0.999), eps=1e-6):
    wide = g.ndim == 2 and g.shape[0] < g.shape[1]
    if g.ndim == 2 and ("basis" not in state or t % gap == 0):
        # Moments are carried into the new subspace coordinate by coordinate, so that the signs of singular vectors,
        # which no equation chooses, matter from then on: these are the library's, which decomposes in float32.
        u, _, vt = (part.double().numpy() for part in torch.linalg.svd(torch.tensor(g).float(), full_matrices=False))
        state["basis"] = u[:, :rank] if wide else vt[:rank].T
    basis = state.get("basis")
    low = g if basis is None else basis.T @ g if wide else g @ basis
    m, v = ema(state, "m", low, betas[0]), ema(state, "v", low**2, betas[1])
    step = lr * math.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t) * m / (np.sqrt(v) + eps)
    return x - (step if basis is None else scale * (basis @ step if wide else step @ basis.T))


def schedule_free(y, g, state, t, *, lr, betas=(0.9, 0.999), eps=1e-8):
    """Algorithm 1 of the paper with all three sequences kept; gives y, where gradients are taken."""
    z, x = state.get("z", y), state.get("x", y)
    v = ema(state, "v", g**2, betas[1]) / (1 - betas[1] ** t)
    state["z"] = z - lr * g / (np.sqrt(v) + eps)
    state["x"] = x + (state["z"] - x) / t
    return (1 - betas[0]) * state["z"] + betas[0] * state["x"]


def test_adabelief():
    assert_equal(run("AdaBelief", lr=1e-2)[0], expected(adabelief, lr=1e-2))


@pytest.mark.parametrize(("lr", "gamma"), [(1e-2, 1e-3), (1e-2, 0.5), (10.0, 0.5)])
def test_adabound_between_and_at_its_bounds(lr, gamma):
    # The library adds 1e-15 to the second moment before the root.
    found = run("AdaBound", lr=lr, gamma=gamma, final_lr=0.05)[0]
    assert_equal(found, expected(adabound, lr=lr, gamma=gamma, final_lr=0.05), rtol=1e-8)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_lion(weight_decay):
    settings = {"lr": 1e-3, "weight_decay": weight_decay}
    assert_equal(run("Lion", **settings)[0], expected(lion, **settings))


def test_grams():
    assert_equal(run("Grams", lr=1e-2)[0], expected(grams, lr=1e-2))


def test_adam_mini_takes_a_nameless_tensor_as_one_block():
    # Its state is float32 whatever the parameters are.
    assert_equal(run("AdamMini", lr=1e-2)[0], expected(adam_mini, lr=1e-2), rtol=1e-5)


def test_adam_mini_keeps_every_coordinate_of_a_named_embedding():
    found = run("AdamMini", named=True, lr=1e-2)[0]
    assert_equal(found, expected(adam, lr=1e-2), rtol=1e-5, only=["embed"])
    assert_equal(found, expected(adam_mini, lr=1e-2), rtol=1e-5, only=["matrix", "vector"])


def test_adam_mini_shares_a_second_moment_within_each_head():
    pytest.importorskip("pytorch_optimizer")
    query = torch.ones(8, 8, requires_grad=True)
    optimizer = registry.build("AdamMini", [("layer.q_proj.weight", query)], num_embeds=8, num_heads=2, lr=0.1)
    query.grad = torch.cat([torch.full((4, 8), 2.0), torch.full((4, 8), 5.0)])
    query.grad[0, 0] = 20.0
    optimizer.step()
    (group,) = optimizer.param_groups
    state = optimizer.state[query]
    torch.testing.assert_close(state["v_mean"], 1e-3 * torch.tensor([(31 * 4.0 + 400) / 32, 25.0]))
    torch.testing.assert_close(query.detach()[4:], torch.full((4, 8), 0.9))
    assert group["name"] == "layer.q_proj.weight"


def test_adam_mini_takes_groups_with_options_of_their_own():
    pytest.importorskip("pytorch_optimizer")
    params = [torch.zeros(2, requires_grad=True) for _ in range(3)]
    groups = [{"params": params[:2], "lr": 0.5, "name": "first"}, {"params": params[2], "weight_decay": 0.25}]
    optimizer = registry.build("AdamMini", groups, lr=0.1, weight_decay=0.0)
    found = [(group["lr"], group["weight_decay"], *group["params"]) for group in optimizer.param_groups]
    update = [(0.5, 0.0, params[0]), (0.5, 0.0, params[1]), (0.1, 0.25, params[2])]
    assert all(a[:2] == b[:2] and a[2] is b[2] for a, b in zip(found, update, strict=True))


def test_galore():
    found, optimizer, params = run("GaLore", lr=1e-2, rank=2, update_proj_gap=7, scale=0.5)
    assert_equal(found, expected(galore, lr=1e-2, rank=2, gap=7, scale=0.5))
    assert optimizer.state[params["matrix"]]["exp_avg"].shape == (2, 7)


def test_galore_leaves_groups_without_a_rank_alone():
    pytest.importorskip("pytorch_optimizer")
    kept, projected = (torch.ones(6, 4, requires_grad=True) for _ in range(2))
    optimizer = registry.build("GaLore", [{"params": [kept], "rank": None}, {"params": [projected]}], rank=2)
    kept.grad, projected.grad = torch.randn(6, 4), torch.randn(6, 4)
    optimizer.step()
    assert optimizer.state[kept]["exp_avg"].shape == (6, 4)
    assert optimizer.state[projected]["exp_avg"].shape == (6, 2)


def test_galore_shares_no_projection_after_loading():
    _, optimizer, params = run("GaLore", lr=1e-2, rank=2, update_proj_gap=7)
    copies = [param.detach().clone().requires_grad_() for param in params.values()]
    loaded = registry.build("GaLore", copies, lr=1e-2, rank=2, update_proj_gap=7)
    loaded.load_state_dict(optimizer.state_dict())
    ours, theirs = optimizer.state[params["matrix"]]["projector"], loaded.state[copies[1]]["projector"]
    assert ours is not theirs
    assert (theirs.rank, theirs.update_proj_gap, theirs.scale) == (2, 7, 0.25)
    assert torch.equal(ours.ortho_matrix, theirs.ortho_matrix)


@pytest.mark.parametrize(("name", "value"), [("rank", 0), ("update_proj_gap", 0), ("scale", 0.0)])
def test_galore_refuses_a_projection_that_cannot_be(name, value):
    pytest.importorskip("pytorch_optimizer")
    with pytest.raises(ArgumentError, match=f"cannot use {name}={value}"):
        registry.build("GaLore", [torch.zeros(2, requires_grad=True)], **{name: value})


def test_schedule_free_trains_where_gradients_are_taken_and_evaluates_the_average():
    found, optimizer, params = run("ScheduleFreeAdamW", lr=1e-2)
    states = {name: {} for name in SHAPES}
    now = start()
    for t, (grads, at) in enumerate(zip(gradients(), found, strict=True), start=1):
        now = {name: schedule_free(now[name], grads[name], states[name], t, lr=1e-2) for name in SHAPES}
        assert_equal([at], [now])
    optimizer.eval()
    for name, param in params.items():
        np.testing.assert_allclose(param.detach().numpy(), states[name]["x"], rtol=1e-10)
    optimizer.train()
    assert_equal([{name: param.detach().numpy() for name, param in params.items()}], [now])


def test_schedule_free_is_ready_to_step_and_keeps_no_state_before():
    pytest.importorskip("schedulefree")
    optimizer = registry.build("ScheduleFreeAdamW", [torch.zeros(2, requires_grad=True)])
    assert not optimizer.state
    optimizer.add_param_group({"params": [torch.zeros(3, requires_grad=True)]})
    assert all(group["train_mode"] for group in optimizer.param_groups)


def eight_bit(stance, shapes, steps=10):
    """Run Adam8bit and torch's Adam on the same gradients; give their parameters and the former's state."""
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    theirs = [param.detach().clone().requires_grad_() for param in ours]
    quantized, exact = registry.build("Adam8bit", ours, lr=1e-2), registry.build("Adam", theirs, lr=1e-2)
    with torch.compiler.set_stance(stance):
        for _ in range(steps):
            for a, b in zip(ours, theirs, strict=True):
                a.grad = torch.randn(a.shape, generator=generator)
                b.grad = a.grad.clone()
            quantized.step()
            exact.step()
    return ours, theirs, [quantized.state[param]["exp_avg"] for param in ours]


def assert_as_adam(ours, theirs, moments):
    """Ask of a small tensor that it is Adam's, and of a large one that it is near, with a byte for each moment."""
    torch.testing.assert_close(ours[0], theirs[0])
    assert moments[0].dtype == torch.float32
    gone = theirs[1].detach() - ours[1].detach()
    assert 0 < float(gone.abs().mean()) < 1e-3  # of 10 steps of at most 1e-2
    assert moments[1].codes.dtype == torch.uint8


def test_adam8bit_is_adam_but_for_rounded_moments():
    pytest.importorskip("torchao")
    assert_as_adam(*eight_bit("force_eager", [(5,), (64, 64)]))


@pytest.mark.slow  # compiled for each shape: 10 s or more with an empty cache
@pytest.mark.filterwarnings(
    "ignore:OptimState8bit does not implement _stable_hash_for_caching:UserWarning",
    "ignore:`torch.jit:DeprecationWarning",
)
def test_adam8bit_compiled_is_what_it_is_eagerly():
    pytest.importorskip("torchao")
    shapes = [(5,), (64, 64)]
    compiled = eight_bit("default", shapes)
    assert_as_adam(*compiled)
    for found, update in zip(compiled[0], eight_bit("force_eager", shapes)[0], strict=True):
        torch.testing.assert_close(found, update)
