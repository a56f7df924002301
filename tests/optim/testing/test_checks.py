"""Every check is broken by somebody, and each broken optimizer fails the checks that are about it and no others."""

from __future__ import annotations

import inspect

import pytest
import torch

from optim.testing import broken
from waddington.optim.testing import check_optimizer, checks

FAILS = {
    broken.Aliasing: {"load_copies"},
    broken.Ascending: {"bowl", "rosenbrock", "matrix"},
    broken.Casting: {"load_keeps_dtypes"},
    broken.Clearing: {"gradients_kept"},
    broken.Counting: {"checkpoint_probe"},
    broken.Curt: {"sparse_gradients"},
    broken.Decaying: {"gradients_kept"},
    broken.Diverging: {"foreach"},
    broken.Flattening: {"strided_parameters", "strided_gradients", "channels_last"},
    broken.Forgetful: {"resume_from_file", "resume_in_process", "load_keeps_dtypes", "checkpoint_resume"},
    broken.GradientKeeping: {"nothing_held"},
    broken.Growing: {"bounded_state"},
    broken.Hoarding: {"nothing_held"},
    broken.Hookless: {"state_hooks"},
    broken.Late: {"sparse_gradients"},
    broken.Listing: {"late_group", "deepcopy", "pickle"},
    broken.Minimizing: {"maximize"},
    broken.Moving: {"in_place"},
    broken.Mumbling: {"sparse_gradients"},
    broken.Nameless: {"named_parameters"},
    broken.Poisoned: {"nan_gradient", "inf_gradient"},
    broken.Real: {"complex_parameters"},
    broken.Reckless: {"no_gradients", "some_gradients", "unfrozen", "frozen_later"},
    broken.RefusingByKeyError: {"bad_weight_decay"},
    broken.Silent: {"closure"},
    broken.Swallowing: {"unknown_keyword"},
    broken.Twice: {"closure"},
    broken.Unchecked: {"bad_lr"},
    broken.Unpicklable: {"pickle"},
    broken.Unscheduled: {"group_rates", "lambda_lr", "one_cycle_lr", "plateau_lr", "tensor_lr", "zero_lr"},
    broken.WithoutGradients: {"closure"},
}


def statuses(report):
    return {result.name: result.status for result in report.results}


def test_an_optimizer_that_keeps_the_contract_passes():
    report = check_optimizer(broken.Momentum)
    assert report.passed, report
    assert statuses(report)["sparse_gradients"] == "refused"
    assert {name for name, status in statuses(report).items() if status == "not applicable"} == {
        "bad_betas",
        "bad_eps",
        "foreach",
        "fused",
        "loads_from_adam",
    }


each_broken = pytest.mark.parametrize("cls", FAILS, ids=lambda cls: cls.__name__)


@each_broken
def test_a_broken_one_fails_what_it_breaks(cls):
    report = check_optimizer(cls, only=sorted(FAILS[cls]))
    assert all(result.status == "failed" and result.message for result in report.results), report


@pytest.mark.slow
@each_broken
def test_a_broken_one_fails_nothing_else(cls):
    report = check_optimizer(cls)
    assert {result.name for result in report.failures} == FAILS[cls], report


def test_chance_is_found_out():
    report = check_optimizer(broken.Drawing, only=["deterministic"])
    assert [result.status for result in report.results] == ["failed"]


def test_every_broken_optimizer_is_in_the_table():
    classes = {cls for _, cls in inspect.getmembers(broken, inspect.isclass) if cls.__module__ == broken.__name__}
    assert classes == {*FAILS, broken.Momentum, broken.Drawing, broken.Local, broken.Recompiling, broken.Whole}


def test_adamw_of_torch_is_known():
    report = check_optimizer(torch.optim.AdamW)
    assert {result.name for result in report.failures} == {
        "checkpoint_probe",  # the probing step is counted, and shifts the bias correction
        "inf_gradient",
        "load_copies",  # tensors that need no cast are taken over, not copied
        "nan_gradient",
    }
    assert "SparseAdam" in {result.name: result.message for result in report.results}["sparse_gradients"]


def test_a_documented_policy_is_no_failure():
    documented = {"nan_gradient": "poisoned 1 of 4", "inf_gradient": "something else"}
    report = check_optimizer(broken.Poisoned, only=["gradients"], expected_refusals=documented)
    assert statuses(report)["nan_gradient"] == "refused"
    assert statuses(report)["inf_gradient"] == "failed"
    half_done = check_optimizer(broken.Late, only=["sparse_gradients"], expected_refusals={"sparse_gradients": "."})
    assert not half_done.passed
    assert "after it had changed" in half_done.results[0].message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gradients_kept", "a gradient was written to under weight decay"),
        ("load_keeps_dtypes", r"was torch.float32 and is torch.bfloat16 after loading"),
        ("closure", "called 2 times in one step"),
        ("bounded_state", "bytes in 100 steps"),
        ("sparse_gradients", "without naming what was found"),
        ("unknown_keyword", "accepted without a word"),
    ],
)
def test_messages_say_what_was_found(name, message):
    by_check = {
        "gradients_kept": broken.Decaying,
        "load_keeps_dtypes": broken.Casting,
        "closure": broken.Twice,
        "bounded_state": broken.Growing,
        "sparse_gradients": broken.Mumbling,
        "unknown_keyword": broken.Swallowing,
    }
    with pytest.raises(AssertionError, match=message):
        check_optimizer(by_check[name], only=[name]).raise_if_failed()


def test_a_compiled_step_is_the_eager_one():
    report = check_optimizer(torch.optim.AdamW, only=["compiled_step"])
    assert report.passed, report
    assert "0 in the other eleven" in report.results[0].message


def test_a_compiled_step_that_depends_on_a_number_is_found_out():
    report = check_optimizer(broken.Recompiling, only=["compiled_step"])
    assert "compiles again" in report.results[0].message


@pytest.mark.slow  # what passes and what refuses: of the package's own, tests/optim/hosts asks it at once
def test_two_processes_train_as_one():
    report = check_optimizer(torch.optim.AdamW, only=["fully_sharded"])
    assert report.passed, report


@pytest.mark.slow
def test_two_processes_that_do_not_are_found_out():
    local = check_optimizer(broken.Local, only=["fully_sharded"])
    assert "differ by" in local.results[0].message


@pytest.mark.slow
def test_sharded_parameters_may_be_refused():
    report = check_optimizer(broken.Whole, only=["fully_sharded"])
    assert report.results[0].status == "refused", report
    assert "use SGD" in report.results[0].message


def test_a_factory_that_cannot_be_sent_to_a_process_is_left_out():
    report = check_optimizer(lambda params: broken.Momentum(params), only=["fully_sharded"])
    assert report.results[0].status == "not applicable"


def test_titles_and_names_are_unique():
    entries = checks()
    assert len({entry.name for entry in entries}) == len({entry.title for entry in entries}) == len(entries)
    assert {entry.name for entry in entries if entry.slow} == {"compiled_step", "fully_sharded"}
