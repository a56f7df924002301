"""The kinds of work a run is made of.

A unit is a function of its description, the prepared cells and the configuration, all of which it reads from the run's
``work`` folder; what it trains goes on from its own checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from waddington._checks import check_choice
from waddington.twin.run.agent_jobs import act
from waddington.twin.run.encoder_jobs import encode, score_baselines
from waddington.twin.run.executor import Record, Unit
from waddington.twin.run.replicate_jobs import measure

__all__ = ["run_unit"]

_KINDS = {"agent": act, "baseline": score_baselines, "encoder": encode, "replicates": measure}


def run_unit(unit: Unit, folder: Path, tell: Callable[[float], None]) -> Record:
    """Do one unit's work.

    Parameters
    ----------
    unit
        What to do.
    folder
        The ``units`` folder of a run's ``work``; prepared cells and the configuration stand beside it.
    tell
        Told the fraction that is done.

    Returns
    -------
    Record
        ``scores`` (rows split, modality, metric, value), ``objective`` (what tuning compares, larger is better; None
        where training diverged), and the ``history`` of training.

    Raises
    ------
    ArgumentError
        For a kind of unit that does not exist.
    """
    check_choice("kind", unit.kind, _KINDS)
    return _KINDS[unit.kind](unit, folder, tell)
