"""One rule for "best": verdicts, weights and predictions are of the same optimizer."""

from __future__ import annotations

import pandas as pd

from waddington.twin.run import RunConfig
from waddington.twin.run.executor import Record, Unit
from waddington.twin.run.outputs import choose
from waddington.twin.run.schedule import Finished, best_optimizer


def finished(objectives: dict[tuple[str, str, int], float | None]) -> Finished:
    """Give a run whose units (kind, optimizer, seed) reached these objectives."""
    units = {
        key: Unit(kind=key[0], protocol="held-out", optimizer=key[1], lr=0.1, seed=key[2], variant="")
        for key in objectives
    }
    records: dict[Unit, Record] = {
        units[key]: {"objective": value, "scores": [], "history": {}} for key, value in objectives.items()
    }
    return Finished(
        records=records,
        protocols=("held-out",),
        tuned=pd.DataFrame(),
        measurability=pd.DataFrame(),
        encoders={(name, seed): unit for (kind, name, seed), unit in units.items() if kind == "encoder"},
        agents={("held-out", "", name, seed): unit for (kind, name, seed), unit in units.items() if kind == "agent"},
    )


def test_a_lucky_seed_does_not_make_the_best() -> None:
    found = finished(
        {
            ("encoder", "Adam", 0): -1.0,
            ("encoder", "Adam", 1): -3.0,
            ("encoder", "ASGDAdam", 0): -1.6,
            ("encoder", "ASGDAdam", 1): -1.5,
            ("agent", "Adam", 0): 2.0,
            ("agent", "Adam", 1): 2.2,
            ("agent", "ASGDAdam", 0): 9.0,
            ("agent", "ASGDAdam", 1): -9.0,
        }
    )
    chosen = choose(found, RunConfig.of(optimizer=["Adam", "ASGDAdam"], protocol="held-out"))
    assert found.best() == {"response": "ASGDAdam", "agent": "Adam"}
    assert (chosen.encoder.optimizer, chosen.encoder.seed) == ("ASGDAdam", 1), "the best seed of the best optimizer"
    assert chosen.agent is not None
    assert (chosen.agent.optimizer, chosen.agent.seed) == ("Adam", 1)


def test_a_diverged_seed_counts_as_the_worst() -> None:
    found = finished({("encoder", "Adam", 0): None, ("encoder", "Adam", 1): -0.1, ("encoder", "SGD", 0): -9.0})
    assert best_optimizer(found.records, kind="encoder", protocol="held-out") == "SGD"
    both = finished({("encoder", "Adam", 0): None, ("encoder", "SGD", 0): None})
    assert best_optimizer(both.records, kind="encoder", protocol="held-out") == "Adam"
    assert choose(both, RunConfig.of(optimizer=["Adam", "SGD"], protocol="held-out")).encoder.optimizer == "Adam"


def test_where_nothing_was_trained_nothing_is_best() -> None:
    assert best_optimizer({}, kind="agent", protocol="held-out") is None
