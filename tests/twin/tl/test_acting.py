"""Environments of a user's cells, and agents in them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import gymnasium
import mudata as md
import numpy as np
import pandas as pd
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from waddington import twin
from waddington.errors import ArgumentError, DataError, UnknownNameError, UnsupportedError
from waddington.twin.models import SavedAgent
from waddington.twin.plan.agent import AgentConfig
from waddington.twin.plan.env import CellVecEnv

SMALL = {"total_timesteps": 24, "n_envs": 2, "config": AgentConfig(net_arch=(8,), n_steps=6)}


@pytest.mark.filterwarnings("ignore:.*not within the observation space:UserWarning:gymnasium")
def test_it_is_an_environment_of_gymnasium(screen: md.MuData) -> None:
    env = gymnasium.make("waddington/Cell-v0", data=screen, max_steps=4, goals=["Cebpa:knockout"])
    check_env(twin.tl.environment(screen, max_steps=4), skip_render_check=True)
    _, info = env.reset(seed=1)
    assert info["goal"] == 0
    steps = 0
    over = False
    while not over:
        *_, ended, cut, _ = env.step(env.action_space.sample())
        over, steps = ended or cut, steps + 1
    assert steps == 4


@pytest.mark.parametrize(
    "lines",
    [
        "import gymnasium; from waddington import twin",
        "from waddington import twin; import gymnasium",
        "from waddington import twin; import importlib.util as u; assert u.find_spec('gymnasium'); import gymnasium",
        "from waddington import twin; import importlib; importlib.reload(twin); import gymnasium",
        "from waddington import twin; import gymnasium, importlib; importlib.reload(gymnasium)",
    ],
)
def test_gymnasium_knows_it_whenever_it_is_imported(lines: str) -> None:
    ask = "; import sys; assert 'waddington/Cell-v0' in gymnasium.registry; assert gymnasium.__loader__.get_code"
    ask += "; assert sum('waddington' in type(finder).__module__ for finder in sys.meta_path) <= 2"
    subprocess.run([sys.executable, "-W", "ignore", "-c", lines + ask], check=True)


def test_goals_are_what_conditions_do(screen: md.MuData) -> None:
    task = twin.tl.environment(screen, goals=["Cebpa:knockout", "Cebpa:knockout+Gata2:knockout"]).task
    known = {name: task.dynamics.effects[k] for k, name in enumerate(task.dynamics.perturbations)}
    np.testing.assert_allclose(task.goals[0], known["Cebpa:knockout"], atol=1e-5)
    together = known["Cebpa:knockout"] + known["Gata2:knockout"]
    np.testing.assert_allclose(task.goals[1], task.dynamics.scale * together, atol=1e-5)
    with pytest.raises(UnsupportedError, match="Gata3"):
        twin.tl.environment(screen, goals="Gata3:knockout")


def test_fates_are_cell_types_among_all_types(screen: md.MuData) -> None:
    types = screen.obs["cell_type"].astype(str).to_numpy()
    resting = (screen.obs["perturbation"] == "control").to_numpy() & (screen.obs["split"] == "train").to_numpy()
    first, last = (lambda names: (names[0], names[-1]))(sorted(set(types[resting])))
    task = twin.tl.environment(screen, fates=last, start=first).task
    latent = np.asarray(screen.obsm["X_twin"], dtype=np.float32)
    np.testing.assert_allclose(task.goals, latent[resting & (types == last)].mean(axis=0)[None], atol=1e-6)
    np.testing.assert_allclose(task.starts, latent[resting & (types == first)])
    assert len(task.states) == len(set(types[resting]))
    assert not task.relative_goals
    assert twin.tl.environment(screen, fates=[last], states=None).task.states is None
    agent = twin.tl.train_agent(screen, fates=last, max_steps=3, **SMALL)
    kept = SavedAgent.from_state_dict(SavedAgent.of(agent, SMALL["config"]).state_dict(), task.dynamics)
    np.testing.assert_array_equal(kept.task.states, task.states)
    for wrong, error, words in (
        ({"fates": "Hepatocyte"}, DataError, "cannot use fates='Hepatocyte'"),
        ({"fates": last, "start": "Hepatocyte"}, DataError, "cannot use start='Hepatocyte'"),
        ({"fates": last, "goals": "Cebpa:knockout"}, ArgumentError, "one of goals= and fates="),
    ):
        with pytest.raises(error, match=words):
            twin.tl.environment(screen, **wrong)
    bare = screen.copy()
    del bare.obs["cell_type"]
    with pytest.raises(DataError, match="cannot tell fates: cells bear no types"):
        twin.tl.environment(bare, fates=last)


def test_cells_drift_where_they_are_ordered(screen: md.MuData) -> None:
    unordered = screen.copy()
    del unordered.obs["pseudotime"]
    assert len(twin.tl.environment(screen).task.dynamics.landmarks)
    assert not len(twin.tl.environment(unordered).task.dynamics.landmarks)


@pytest.mark.parametrize(
    "optimizer", ["ASGDAdam", torch.optim.RAdam, lambda params: torch.optim.RAdam(params, lr=1e-3)]
)
def test_an_optimizer_is_a_name_a_class_or_a_factory(screen: md.MuData, optimizer: object) -> None:
    agent = twin.tl.train_agent(screen, optimizer=optimizer, max_steps=3, **SMALL)
    assert type(agent.policy.optimizer).__name__ == (optimizer if isinstance(optimizer, str) else "RAdam")


def test_an_agent_is_trained_in_whatever_holds_a_task(screen: md.MuData) -> None:
    env = gymnasium.make("waddington/Cell-v0", data=screen, max_steps=3)
    worlds = [env, env.unwrapped, env.unwrapped.task, CellVecEnv(env.unwrapped.task, 2, seed=0)]
    weights = [twin.tl.train_agent(world, **SMALL).policy.state_dict() for world in worlds]
    for other in weights[1:]:
        torch.testing.assert_close(other, weights[0], rtol=0, atol=0)
    with pytest.raises(ArgumentError, match="cannot use max_steps with a CellEnv"):
        twin.tl.train_agent(env, max_steps=3)
    with pytest.raises(ArgumentError, match=r"unknown parameter of twin\.tl\.environment 'horizon'"):
        twin.tl.train_agent(screen, horizon=3)


def test_actions_have_names_and_a_task_shows_no_arrays(screen: md.MuData) -> None:
    task = twin.tl.environment(screen).task
    assert task.action_names == (*task.dynamics.perturbations, "wait")
    assert task.action_names[task.wait] == "wait"
    assert twin.tl.environment(screen, actions="continuous").task.action_names == ()
    assert "array" not in repr(task)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda cells: twin.tl.environment(cells, max_step=3), "environment 'max_step'. Did you mean 'max_steps'"),
        (lambda cells: twin.tl.embed(cells, epoch=3), "embed 'epoch'. Did you mean 'epochs'"),
        (lambda cells: twin.tl.embed(cells, modalities={}), "embed 'modalities'"),
        (lambda cells: twin.pp.preprocess(cells, n_pc=3), "preprocess 'n_pc'. Did you mean 'n_pcs'"),
    ],
)
def test_a_misspelt_parameter_is_refused_by_name(screen: md.MuData, call: Callable[..., object], message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        call(screen)


def test_cells_without_labels_are_told_which_columns_there_are(screen: md.MuData) -> None:
    plain = screen.mod["rna"].copy()
    plain.obs = pd.DataFrame({"stim": "a"}, index=plain.obs_names)
    plain.obsm["X_twin"] = screen.obsm["X_twin"]
    with pytest.raises(DataError, match=r"columns of obs: 'stim'\); .*setup_anndata\(data, perturbation_key="):
        twin.tl.predict(plain, "stim")
