"""How unlike each other the directions of a training are: what the paper's last claim of section IV.A is about.

That claim is of curvature, which the second moment of a stochastic gradient does not show: it shows noise. So three
things are measured, and said apart: the second moment, the covariance of mini-batches' gradients, and the Hessian.
"""

from __future__ import annotations

import math

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from waddington import analysis
from waddington.twin.objectives.acting import ppo_loss
from waddington.twin.plan.agent._randomness import contained
from waddington.twin.plan.agent.written_out import gradients_of

__all__ = ["curvature", "effective_dimensions", "measure", "second_moment_spread"]

_SAMPLES = 512
"""Transitions that the Hessian is of."""
_PROBES = 8
"""Random vectors that its trace and its square's are estimated with."""


def second_moment_spread(optimizer: torch.optim.Optimizer) -> float:
    """Give the coefficient of variation of √v over all coordinates, for 0 isotropic; NaN without a second moment."""
    moments = [state["exp_avg_sq"].sqrt().flatten() for state in optimizer.state.values() if "exp_avg_sq" in state]
    if not moments:
        return math.nan
    root = torch.cat(moments).double()
    return float(root.std() / root.mean()) if root.any() else math.nan


def effective_dimensions(gradients: torch.Tensor) -> float:
    """Give (tr C)²/tr C² of the covariance C of gradients, (n, parameters): from 1, one direction, to n - 1."""
    centred = gradients.double() - gradients.double().mean(0)
    gram = centred @ centred.T
    squares = gram.square().sum()
    return float(gram.trace().square() / squares) if squares > 0 else math.nan


def measure(model: PPO) -> dict[str, float]:
    """Give both of an agent in training; for ``train_agent(measure=)``."""
    return {
        "second_moment_spread": second_moment_spread(model.policy.optimizer),
        "gradient_dimensions": effective_dimensions(gradients_of(model)),
    }


def curvature(model: PPO, *, seed: int = 0) -> dict[str, float]:
    """Give the Hessian of PPO's loss on transitions of the last rollout: ends, trace, and how even its spectrum is.

    Parameters
    ----------
    model
        After training; its last rollout is still there.
    seed
        Of transitions and random vectors.

    Returns
    -------
    dict
        ``hessian_largest`` and ``hessian_smallest`` eigenvalue, ``hessian_trace``, and ``hessian_dominance``, the
        largest over the root of the sum of squares: 1 where one direction has all curvature, 1/√n where n share it.
    """
    with contained():
        torch.manual_seed(seed)
        rollout = next(model.rollout_buffer.get(None))
        batch = RolloutBufferSamples(*(part[:_SAMPLES] for part in rollout))
        clip_range = float(model.clip_range(model._current_progress_remaining))

        def loss(policy: torch.nn.Module) -> torch.Tensor:
            return ppo_loss(policy, batch, clip_range=clip_range, ent_coef=model.ent_coef, vf_coef=model.vf_coef)

        ends = analysis.eigenvalues(model.policy, loss, smallest=1, tolerance=1e-2, max_products=60, seed=seed)
        n = sum(parameter.numel() for parameter in model.policy.parameters())
        traces, squares = [], []
        for _ in range(_PROBES):
            probe = torch.randint(0, 2, (n,)).float().mul_(2.0).sub_(1.0)
            product = analysis.hessian_vector_product(model.policy, loss, probe)
            traces.append(float(probe @ product))
            squares.append(float(product.square().sum()))
    largest, square = float(ends.largest[0]), sum(squares) / _PROBES
    return {
        "hessian_largest": largest,
        "hessian_smallest": float(ends.smallest[0]),
        "hessian_trace": sum(traces) / _PROBES,
        "hessian_dominance": largest / math.sqrt(square) if square > 0 else math.nan,
    }
