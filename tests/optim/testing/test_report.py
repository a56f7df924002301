"""What a report says, which checks are run, and that they leave nothing behind."""

from __future__ import annotations

import json
import random
import warnings
from functools import partial

import pytest
import torch

from optim.testing import broken
from waddington.errors import ArgumentError, UnknownNameError
from waddington.optim.testing import CheckResult, Report, check_optimizer, checks

RESULTS = (
    CheckResult("a", "first promise", "step", "passed", "", 0.25),
    CheckResult("longer_name", "second promise", "gradients", "failed", "left | right", 0.5),
    CheckResult("c", "third promise", "gradients", "not applicable", "has no argument c", 0.0),
    CheckResult("d", "fourth promise", "hosts", "error", "cannot be built", 0.0),
)
REPORT = Report("Some", RESULTS)


def test_text_is_aligned_and_summed_up():
    assert str(REPORT).splitlines() == [
        "Some: 1 passed, 1 failed, 1 not applicable, 1 error (0.8 s)",
        "step       a            passed          first promise",
        "gradients  longer_name  failed          left | right",
        "gradients  c            not applicable  has no argument c",
        "hosts      d            error           cannot be built",
    ]


def test_markdown_keeps_its_columns():
    lines = REPORT.to_markdown().splitlines()
    assert lines[4] == "| step | `a` | passed | first promise |"
    assert lines[5] == r"| gradients | `longer_name` | failed | left \| right |"


def test_dictionary_goes_through_json():
    found = json.loads(json.dumps(REPORT.to_dict()))
    assert found["optimizer"] == "Some"
    assert found["passed"] is False
    assert [CheckResult(**entry) for entry in found["results"]] == list(RESULTS)


def test_raising_shows_the_rows_that_are_not_fulfilled():
    with pytest.raises(AssertionError) as caught:
        REPORT.raise_if_failed()
    lines = str(caught.value).splitlines()
    assert lines[0] == REPORT.summary
    assert [line.split()[1] for line in lines[1:]] == ["longer_name", "d"]
    Report("Some", RESULTS[:1]).raise_if_failed()


def test_refused_and_not_applicable_count_as_fulfilled():
    kinds = ("passed", "refused", "not applicable")
    assert Report("Some", tuple(CheckResult("a", "", "step", kind, "", 0.0) for kind in kinds)).passed


@pytest.mark.parametrize(
    ("only", "skip", "expected"),
    [
        (["closure"], None, ["closure"]),
        (["groups"], ["unfrozen"], ["group_rates", "late_group", "frozen_later"]),
        (["Closure", "maximize"], None, ["closure", "maximize"]),
        (["groups", "closure"], ["groups"], ["closure"]),
    ],
)
def test_checks_are_chosen_by_name_and_group(only, skip, expected):
    report = check_optimizer(broken.Momentum, only=only, skip=skip)
    assert [result.name for result in report.results] == expected


def test_slow_checks_are_left_out_unless_asked_for():
    fast = {entry.name for entry in checks() if not entry.slow and entry.group == "hosts"}
    assert {result.name for result in check_optimizer(broken.Momentum, only=["hosts"]).results} == fast


def test_unknown_checks_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'closure'"):
        check_optimizer(broken.Momentum, only=["closur"])
    with pytest.raises(UnknownNameError, match="unknown check 'gradients'"):
        check_optimizer(broken.Momentum, expected_refusals={"gradients": "."})
    with pytest.raises(ArgumentError, match="optimizer must be a class or a function"):
        check_optimizer(broken.Momentum([torch.zeros(1, requires_grad=True)]))


def test_an_optimizer_that_cannot_step_has_no_verdict():
    report = check_optimizer(torch.optim.LBFGS, only=["closure", "deepcopy"])
    assert [result.status for result in report.results] == ["error", "error"]
    assert "takes no ordinary step" in report.results[0].message
    still = check_optimizer(broken.Momentum, kwargs={"lr": 0.0}, only=["closure"])
    assert "stayed" in still.results[0].message
    assert "no torch.optim.Optimizer" in check_optimizer(lambda params: [], only=["closure"]).results[0].message


def test_factories_and_arguments_are_handed_on():
    def make(params, **kwargs):
        return torch.optim.SGD(params, **kwargs)

    report = check_optimizer(make, kwargs={"lr": 0.02, "momentum": 0.9}, only=["maximize", "foreach", "bad_betas"])
    assert [result.status for result in report.results] == ["passed", "not applicable", "passed"]
    assert report.optimizer == "make"
    assert check_optimizer(partial(broken.Momentum, lr=0.1), only=["closure"]).optimizer == "Momentum"


def test_checks_leave_generators_modes_and_warnings_alone():
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(3), random.random()
    torch.manual_seed(5)
    random.seed(5)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check_optimizer(Warning_, only=["closure", "deterministic"])
        assert not torch.is_grad_enabled()
    assert report.passed, report
    assert torch.equal(torch.rand(3), expected[0])
    assert random.random() == expected[1]


class Warning_(broken.Momentum):
    def finite(self, grads):
        warnings.warn("to be kept inside", stacklevel=1)
        torch.rand(1)
        return super().finite(grads)
