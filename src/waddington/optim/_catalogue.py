"""The optimizers that need torch only: its own, and this package's. Adding one adds one entry."""

from __future__ import annotations

import torch

from waddington.optim._spec import BETA2, RATES, OptimizerSpec
from waddington.optim.asgd import ASGDAdam, ASGDAMSGrad
from waddington.optim.padam import Padam

__all__ = ["CATALOGUE"]

_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
_SWITCHED = {
    "lr": 1e-2,
    "alpha_min": 1e-4,
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "weight_decay": 0.0,
    "switch": "relative",
    "large_rate_in": "sharp",
    "switch_interval": 10,
}
_ASGD_PAPER = "Enhanced adaptive stochastic gradient descent for single-cell perturbation, Algorithm {}"

CATALOGUE = (
    OptimizerSpec(
        name="Adam",
        source=torch.optim.Adam,
        library="torch",
        kwargs={"amsgrad": False},
        defaults=dict(_ADAM),
        paper="Kingma & Ba 2015, ICLR",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AMSGrad",
        source=torch.optim.Adam,
        library="torch",
        kwargs={"amsgrad": True},
        defaults=dict(_ADAM),
        paper="Reddi, Kale & Kumar 2018, ICLR",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AdamW",
        source=torch.optim.AdamW,
        library="torch",
        kwargs={"amsgrad": False},
        defaults={**_ADAM, "weight_decay": 1e-2},
        paper="Loshchilov & Hutter 2019, ICLR",
        tunable={"lr": RATES, "beta2": BETA2, "weight_decay": (1e-4, 1e-1)},
    ),
    OptimizerSpec(
        name="SGD",
        source=torch.optim.SGD,
        library="torch",
        defaults={"lr": 1e-2, "momentum": 0.9, "weight_decay": 0.0},
        paper="Robbins & Monro 1951; momentum: Polyak 1964",
        tunable={"lr": (1e-5, 1.0), "momentum": (0.0, 0.99)},
    ),
    OptimizerSpec(
        name="RAdam",
        source=torch.optim.RAdam,
        library="torch",
        defaults=dict(_ADAM),
        paper="Liu et al. 2020, ICLR",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="NAdam",
        source=torch.optim.NAdam,
        library="torch",
        defaults={**_ADAM, "lr": 2e-3, "momentum_decay": 4e-3},
        paper="Dozat 2016, ICLR workshop",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="Adagrad",
        source=torch.optim.Adagrad,
        library="torch",
        defaults={"lr": 1e-2, "eps": 1e-10, "weight_decay": 0.0},
        paper="Duchi, Hazan & Singer 2011, JMLR",
        tunable={"lr": (1e-5, 1.0)},
    ),
    OptimizerSpec(
        name="RMSprop",
        source=torch.optim.RMSprop,
        library="torch",
        kwargs={"momentum": 0.0, "centered": False},
        defaults={"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0},
        paper="Tieleman & Hinton 2012, lecture 6.5 of Neural Networks for Machine Learning",
        tunable={"lr": RATES, "alpha": (0.9, 0.999)},
    ),
    OptimizerSpec(
        name="ASGDAdam",
        source=ASGDAdam,
        defaults=dict(_SWITCHED),
        paper=_ASGD_PAPER.format(1),
        switching=True,
        tunable={"lr": RATES, "alpha_min": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="ASGDAMSGrad",
        source=ASGDAMSGrad,
        defaults=dict(_SWITCHED),
        paper=_ASGD_PAPER.format(2),
        switching=True,
        tunable={"lr": RATES, "alpha_min": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="Padam",
        source=Padam,
        defaults={"lr": 1e-2, "p": 0.125, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
        paper="Chen et al. 2020, IJCAI",
        tunable={"lr": RATES, "p": (1 / 16, 1 / 4), "beta2": BETA2},
    ),
)
"""Every optimizer that is there without an extra."""
