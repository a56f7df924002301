"""Small studies at tuned rates: arms that no registered study has, on tasks that take seconds.

The runs are kept in the ledger's store, so that a study that was stopped goes on; its summary is the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from waddington import bench, optim
from waddington.bench.arm import as_meant, usual_space
from waddington.bench.comparison import Comparison
from waddington.claims.experiments.studies import summary_of
from waddington.claims.measurement import experiment

__all__ = ["switched_amsgrad", "switched_lion", "switched_sgd", "tuned"]

_FIRST, _TUNING = 300, 30
"""First evaluation seed, and the tuning seed; no registered study has them."""


@experiment(reads_store=True)
def tuned(
    seed: int,
    *,
    folder: Path,
    tasks: Mapping[str, Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, Any]],
    contrasts: Sequence[Sequence[str]],
    horizon: str = "open",
    trials: int = 8,
    seeds: int = 8,
) -> Mapping[str, Any]:
    """Search the rates of arms on tasks, and compare them on seeds that have chosen nothing.

    Parameters
    ----------
    seed
        Of the points that are tried.
    folder
        Of the ledger's store.
    tasks
        Task to its parameters; ``steps`` is its length.
    arms
        Name to ``optimizer``, ``search`` (what is searched of its usual space, the rate alone without), ``rates`` (the
        range of its rate, the usual one without) and arguments.
    contrasts
        Pairs of arms.
    horizon, trials, seeds
        As :class:`~waddington.bench.Study` has them; every arm has as many trials.

    Returns
    -------
    As :func:`~waddington.claims.experiments.studies.summary_of` has it.
    """
    entries = [bench.Entry.of(name, **parameters) for name, parameters in tasks.items()]
    chosen = bench.Study.of(
        entries,
        [_arm(name, **settings) for name, settings in arms.items()],
        contrasts=[(first, second) for first, second in contrasts],
        seeds=tuple(range(_FIRST, _FIRST + seeds)),
        tuning_seeds=(_TUNING,),
        trials=trials,
        widenings=1,
        horizons=[horizon],
        seed=seed,
    )
    with bench.Store(folder) as store:
        cells = bench.conduct(chosen, store)
    return {"horizon": horizon, **summary_of(Comparison(study=chosen, cells=cells), chosen.horizons[0])}


def _arm(
    name: str, *, optimizer: str, search: Iterable[str] = ("lr",), rates: Sequence[float] = (), **arguments: Any
) -> bench.Arm:
    space = usual_space(optimizer)
    if rates:
        low, high = rates
        space["lr"] = bench.Log(low, high)
    searched = {one: space[one] for one in search}
    return bench.Arm.of(optimizer, name=name, space=searched, **as_meant(optimizer, arguments))


# --- optimizers with a switch around them, under names that a study can write down ---


def switched_sgd(params: Iterable[Any], lr: float = 0.1, alpha_min: float = 0.01) -> torch.optim.Optimizer:
    """Switch the rate of SGD with momentum 0.9."""
    return optim.Switched(torch.optim.SGD(params, lr=lr, momentum=0.9), alpha_min=alpha_min)


def switched_lion(params: Iterable[Any], lr: float = 1e-3, alpha_min: float = 1e-4) -> torch.optim.Optimizer:
    """Switch the rate of Lion."""
    return optim.Switched(optim.registry.build("Lion", params, lr=lr), alpha_min=alpha_min)


def switched_amsgrad(params: Iterable[Any], lr: float = 1e-3, alpha_min: float = 1e-4) -> torch.optim.Optimizer:
    """Switch the rate of AMSGrad."""
    return optim.Switched(optim.registry.build("AMSGrad", params, lr=lr), alpha_min=alpha_min)
