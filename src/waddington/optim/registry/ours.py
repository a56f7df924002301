"""The optimizers that need torch only: its own, and this package's. Adding one adds one entry."""

from __future__ import annotations

import torch

from waddington.optim.alphaadam import AlphaAdam, CAdamW
from waddington.optim.amgt import AMGT
from waddington.optim.amvt import AMVT
from waddington.optim.asgd import ASGDAdam, ASGDAMSGrad
from waddington.optim.ldadam import LDAdam
from waddington.optim.microadam import MicroAdam
from waddington.optim.padam import ASGD2, Padam
from waddington.optim.registry.averaged import AveragedAdamW, AveragedASGDAdam
from waddington.optim.registry.spec import BETA2, RATES, OptimizerSpec

__all__ = ["CATALOGUE"]

_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
_SWITCHED = {
    "lr": 1e-2,
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "weight_decay": 0.0,
    "switch": "alignment",
    "alignment": "clock",
    "tau": 50.0,
}
_ASGD_PAPER = "Boabang & Gyamerah, Enhanced Adaptive Stochastic Gradient Descent, Algorithm {}"
_MODES = "Call eval() before evaluating or saving the model and train() before going on."

CATALOGUE = (
    OptimizerSpec(
        name="Adam",
        source=torch.optim.Adam,
        package="torch",
        kwargs={"amsgrad": False},
        defaults=dict(_ADAM),
        paper="Kingma & Ba 2015, ICLR",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AMSGrad",
        source=torch.optim.Adam,
        package="torch",
        kwargs={"amsgrad": True},
        defaults=dict(_ADAM),
        paper="Reddi, Kale & Kumar 2018, ICLR",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AdamW",
        source=torch.optim.AdamW,
        package="torch",
        kwargs={"amsgrad": False},
        defaults={**_ADAM, "weight_decay": 1e-2},
        paper="Loshchilov & Hutter 2019, ICLR",
        tunable={"lr": RATES, "beta2": BETA2, "weight_decay": (1e-4, 1e-1)},
    ),
    OptimizerSpec(
        name="SGD",
        source=torch.optim.SGD,
        package="torch",
        defaults={"lr": 1e-2, "momentum": 0.9, "weight_decay": 0.0},
        paper="Robbins & Monro 1951; momentum: Polyak 1964",
        tunable={"lr": (1e-5, 1.0), "momentum": (0.0, 0.99)},
    ),
    OptimizerSpec(
        name="RAdam",
        source=torch.optim.RAdam,
        package="torch",
        defaults=dict(_ADAM),
        paper="Liu et al. 2020, ICLR",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="NAdam",
        source=torch.optim.NAdam,
        package="torch",
        defaults={**_ADAM, "lr": 2e-3, "momentum_decay": 4e-3},
        paper="Dozat 2016, ICLR workshop",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="Adagrad",
        source=torch.optim.Adagrad,
        package="torch",
        defaults={"lr": 1e-2, "eps": 1e-10, "weight_decay": 0.0},
        paper="Duchi, Hazan & Singer 2011, JMLR",
        tunable={"lr": (1e-5, 1.0)},
    ),
    OptimizerSpec(
        name="RMSprop",
        source=torch.optim.RMSprop,
        package="torch",
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
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="ASGDAMSGrad",
        source=ASGDAMSGrad,
        defaults=dict(_SWITCHED),
        paper=_ASGD_PAPER.format(2),
        switching=True,
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AveragedASGDAdam",
        source=AveragedASGDAdam,
        defaults={
            **{"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
            **{"alignment": "clock", "tau": 50.0, "since": "noise", "eta": 1.0, "ema_decay": 1.0},
        },
        paper="This package's; its average: Shamir & Zhang 2013, ICML",
        modes=True,
        needs=_MODES,
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AveragedAdamW",
        source=AveragedAdamW,
        defaults={**_ADAM, "weight_decay": 1e-2, "eta": 1.0, "ema_decay": 1.0},
        paper="Loshchilov & Hutter 2019, ICLR; its average: Shamir & Zhang 2013, ICML",
        modes=True,
        needs=_MODES,
        tunable={"lr": RATES, "beta2": BETA2, "weight_decay": (1e-4, 1e-1)},
    ),
    OptimizerSpec(
        name="Padam",
        source=Padam,
        defaults={"lr": 1e-2, "p": 0.125, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
        paper="Chen et al. 2020, IJCAI",
        tunable={"lr": RATES, "p": (1 / 16, 1 / 4), "beta2": BETA2},
    ),
    OptimizerSpec(
        name="ASGD2",
        source=ASGD2,
        defaults={"lr": 1e-4, "p": 0.75, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
        paper="Baseline of the ASGDAdam paper, Table I",
        tunable={"lr": RATES, "p": (0.51, 1.0), "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AMGT",
        source=AMGT,
        defaults={**_ADAM, "gamma": 1.0, "variance": "tensor", "threshold": 0.0, "schedule": "constant"},
        paper="Laisin et al. 2025, FNAS Journal of Computing and Applications 2(4)",
        tunable={"lr": RATES, "gamma": (1e-2, 1e4), "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AlphaAdam",
        source=AlphaAdam,
        defaults={**_ADAM, "mask": "asynchronous", "compensation": "full", "alpha_form": "squared", "alpha_max": 2.0},
        paper="Chang, Li & Yuan 2025, arXiv 2501.18094, Algorithm 1",
        tunable={"lr": RATES, "beta2": BETA2, "weight_decay": (1e-4, 1e-1)},
    ),
    OptimizerSpec(
        name="CAdamW",
        source=CAdamW,
        defaults={**_ADAM, "weight_decay": 1e-2},
        paper="Liang et al. 2024, arXiv 2411.16085",
        tunable={"lr": RATES, "beta2": BETA2, "weight_decay": (1e-4, 1e-1)},
    ),
    OptimizerSpec(
        name="AMVT",
        source=AMVT,
        defaults={**_ADAM, "betas": (0.9, 0.999, 0.99), "variance": "tracked"},
        paper="Saravana Ram, Deep Learning Optimization Using Adaptive Gradient Methods, Algorithm 1",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="MicroAdam",
        source=MicroAdam,
        defaults={**_ADAM, "window": 10, "density": 0.01, "bucket_size": 100_000},
        paper="Modoranu et al. 2024, NeurIPS",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="LDAdam",
        source=LDAdam,
        defaults={**_ADAM, "betas": (0.908, 0.99), "rank": 16, "rho": 0.908},
        paper="Robert et al. 2025, ICLR",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
)
"""Every optimizer that is there without an extra."""
