"""Rules that users write: the least one needs, and what is refused by name."""

from __future__ import annotations

import pytest
import torch

from waddington.errors import ArgumentError
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.kernels import cache
from waddington.optim.rule import Measured, Rule

OF_THE_ENGINE = {
    "betas": (0.9, 0.99), "eps": 0.0, "weight_decay": 0.0, "decoupled_weight_decay": True, "maximize": False,
    "nonfinite": "mask", "stochastic_rounding": False, "state_dtype": "float32",
}  # fmt: skip


def rule_of(update=lambda grad, measured, buffers, scalars, flags: grad, **parts):
    """Give a rule without anything but a direction, unless `parts` say otherwise."""
    nothing = {
        "buffers": lambda settings: (),
        "scalars": lambda step, tensor_scalars, settings: {},
        "update_moments": lambda grad, buffers, scalars, flags: Measured({}),
    }
    return Rule(**nothing | parts, update=update)


def optimizer_of(rule, params, compile, **settings):
    class Mine(RuleOptimizer):
        _rule = rule

        def __init__(self, params):
            super().__init__(params, OF_THE_ENGINE | {"lr": 0.1, "compile": compile} | settings)

    return Mine(params)


def stepped(rule, compile, **settings):
    """Give what becomes of zeros whose gradient is 3."""
    param = torch.nn.Parameter(torch.zeros(8))
    param.grad = torch.full((8,), 3.0)
    optimizer_of(rule, [param], compile, **settings).step()
    return param.detach()


@pytest.mark.parametrize("compile", [False, True])
def test_a_rule_without_buffers_steps(compile):
    torch.testing.assert_close(stepped(rule_of(), compile), torch.full((8,), -0.3))


def test_many_buffers_of_bfloat16_are_rounded_by_kernels_as_without():
    """Each by random bits of its own; products with powers of two are exact, so that both ways compute the same."""
    names = tuple(f"slow_{number}" for number in range(6))
    rule = rule_of(
        lambda grad, measured, buffers, scalars, flags: sum((measured.buffers[name] for name in names), grad),
        buffers=lambda settings: names,
        update_moments=lambda grad, buffers, scalars, flags: Measured(
            {name: buffers[name] * 0.5 + grad * 0.25 for name in names}
        ),
    )
    found = []
    for compile in (False, True):
        generator = torch.Generator().manual_seed(0)
        param = torch.nn.Parameter(torch.randn(90, 70, generator=generator).bfloat16())
        settings = {"state_dtype": "bfloat16", "stochastic_rounding": True, "lr": 2.0**-6}
        optimizer = optimizer_of(rule, [param], compile, **settings)
        for _ in range(3):
            param.grad = torch.randn(90, 70, generator=generator).bfloat16()
            optimizer.step()
        found.append([param.detach(), *(optimizer.state[param][name] for name in names)])
    for eager, compiled in zip(*found, strict=True):
        assert torch.equal(eager, compiled)
    lost = torch.stack(found[0][1:]).float()
    assert all((one != other).any() for row, one in enumerate(lost) for other in lost[:row])


@pytest.mark.parametrize("compile", [False, True])
def test_a_buffer_may_become_another(compile):
    """A window of gradients, whichever of its buffers is written first."""
    rule = rule_of(
        lambda grad, measured, buffers, scalars, flags: buffers["older"],
        buffers=lambda settings: ("latest", "older"),
        update_moments=lambda grad, buffers, scalars, flags: Measured({"latest": grad, "older": buffers["latest"]}),
    )
    param = torch.nn.Parameter(torch.zeros(8))
    optimizer = optimizer_of(rule, [param], compile)
    for value in (3.0, 5.0, 7.0):
        param.grad = torch.full((8,), value)
        optimizer.step()
    assert optimizer.state[param]["older"][0].item() == 5.0
    torch.testing.assert_close(param.detach(), torch.full((8,), -0.8))


# -- a kernel is named by what the rule does --


@pytest.mark.parametrize("compile", [False, True])
def test_rules_that_differ_in_a_lambda_alone_do_not_meet(compile):
    same = rule_of(lambda grad, measured, buffers, scalars, flags: grad)
    sign = rule_of(lambda grad, measured, buffers, scalars, flags: grad.sign())
    assert stepped(same, compile)[0].item() == pytest.approx(-0.3)
    assert stepped(sign, compile)[0].item() == pytest.approx(-0.1)


def test_a_function_that_is_edited_is_seen_by_the_next_optimizer():
    """As when a cell of a notebook, or a module of helpers, is run anew."""
    names = {"helper": lambda grad: grad}
    exec("def update(grad, measured, buffers, numbers, choices): return helper(grad)", names)
    rule = rule_of(names["update"])
    assert stepped(rule, True)[0].item() == pytest.approx(-0.3)
    names["helper"] = torch.sign
    assert stepped(rule, True)[0].item() == pytest.approx(-0.1)


def test_rules_that_do_the_same_share_a_kernel_and_keep_the_names_of_their_sums():
    def measured(name):
        return lambda grad, buffers, scalars, flags: Measured({}, {name: grad.abs()})

    def derived(name):
        return lambda totals, size, scalars, flags: {"mean": totals[name] / size}

    def update(grad, measured, buffers, scalars, flags):
        return grad - scalars["mean"] * 0.5

    for name in ("first", "second"):
        rule = rule_of(update, update_moments=measured(name), from_sums=derived(name))
        made = len(cache.kernels_made)
        assert stepped(rule, True)[0].item() == pytest.approx(-0.15)
    assert len(cache.kernels_made) == made


def test_a_length_used_as_a_number_is_not_the_number_that_it_is_traced_with():
    by_seven = rule_of(lambda grad, measured, buffers, scalars, flags: grad / 7)
    by_length = rule_of(lambda grad, measured, buffers, scalars, flags: grad / grad.numel())
    assert stepped(by_seven, True)[0].item() == pytest.approx(-0.3 / 7)
    with pytest.raises(ArgumentError, match="'direction' of one coordinate depends on the others"):
        stepped(by_length, True)


# -- names --


def gives(name):
    return lambda step, tensor_scalars, settings: {name: 0.25}


def measures(buffers=(), terms=()):
    return lambda grad, held, scalars, flags: Measured(dict.fromkeys(buffers, grad), dict.fromkeys(terms, grad))


def observes(*names):
    return lambda direction, measured, buffers, scalars, flags: dict.fromkeys(names, direction)


MISUSED = {
    **{f"number {name}": {"scalars": gives(name)} for name in ("rate", "rate_factor", "size", "taken", "weight_decay")},
    **{f"buffer {name}": {"buffers": lambda settings, name=name: (name,)} for name in ("step", "skipped_steps")},
    **{f"sum {name}": {"update_moments": measures(terms=[name])} for name in ("dropped", "grad_sq")},
    "sum update_ratio": {"observe": observes("update_ratio")},
    "sum own": {"update_moments": measures(terms=["own"]), "observe": observes("own")},
    "settled rate": {"from_sums": lambda totals, size, scalars, flags: {"rate": size}},
    "remembered step": {
        "tensor_scalars": lambda settings: ("step",),
        "tensor_scalars_after": lambda step, settings: {"step": step},
    },
}


@pytest.mark.parametrize("misuse", MISUSED)
def test_names_that_the_engine_keeps_are_refused_when_an_optimizer_is_made(misuse):
    name = misuse.split()[1]
    with pytest.raises(ArgumentError, match=rf"cannot name a .* of a rule '{name}'.*in use already are .*'{name}'"):
        optimizer_of(rule_of(**MISUSED[misuse]), [torch.zeros(3, requires_grad=True)], False)


def test_names_of_ones_own_are_accepted_whatever_a_kernel_calls_its_inputs():
    names = ("value", "grad", "salt", "number_0")
    rule = rule_of(
        lambda grad, measured, buffers, scalars, flags: grad * scalars["row"] + buffers["salt"],
        buffers=lambda settings: names, update_moments=measures(names), scalars=gives("row"),
    )  # fmt: skip
    assert stepped(rule, True)[0].item() == stepped(rule, False)[0].item() == pytest.approx(-0.1 * (0.75 + 3.0))


@pytest.mark.parametrize("count", [40, 41])
def test_a_rule_has_room_for_so_many_numbers(count):
    def scalars(step, tensor_scalars, settings):
        return {f"n{place}": float(place) for place in range(count)}

    rule = rule_of(lambda g, m, b, scalars, c: g * scalars[f"n{count - 1}"], scalars=scalars)
    if count > 40:
        with pytest.raises(ArgumentError, match="41 numbers: 40 or fewer"):
            stepped(rule, True)
    else:
        assert stepped(rule, True)[0].item() == pytest.approx(-0.3 * 39.0)


@pytest.mark.parametrize(
    "read", [lambda flags: flags["window"], lambda flags: flags.get("window", 5)], ids=["item", "get"]
)
def test_a_number_of_the_settings_is_no_choice(read):
    rule = rule_of(lambda grad, measured, buffers, scalars, flags: grad * read(flags))
    with pytest.raises(
        ArgumentError, match=r"setting window=3 .*words, True or False .*'maximize'.*scalars\['window'\]"
    ):
        optimizer_of(rule, [torch.zeros(3, requires_grad=True)], False, window=3)


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"update": lambda grad, m, b, scalars, c: grad * scalars["beta"]}, "'beta'.*numbers that `scalars`"),
        ({"update": lambda grad, m, buffers, n, c: grad * buffers["mean"]}, "'mean'.*the rule's buffers"),
        ({"update": lambda grad, measured, b, n, c: measured.saved["mean"]}, "'mean'.*saves"),
        ({"from_sums": lambda totals, size, n, c: {"mean": totals["total"]}}, "'total'.*the sums of `update_moments`"),
        ({"update_moments": measures(["mean"])}, "cannot keep 'mean': `buffers` names none"),
    ],
    ids=["number", "buffer", "saved", "sum", "unnamed"],
)
def test_what_nobody_gives_is_named(parts, named):
    with pytest.raises(ArgumentError, match=named):
        optimizer_of(rule_of(**parts), [torch.zeros(3, requires_grad=True)], False)
