"""Optimizers by name."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from waddington.errors import ArgumentError, MissingExtraError, UnknownNameError
from waddington.optim import ASGDAdam, registry

PARAM = [torch.zeros(2, requires_grad=True)]
SPECS = [registry.get(name) for name in registry.names()]
OURS = [spec.name for spec in SPECS if spec.package == "waddington"]
BORROWED = [spec.name for spec in SPECS if spec.extra]


@pytest.fixture(autouse=True)
def _nothing_is_compiled():
    """Adam8bit compiles its step in seconds; test_baselines.py has it compiled once."""
    with torch.compiler.set_stance("force_eager"):
        yield


def known(name):
    spec = registry.get(name)
    pytest.importorskip(spec.package)
    return spec


def model(seed=0):
    """Give a matrix large enough for a quantized state, and a vector."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in ((64, 64), (5,))]


def advance(params, optimizer, steps):
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for param in params:
            param.grad = param.detach() + torch.randn(param.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize("inside", [False, True], ids=["parameters", "context"])
@pytest.mark.parametrize("name", registry.names())
def test_a_model_on_the_meta_device_is_stepped(name, inside, request):
    if inside and name in ("RAdam", "NAdam", "Adagrad"):
        reason = "torch's own reads its step counts, which it makes on the default device"
        request.applymarker(pytest.mark.xfail(raises=RuntimeError, strict=True, reason=reason))
    known(name)
    params = [torch.nn.Parameter(torch.empty(shape, device="meta")) for shape in ((64, 48), (5,))]
    with torch.device("meta") if inside else nullcontext():
        optimizer = registry.build(name, params)
        for _ in range(2):
            for param in params:
                param.grad = torch.empty_like(param)
            optimizer.step()
    assert all(param.is_meta for param in params)


def loss_of(params):
    return sum(float(param.detach().square().sum()) for param in params) / 2


def test_the_guides_comparison_is_there():
    assert {"Adam", "AMSGrad", "AdamW", "SGD", "Padam", "AdaBelief", "ASGDAdam", "ASGDAMSGrad"} <= set(registry.names())


def test_names_differ_by_more_than_case():
    assert len({name.casefold() for name in registry.names()}) == len(registry.names())


@pytest.mark.parametrize("name", registry.names())
def test_each_builds_with_its_defaults_and_says_where_it_is_from(name):
    spec = known(name.upper())
    assert spec.name == name
    assert spec.paper
    assert spec.switching == ("alpha_min" in spec.arguments)
    cls, kwargs = registry.resolve(name)
    assert kwargs == {**spec.defaults, **spec.kwargs}
    assert spec.path.rpartition(".")[2] == cls.__name__
    assert spec.package in {base.__module__.split(".")[0] for base in cls.__mro__}
    optimizer = registry.build(name, PARAM)
    assert type(optimizer) is cls
    assert optimizer.param_groups[0]["lr"] == spec.defaults["lr"]


@pytest.mark.parametrize("name", registry.names())
def test_defaults_fixed_arguments_and_ranges_are_arguments_of_the_class(name):
    spec = known(name)
    assert set(spec.defaults) <= set(spec.arguments)
    assert not set(spec.kwargs) & set(spec.arguments)
    assert {"betas" if key == "beta2" else key for key in spec.tunable} <= set(spec.arguments)
    low, high = spec.tunable["lr"]
    assert low <= spec.defaults["lr"] <= high
    spec.cls(PARAM, **spec.kwargs)


@pytest.mark.parametrize("name", registry.names())
def test_a_step_with_the_defaults_lowers_a_bowl(name):
    known(name)
    params = model()
    before = loss_of(params)
    optimizer = registry.build(name, params)
    for param in params:
        param.grad = param.detach().clone()
    optimizer.step()
    assert loss_of(params) < before


@pytest.mark.parametrize("name", registry.names())
def test_a_saved_state_resumes_bit_for_bit(name, tmp_path):
    known(name)
    params = model()
    optimizer = registry.build(name, params, lr=1e-2)
    advance(params, optimizer, range(7))
    torch.save({"params": params, "optimizer": optimizer.state_dict()}, tmp_path / "saved.pt")
    advance(params, optimizer, range(7, 12))
    saved = torch.load(tmp_path / "saved.pt", weights_only=True)
    resumed = registry.build(name, saved["params"], lr=1e-2)
    resumed.load_state_dict(saved["optimizer"])
    advance(saved["params"], resumed, range(7, 12))
    for expected, found in zip(params, saved["params"], strict=True):
        assert torch.equal(expected, found)


# Where there are two modes, the point where gradients are taken moves to the average at any rate.
@pytest.mark.parametrize("name", [spec.name for spec in SPECS if not spec.modes])
def test_a_rate_set_from_outside_holds_from_the_next_step(name):
    known(name)
    params = model()
    optimizer = registry.build(name, params)
    advance(params, optimizer, range(2))
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # as Stable-Baselines3 sets it
    before = [param.detach().clone() for param in params]
    advance(params, optimizer, range(2, 4))
    for expected, found in zip(before, params, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("name", registry.names())
def test_a_mistyped_argument_is_refused(name):
    known(name)
    with pytest.raises(ArgumentError, match=rf"cannot use momentun=0.9 with {name}: accepted are lr"):
        registry.build(name, PARAM, momentun=0.9)


@pytest.mark.parametrize("name", OURS)
def test_our_defaults_are_the_signatures(name):
    spec = registry.get(name)
    signature = inspect.signature(spec.cls).parameters
    assert {key: signature[key].default for key in spec.defaults} == spec.defaults


def test_defaults_of_a_spec_cannot_be_changed_through_a_resolution():
    registry.resolve("ASGDAdam")[1]["lr"] = 7.0
    assert registry.get("ASGDAdam").defaults["lr"] == 1e-2


def test_overrides_reach_the_optimizer():
    optimizer = registry.build("asgdadam", PARAM, lr=3e-3, alpha_min=1e-3, tau=5.0, betas=(0.8, 0.99))
    assert isinstance(optimizer, ASGDAdam)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["alpha_min"], group["tau"], group["betas"]) == (3e-3, 1e-3, 5.0, (0.8, 0.99))
    assert registry.build("AMSGrad", PARAM).param_groups[0]["amsgrad"] is True


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'ASGDAdm'.*'ASGDAdam'.*Padam"):
        registry.get("ASGDAdm")


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("SGD", {"betas": (0.9, 0.99)}),
        ("Adam", {"alpha_min": 1e-4}),
        ("AMSGrad", {"amsgrad": False}),
        ("AdaBelief", {"eps": 1e-5}),
        ("Lion", {"cautious": True}),
    ],
)
def test_an_override_without_an_argument_is_refused_or_left_out_on_request(name, override):
    known(name)
    with pytest.raises(ArgumentError, match=rf"cannot use {next(iter(override))}=.* with {name}: accepted are lr"):
        registry.resolve(name, **override)
    assert registry.resolve(name, ignore_unsupported=True, **override) == registry.resolve(name)


@pytest.mark.parametrize(
    ("name", "override", "accepted"),
    [
        ("SGD", {"nesterov": "false"}, "nesterov must be one of False, True"),
        ("ASGDAdam", {"bias_correction": "no"}, "bias_correction must be one of False, True"),
        ("AdamW", {"eps": True}, "eps must be a number, such as 1e-08"),
        ("AMVT", {"weight_decay": False}, "weight_decay must be a number, such as"),
    ],
)
def test_a_value_that_python_takes_for_another_kind_is_refused(name, override, accepted):
    with pytest.raises(ArgumentError, match=rf"cannot use {next(iter(override))}=.* with {name}: {accepted}"):
        registry.resolve(name, **override)


def test_a_value_out_of_range_is_refused():
    with pytest.raises(ArgumentError, match="cannot use p=2"):
        registry.build("Padam", PARAM, p=2)


@pytest.mark.parametrize("name", BORROWED)
def test_a_missing_library_is_named_with_its_extra_when_the_class_is_asked_for(name, monkeypatch):
    spec = registry.get(name)
    monkeypatch.setitem(sys.modules, spec.package, None)
    assert spec.path
    with pytest.raises(MissingExtraError, match=rf"'{spec.package}' is not installed.*waddington\[{spec.extra}\]"):
        registry.build(name, PARAM)


def test_looking_optimizers_up_imports_no_library_of_theirs():
    code = (
        "import sys; from waddington.optim import registry; print([registry.get(n).path for n in registry.names()]);"
        "print(*{registry.get(n).package for n in registry.names()} & set(sys.modules), file=sys.stderr)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert set(loaded) == {"torch", "waddington"}


def test_the_extra_installs_the_libraries():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.match(r"\w+", entry)[0] for entry in project["optional-dependencies"]["baselines"]}
    assert required == {registry.get(name).package for name in BORROWED}
