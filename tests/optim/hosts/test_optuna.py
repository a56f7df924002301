"""Optuna tunes our optimizers; what a trial leaves behind, pruned, failed or finished, changes no other trial."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("optuna")

import optuna
import torch

from optim.hosts.hosted import Hosted, assert_equal, each_hosted, loss_of, net, train, weights
from waddington.optim import registry

NAMES = [spec.name for spec in map(registry.get, registry.names()) if spec.package == "waddington" and not spec.modes]
STEPS = 10
TEMPLATE = net()


@pytest.fixture(autouse=True)
def quiet():
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


def study(**kwargs: Any) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **kwargs)


def value_of(name: str, lr: float, trial: optuna.Trial | None = None) -> float:
    """Train the template once; where a trial is given, report to it and stop if it is to be pruned."""
    model = copy.deepcopy(TEMPLATE)
    optimizer = registry.build(name, model.parameters(), lr=lr)
    for step in range(STEPS):
        train(model, optimizer, [step])
        if trial is not None:
            trial.report(loss_of(model, step).item(), step)
            if trial.should_prune():
                raise optuna.TrialPruned
    return loss_of(model, STEPS).item()


def suggested_rate(name: str, trial: optuna.Trial) -> float:
    low, high = registry.get(name).tunable["lr"]
    return trial.suggest_float("lr", low, high, log=True)


def fail(name: str, trial: optuna.Trial) -> None:
    """Fail while building, between two steps, and inside a step."""
    model = copy.deepcopy(TEMPLATE)
    if trial.number == 1:
        registry.build(name, model.parameters(), lr=-1.0)
    optimizer = registry.build(name, model.parameters(), nonfinite="raise")
    train(model, optimizer, [0, 1])
    if trial.number == 4:
        raise ValueError("out of luck")
    model[0].weight.data.fill_(torch.nan)
    train(model, optimizer, [2])


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_is_worth_what_it_is_worth_alone(name):
    """Every third trial fails and others are pruned; those that finish do not notice."""

    def objective(trial: optuna.Trial) -> float:
        lr = suggested_rate(name, trial)
        if trial.number % 3 == 1:
            fail(name, trial)
        return value_of(name, lr, trial)

    tuned = study(pruner=optuna.pruners.PercentilePruner(50.0, n_startup_trials=2, n_warmup_steps=3))
    tuned.optimize(objective, n_trials=9, catch=(ValueError,))
    states = [trial.state.name for trial in tuned.trials]
    assert {"COMPLETE", "FAIL", "PRUNED"} == set(states)
    assert states[1] == states[4] == states[7] == "FAIL"
    finished = [trial for trial in tuned.trials if trial.state.name == "COMPLETE"]
    assert [trial.value for trial in finished] == [value_of(name, trial.params["lr"]) for trial in finished]
    assert tuned.best_value == min(trial.value for trial in finished)


@pytest.mark.parametrize("name", NAMES)
def test_trials_in_threads_do_not_mix(name):
    rates = [1e-4, 1e-3, 3e-3, 1e-2]
    tuned = study()
    for lr in rates:
        tuned.enqueue_trial({"lr": lr})
    tuned.optimize(lambda trial: value_of(name, suggested_rate(name, trial)), n_trials=len(rates), n_jobs=2)
    found = {trial.params["lr"]: trial.value for trial in tuned.trials}
    assert found == {lr: value_of(name, lr) for lr in rates}


@each_hosted
def test_a_diverging_trial_is_pruned_and_forgotten(hosted: Hosted):
    def objective(trial: optuna.Trial) -> float:
        model = copy.deepcopy(TEMPLATE)
        optimizer = hosted.build(model.parameters())
        if trial.suggest_categorical("breaks", [True, False]):
            loss_of(model, 0).mul(float("inf")).backward()
            optimizer.step()
            assert optimizer.diagnostics()["skipped_steps"] == 1
            raise optuna.TrialPruned
        train(model, optimizer, range(STEPS))
        return loss_of(model, STEPS).item()

    tuned = study()
    for breaks in (False, True, False):
        tuned.enqueue_trial({"breaks": breaks})
    tuned.optimize(objective, n_trials=3)
    assert [trial.state.name for trial in tuned.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert tuned.trials[0].value == tuned.trials[2].value


@each_hosted
def test_trials_that_start_from_one_state_share_no_memory(hosted: Hosted):
    """Population-based training hands one state_dict to many; torch's own load_state_dict aliases it."""
    parent = copy.deepcopy(TEMPLATE)
    optimizer = hosted.build(parent.parameters())
    train(parent, optimizer, range(5))
    handed, kept = optimizer.state_dict(), copy.deepcopy(optimizer.state_dict())
    figures = optimizer.diagnostics()
    ends = []
    for _ in range(2):
        child = copy.deepcopy(parent)
        heir = hosted.build(child.parameters())
        heir.load_state_dict(handed)
        train(child, heir, range(5, 10))
        ends.append(weights(child))
    assert_equal(*ends)
    assert optimizer.diagnostics() == figures
    heir = hosted.build(copy.deepcopy(parent).parameters())
    heir.load_state_dict(kept)
    assert heir.diagnostics() == figures
    train(parent, optimizer, range(5, 10))
    assert_equal(weights(parent), ends[0])
