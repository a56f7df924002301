"""The model that a run leaves: every part of it learnt from the same cells, in the space of one encoder."""

from __future__ import annotations

import torch

from waddington.twin.data.io import given_modalities
from waddington.twin.data.setup import Setup
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.scaling import Standardization
from waddington.twin.models import SavedAgent, Twin
from waddington.twin.models.learning import fit_dynamics
from waddington.twin.models.profiles import FittedResponse
from waddington.twin.run.agent_jobs import heldout_settings
from waddington.twin.run.artifacts import WEIGHTS, joint_latent, read_arrays
from waddington.twin.run.choice import Chosen
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.run.environments import build_heldout_environment
from waddington.twin.run.folder import RunFolder

__all__ = ["assemble_model"]


def assemble_model(
    folder: RunFolder, config: RunConfig, prepared: RunData, chosen: Chosen, response: FittedResponse
) -> Twin:
    """Put the parts of a model together.

    Parameters
    ----------
    folder, config, prepared
        The run.
    chosen
        Whose weights are kept. An agent of the paper's protocol acts in a space of its own and is no part of the model.
    response
        What predicts, as in ``predictions.h5mu``.
    """
    files, split = folder.files_of(chosen.encoder), prepared.design
    latent = joint_latent(files, split.train)
    twin = Twin.assemble(
        preprocessor=prepared.preprocessor,
        encoder=TwinEncoder.from_state_dict(torch.load(files / WEIGHTS, weights_only=True)),
        standardization=Standardization.fit(read_arrays(files)["joint"], split.train),
        response=response,
        dynamics=fit_dynamics(
            latent, split, prepared.pseudotime, max_perturbations=config.ppo.max_perturbations, seed=config.seed
        ),
        setup=_setup_of(config),
    )
    agent = chosen.agent
    if agent is not None and agent.encoder == chosen.encoder:
        twin.keep_agent(
            SavedAgent(
                weights=torch.load(folder.files_of(agent) / WEIGHTS, weights_only=True),
                config=heldout_settings(config),
                task=build_heldout_environment(prepared, latent, config).train,
            )
        )
    return twin


def _setup_of(config: RunConfig) -> Setup:
    """Say which columns and layers of the cells hold what, as the run was told."""
    read = config.read
    return Setup.of(
        layer=read.layer if given_modalities(read.normalization, layer=read.layer) else read.counts_layer,
        normalization=read.normalization,
        perturbation_key=read.perturbation_key,
        mode_key=read.mode_key,
        dose_key=read.dose_key,
        perturbation_mode=read.perturbation_mode,
        control=read.control,
        combination_separator=read.combination_separator,
        time_key=read.time_key,
        split_key=read.split_key,
        batch_key=read.batch_key,
        cell_type_key=read.cell_type_key,
    )
