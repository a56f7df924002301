"""The bench: which optimizer is really better, found by tuned, repeated and statistically honest comparison.

::

    from waddington import bench

    study = bench.Study.of(["digits", "rosenbrock"], ["AdamW", "AMVT"], seeds=5)
    found = bench.run_study(study, "results")  # report.html, records.csv, store.sqlite; goes on where it was stopped

A *task* is a function of a seed; an *arm* an optimizer with what of it is searched; a *study* names tasks, arms,
budgets, seeds and contrasts and is hashed before the first *run*; the *store* keeps the record of every run; a
*comparison* reads records only.
"""

from __future__ import annotations

from waddington.bench._task import Task, task
from waddington.bench.arm import Arm
from waddington.bench.catalog import get as get_task
from waddington.bench.catalog import names as task_names
from waddington.bench.comparison import Comparison
from waddington.bench.conducting import conduct, looked_up
from waddington.bench.entry import Entry, Horizon
from waddington.bench.folder import compare_folder, make_executor, pack_folders, run_study, tune_study, write_results
from waddington.bench.problem import Problem, accuracy, supervised
from waddington.bench.registered import read_study, write_study
from waddington.bench.run import Run
from waddington.bench.schedule import Schedule
from waddington.bench.search import Cell, Trial
from waddington.bench.space import Choice, Dimension, Log, OneMinus, Times, Uniform
from waddington.bench.store import Store
from waddington.bench.study import Study
from waddington.bench.training import Plan, Trained, train

__all__ = [
    "Arm",
    "Cell",
    "Choice",
    "Comparison",
    "Dimension",
    "Entry",
    "Horizon",
    "Log",
    "OneMinus",
    "Plan",
    "Problem",
    "Run",
    "Schedule",
    "Store",
    "Study",
    "Task",
    "Times",
    "Trained",
    "Trial",
    "Uniform",
    "accuracy",
    "compare_folder",
    "conduct",
    "get_task",
    "looked_up",
    "make_executor",
    "pack_folders",
    "read_study",
    "run_study",
    "supervised",
    "task",
    "task_names",
    "train",
    "tune_study",
    "write_results",
    "write_study",
]
