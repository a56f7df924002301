"""Optimizers with settings of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from waddington.errors import ArgumentError, UnknownNameError
from waddington.optim import registry
from waddington.twin.run import RunConfig
from waddington.twin.run.optimizers import OptimizerSetting, read_settings
from waddington.twin.run.search import points


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("adam", ("Adam",)),
        ("adam,sgd", ("Adam", "SGD")),
        ("Adam,ASGDAdam,switch=mean,alpha_min=1e-7,SGD", ("Adam", "ASGDAdam,alpha_min=1e-07,switch=mean", "SGD")),
        (["ASGDAdam, switch = mean", "ASGDAdam,switch='mean'"], ("ASGDAdam,switch=mean",)),
        (torch.optim.Adam, ("Adam",)),
        ("ASGDAdam,alpha_max=1e-4", ("ASGDAdam,lr=0.0001",)),
        (["Padam,p=0.25,beta2=0.9"], ("Padam,beta2=0.9,p=0.25",)),
        (
            "Adam,betas=(0.8, 0.9),SGD,nesterov=true,momentum=0.9",
            ("Adam,beta1=0.8,beta2=0.9", "SGD,momentum=0.9,nesterov=True"),
        ),
    ],
)
def test_settings_have_one_spelling_which_reads_back(given: Any, expected: tuple[str, ...]) -> None:
    assert read_settings(given) == expected
    assert read_settings(list(expected)) == expected
    assert read_settings(",".join(expected)) == expected


def test_own_arguments_take_the_place_of_shared_ones_and_alpha_min_follows_the_rate() -> None:
    config = RunConfig.of(
        optimizer="Adam,beta2=0.99,ASGDAdam,alpha_max=1e-4,alpha_min=1e-7,switch=mean,Padam,p=0.25,lr=0.1,eps=1e-3",
        beta1=0.8,
        eps=1e-6,
    )
    adam, asgd, padam = config.optimizer
    assert config.arguments(adam, 0.5) == {"lr": 0.5, "betas": (0.8, 0.99), "eps": 1e-6}
    assert config.rate(adam) == 1e-3
    assert config.rate(asgd) == 1e-4
    assert config.arguments(asgd, 1e-4)["alpha_min"] == pytest.approx(1e-7)
    tuned = config.arguments(asgd, 1e-2, {"beta2": 0.9})
    assert tuned["alpha_min"] == pytest.approx(1e-5)
    assert (tuned["switch"], tuned["betas"], tuned["lr"]) == ("mean", (0.8, 0.9), 1e-2)
    assert config.arguments(padam, 1.0, {"p": 0.125}) == {"lr": 1.0, "betas": (0.8, 0.999), "eps": 1e-3, "p": 0.125}


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        ("Adam,beta3=1", UnknownNameError, "unknown argument of Adam 'beta3'"),
        ("Adam,lr", ArgumentError, "found 'lr'; accepted is an optimizer, then its arguments"),
        ("ASGDAdam,lr=1,alpha_max=2", ArgumentError, "they are one"),
        ("Adam,lr=1,lr=2", ArgumentError, "it says lr twice"),
        ("Adam,betas=(0.8,0.9),beta2=0.99", ArgumentError, "cannot use betas beside beta2"),
        ("SGD,nesterov=maybe,momentum=0.9", ArgumentError, "nesterov must be one of False, True"),
        ("Adam,eps=True", ArgumentError, "eps must be a number"),
        ("ASGDAdam,switch=often", ArgumentError, "switch='often'"),
        ("ASGDAdam,alpha_min=1", ArgumentError, "alpha_min=1 with lr=0.01"),
        ("Padam,p=2", ArgumentError, "p=2"),
    ],
)
def test_what_an_optimizer_refuses_is_refused_before_any_work(optimizer: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        RunConfig.of(optimizer=[optimizer])


@pytest.mark.parametrize("name", [n for n in registry.names() if registry.get(n).package in ("torch", "waddington")])
def test_a_run_can_build_every_optimizer(name: str) -> None:
    if registry.get(name).modes:
        return
    OptimizerSetting.of(name).check(RunConfig().arguments(name, 1e-3))


def test_the_paper_preset_has_the_settings_of_its_section() -> None:
    config = RunConfig.of("paper", lr_grid=())
    given = {OptimizerSetting.of(name).optimizer: name for name in config.optimizer}
    found = {optimizer: config.arguments(name, config.rate(name)) for optimizer, name in given.items()}
    assert found["Adam"] == found["AMSGrad"] == {"lr": 1e-4, "betas": (0.9, 0.99), "eps": 1e-8}
    assert (found["Padam"]["lr"], found["Padam"]["p"], found["Padam"]["betas"]) == (1e-2, 0.125, (0.9, 0.999))
    for name in ("ASGDAdam", "ASGDAMSGrad"):
        asgd = found[name]
        assert (asgd["lr"], asgd["betas"], asgd["switch"], asgd["bias_correction"]) == (
            1e-4, (0.9, 0.999), "mean", False,
        )  # fmt: skip
        assert asgd["alpha_min"] == pytest.approx(1e-7)
    assert found["SGD"] == {"lr": 3e-4, "momentum": 0.0}


def test_every_optimizer_tries_as_many_points() -> None:
    config = RunConfig.of("paper", optimizer=["Adam", "Padam,p=0.125", "SGD", "ASGD2", "AdamW,weight_decay=0.1"])
    tried = {name: points(config, name) for name in config.optimizer}
    assert {len(set(found)) for found in tried.values()} == {21}
    # Adam: its whole grid. Padam: of 63 points 21, each rate and each power alike often. SGD and ASGD2: finer rates.
    assert {(point.lr, *dict(point.searched).values()) for point in tried["Adam"]} == {
        (lr, beta2) for lr in config.lr_grid for beta2 in config.beta2_grid
    }
    padam = tried["Padam,p=0.125"]
    assert sorted(point.lr for point in padam) == sorted(3 * config.lr_grid)
    assert [sum(dict(point.searched)["p"] == p for point in padam) for p in config.p_grid] == [7, 7, 7]
    rates = [point.lr for point in tried["SGD"]]
    assert (rates[0], rates[-1], len(set(rates))) == (pytest.approx(1e-7), pytest.approx(0.1), 21)
    assert all("p" not in dict(point.searched) for point in tried["ASGD2"])  # the paper's powers are not its own


def test_without_further_grids_the_rates_are_tried_as_they_are() -> None:
    config = RunConfig.of(lr_grid=(1e-2, 1e-3), optimizer=["Adam", "Padam"])
    for name in config.optimizer:
        assert [(point.lr, point.searched) for point in points(config, name)] == [(1e-3, ()), (1e-2, ())]
    fewer = RunConfig.of(lr_grid=(1e-4, 1e-3, 1e-2), trials=2, optimizer=["Adam"])
    assert [point.lr for point in points(fewer, "Adam")] == [1e-4, 1e-2]
    assert points(RunConfig.of(lr_grid=()), "Adam") == ()
