"""Settings of the base-rate switch: ranges, and who reads which."""

from __future__ import annotations

import inspect

import pytest
import torch

from waddington.errors import ArgumentError
from waddington.optim import ASGDAdam, ASGDAMSGrad, Switched, _switch_settings

LR = 1e-2


def test_usual_values_are_those_of_the_signatures():
    """A setting that the rule does not read is refused at any other value."""
    for name, (usual, *_) in _switch_settings._READERS.items():
        for cls in (ASGDAdam, ASGDAMSGrad, Switched):
            default = inspect.signature(cls).parameters[name].default
            assert default == usual or (cls is Switched and name == "alignment" and default is None)


def test_a_reading_of_the_alignment_is_a_rule_for_any_optimizer():
    def group(**rule):
        return Switched(torch.optim.Adam([torch.ones(2, requires_grad=True)], lr=LR), **rule).param_groups[0]

    assert [group(alignment="clock")[name] for name in ("switch", "alignment")] == ["alignment", "clock"]
    assert [group()[name] for name in ("switch", "alignment")] == ["relative", "clock"]
    assert group(switch="relative", alignment="clock")["switch"] == "relative"


@pytest.mark.parametrize("make", [ASGDAdam, lambda params, **rule: Switched(torch.optim.Adam(params, lr=LR), **rule)])
def test_a_state_with_a_setting_that_is_not_read_is_loaded(make):
    saved = make([torch.ones(2, requires_grad=True)], switch="mean").state_dict()
    saved["param_groups"][0] |= {"switch_interval": 7, "large_rate_in": "flat", "tau": 3.0}
    optimizer = make([torch.ones(2, requires_grad=True)], switch="mean")
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["switch_interval"] == 7


def test_a_small_rate_may_equal_a_tensor_in_single_precision():
    optimizer = ASGDAdam([torch.ones(2, requires_grad=True)], lr=torch.tensor(LR), alpha_min=LR)
    assert optimizer.param_groups[0]["alpha_min"] == LR


def test_settings_of_the_whole_model_agree_between_groups():
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    with pytest.raises(ArgumentError, match="switch='linear' in one group and 'alignment' in another"):
        ASGDAdam([{"params": [a]}, {"params": [b], "switch": "linear"}])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"alpha_min": 0.1}, r"alpha_min=0.1 with lr=0.01: lr is the large base rate"),
        ({"alpha_min": -1e-3}, r"cannot use alpha_min=-0.001"),
        ({"switch": "median"}, r"'relative', 'linear', 'mean', 'coordinate', 'momentum', 'alignment'"),
        ({"large_rate_in": "both"}, r"'sharp', 'flat'"),
        ({"large_rate_in": "flat"}, r"'flat' with alignment='clock', .* large_rate_in: switch='relative' or 'linear'"),
        ({"large_rate_in": "flat", "switch": "mean"}, r"'flat' with switch='mean', which does not read it"),
        ({"switch_interval": 5}, r"switch_interval=5 with alignment='clock', .*: switch='relative' or 'linear'"),
        ({"hysteresis": 0.3, "switch": "coordinate"}, r"hysteresis=0.3 with switch='coordinate'"),
        ({"memory": 3, "alignment": "dual"}, r"memory=3 with alignment='dual'"),
        ({"count_ratio": 0.5}, r"count_ratio=0.5 with alignment='clock', .*: switch='coordinate'"),
        ({"tau": 9.0, "alignment": "ratchet"}, r"tau=9.0 with alignment='ratchet', .*alignment='clock'"),
        ({"tau": 9.0, "switch": "linear"}, r"tau=9.0 with switch='linear', .*: switch='alignment', alignment='clock'"),
        ({"alignment": "dual", "switch": "mean"}, r"alignment='dual' with switch='mean', .*: switch='alignment'"),
        ({"count_ratio": 0.0}, r"cannot use count_ratio=0.0"),
        ({"switch_interval": 0}, r"cannot use switch_interval=0"),
        ({"switch_interval": 2.5}, r"switch_interval must be a whole number"),
        ({"memory": 0}, r"cannot use memory=0"),
        ({"alignment": "both"}, r"'dual', 'clock', 'ratchet'"),
        ({"tau": 0.0}, r"cannot use tau=0.0"),
        ({"hysteresis": 0.0}, r"cannot use hysteresis=0.0"),
    ],
)
def test_argument_errors(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        ASGDAdam([torch.ones(2, requires_grad=True)], **kwargs)
    with pytest.raises(ArgumentError, match=message):
        Switched(torch.optim.Adam([torch.ones(2, requires_grad=True)], lr=1e-2), **{"switch": "alignment", **kwargs})
