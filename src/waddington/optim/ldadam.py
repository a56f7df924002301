"""LDAdam: Adam within a low-dimensional subspace of each matrix, which moves at every step.

Robert, Safaryan, Modoranu and Alistarh (2025), "LDAdam: Adaptive Optimization from Low-Dimensional Gradient
Statistics", ICLR (arXiv 2410.16103), Algorithm 1, for a matrix with no more rows than columns (else for its transpose),
with P_t of orthonormal columns and R_t = P_tᵀ P_{t-1}::

    a_t = g_t + e_t
    b_t = ρ P_{t-1} m̂_{t-1} + (1-ρ) a_t
    P_t = orthonormal basis of b_t b_tᵀ P_{t-1}                          (one block power iteration, warm start)
    m̃_t = R_t m_{t-1}                                                    (the moments carried into the new subspace)
    ṽ_t = (1-β2^{t-1}) |(R_t ⊙ R_t) (v̂_{t-1} - m̂_{t-1}²) + (R_t m̂_{t-1})²|
    m_t = β1 m̃_t + (1-β1) P_tᵀ a_t
    v_t = β2 ṽ_t + (1-β2) (P_tᵀ a_t)²
    θ_t = θ_{t-1} - η P_t m̂_t / (√v̂_t + ε)
    e_{t+1} = a_t - P_t P_tᵀ a_t + β1/(1-β1) (P_{t-1} m_{t-1} - P_t m̃_t)

Hats are Adam's bias correction. The debt e counts what both projections lose, of the gradient and of the momentum, so
that Σ g_s = Σ P_s m_s + e_{t+1} + β1/(1-β1) P_t m_t at every step. The authors' own implementation decides what the
algorithm leaves open: P_1 spans the leading left singular vectors of a_1, the basis is that of a QR decomposition, and
tall matrices are projected from the right. It keeps e in the gradients, which are then never zeroed; here gradients
belong to the caller and e is a buffer. It wants to be told which parameters are matrices to project and refuses a rank
above their smaller side; here Adam takes all parameters that have nothing to save.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.params import compute_dtype
from waddington.optim.engine.settings import Compile, NonfiniteUnmasked, check_common, settings_of
from waddington.optim.engine.torch_options import TorchOptions
from waddington.optim.moments import (
    Number,
    Numbers,
    adam_moments,
    adaptive_direction,
    bias_corrections,
    corrections_of,
    decays,
    ema_weight,
)
from waddington.optim.rule import Layouts, Measured, Rule, Settings, Tensors

__all__ = ["LDADAM_RULE", "LDAdam", "carry_moments", "is_projected", "leading_basis", "next_basis"]


def is_projected(param: torch.Tensor, rank: int | None) -> bool:
    """Tell whether a parameter is a real matrix whose smaller side exceeds the rank; the others take Adam."""
    return rank is not None and param.dim() == 2 and not param.is_complex() and min(param.shape) > rank


def leading_basis(matrix: torch.Tensor, rank: int) -> torch.Tensor:
    """Orthonormal basis of the `rank` leading left singular vectors, shape (rows, rank)."""
    # A decomposition of NaN is an error; a step that found one is not taken, or is spoilt by its moments anyhow.
    finite = matrix.nan_to_num(0.0, 0.0, 0.0)
    left: torch.Tensor = torch.linalg.svd(finite, full_matrices=False).U
    return left[:, :rank].clone()  # a view would hold the whole basis


def next_basis(matrix: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Follow the leading left singular vectors by one block power iteration from `basis`."""
    following: torch.Tensor = torch.linalg.qr(matrix @ (matrix.T @ basis)).Q
    return following


def carry_moments(
    exp_avg: torch.Tensor, exp_avg_sq: torch.Tensor, change: torch.Tensor, weights: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Carry two moments from one subspace into another.

    Means go where their coordinates go. So do variances, as if coordinates were uncorrelated; and the second moment is
    variance and squared mean.

    Parameters
    ----------
    exp_avg, exp_avg_sq
        Moments in the old subspace, shape (rank, columns).
    change
        R, the new basis times the old, shape (rank, rank).
    weights
        What divides the two averages to free them of bias, 0-d; zero where there have been none.

    Returns
    -------
    tuple of Tensor
        The moments in the new subspace, with the bias that they had.
    """
    tiny = torch.finfo(exp_avg.dtype).tiny
    weight, weight_sq = (w.clamp_min(tiny) for w in weights)
    carried = change @ exp_avg
    variance = exp_avg_sq / weight_sq - (exp_avg / weight).square()
    return carried, (change.square() @ variance + (carried / weight).square()).abs() * weight_sq


def _buffers(settings: Settings) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", "projector", *(("error",) if settings["error_feedback"] else ()))


def _layouts(param: torch.Tensor, settings: Settings) -> Layouts:
    rank, dtype = settings["rank"], compute_dtype(param)
    if not is_projected(param, rank):
        return {"projector": ((0,), dtype), "error": ((0,), dtype)}
    low = (rank, max(param.shape))
    return {"exp_avg": (low, dtype), "exp_avg_sq": (low, dtype), "projector": ((min(param.shape), rank), dtype)}


def _scalars(step: Number, tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    beta1, beta2 = settings["betas"]
    before = step - 1.0
    return (
        decays(settings["betas"])
        | bias_corrections(step, settings["betas"])
        | {
            "exp_avg_weight_before": ema_weight(before, beta1),
            "exp_avg_sq_weight_before": ema_weight(before, beta2),
        }
    )


def _has_subspace(buffers: Tensors) -> bool:
    return buffers["projector"].numel() > 0


def _lying(matrix: torch.Tensor) -> torch.Tensor:
    """Give a matrix, or its transpose if it has more rows than columns."""
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _update_moments(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, settings: Settings) -> Measured:
    if not _has_subspace(buffers):
        return Measured(adam_moments(buffers, grad, scalars), saved={"grad": grad})
    exp_avg, exp_avg_sq, before = buffers["exp_avg"], buffers["exp_avg_sq"], buffers["projector"]
    total = _lying(grad + buffers["error"] if settings["error_feedback"] else grad)
    before_weights = (scalars["exp_avg_weight_before"], scalars["exp_avg_sq_weight_before"])
    weight, weight_sq = (torch.as_tensor(found, dtype=grad.dtype, device=grad.device) for found in before_weights)
    weights = weight, weight_sq
    momentum = before @ exp_avg
    # The only value that is read on the host: a decomposition at every step would cost more than the rest of it.
    if before.is_meta or bool(before.any()):  # there are no values to read on the meta device
        tiny = torch.finfo(grad.dtype).tiny
        target = torch.lerp(total, momentum / weights[0].clamp_min(tiny), settings["rho"])
        basis = next_basis(target, before)
    else:
        basis = leading_basis(total, settings["rank"])
    low = basis.T @ total
    carried, carried_sq = carry_moments(exp_avg, exp_avg_sq, basis.T @ before, weights)
    new = adam_moments({"exp_avg": carried, "exp_avg_sq": carried_sq}, low, scalars) | {"projector": basis}
    if settings["error_feedback"]:
        ratio = settings["betas"][0] / (1.0 - settings["betas"][0])
        lost = total.add(momentum, alpha=ratio).addmm_(basis, low.add(carried, alpha=ratio), alpha=-1.0)
        new["error"] = lost.T if grad.shape != lost.shape else lost
    return Measured(new, saved={"grad": grad})


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, settings: Settings
) -> torch.Tensor:
    direction = adaptive_direction(
        buffers["exp_avg"],
        buffers["exp_avg_sq"],
        eps=settings["eps"],
        corrections=corrections_of(scalars),
    )
    if not _has_subspace(buffers):
        return direction
    whole = buffers["projector"] @ direction
    return whole.T if grad.shape != whole.shape else whole


def _observe(
    direction: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, settings: Settings
) -> Tensors:
    grad = measured.saved["grad"]
    inside = buffers["projector"].T @ _lying(grad) if _has_subspace(buffers) else grad
    owed_sq = buffers["error"].square() if settings["error_feedback"] else grad.new_zeros(())
    return {"inside_sq": inside.square(), "owed_sq": owed_sq}


LDADAM_RULE = Rule(
    buffers=_buffers,
    scalars=_scalars,
    update_moments=_update_moments,
    update=_update,
    observe=_observe,
    ratios={"subspace_energy": ("inside_sq", "grad_sq"), "debt_energy": ("owed_sq", "grad_sq")},
    layouts=_layouts,
    whole_tensor_reason="follows the leading singular vectors of the whole matrix",
)


class LDAdam(RuleOptimizer):
    """LDAdam (Robert et al., 2025): moments of rank r, a subspace that follows the gradient, and a debt.

    A matrix of m rows and n ≥ m columns has r (m + 2n) numbers of state instead of Adam's 2mn, and mn more for the
    debt, which `error_feedback=False` saves. Vectors, tensors of more than two dimensions, complex ones and matrices
    with a side of at most r take Adam.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    lr
        Rate η, and the handle that schedulers turn; the default is that of the authors' implementation, as are the
        others here.
    betas
        Decay β1 and β2 of the two moments, each in [0, 1).
    eps
        Added to the denominator.
    weight_decay
        Decay λ; see `decoupled_weight_decay`.
    rank
        Dimension r of the subspaces, at least 1; None gives a group to Adam, as the authors do with all but the linear
        layers.
    rho
        Weight ρ of the past momentum against the new gradient when the subspace moves, in [0, 1).
    error_feedback
        Add what the projections lose to the next gradient. Costs a buffer of the parameter's size, for which the
        authors use the gradient's own memory.
    decoupled_weight_decay
        True: ``θ -= rate * λ * θ`` as AdamW; False: ``g += λ * θ`` as Adam.
    maximize, nonfinite, stochastic_rounding, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    UnsupportedError
        At the first step of a sharded parameter (DTensor), or of a state whose moments have Adam's shape.

    Notes
    -----
    Whether a matrix has a subspace already is read on the host at every step, as no other optimizer here does: on a GPU
    each matrix waits once for the device, and a step cannot be captured into a graph.
    """

    _rule = LDADAM_RULE

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.908, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        rank: int | None = 16,
        rho: float = 0.908,
        error_feedback: bool = True,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        nonfinite: NonfiniteUnmasked = "skip",
        stochastic_rounding: bool = False,
        compile: Compile = "auto",
        **torch_options: Unpack[TorchOptions],
    ) -> None:
        super().__init__(params, settings_of(locals()))

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        check_common(group)
        check_in_range("rho", group["rho"], 0.0, 1.0, open_high=True)
        check_choice("error_feedback", group["error_feedback"], (False, True))
        rank = group["rank"]
        if rank is not None and (not isinstance(rank, int) or rank < 1):
            raise ArgumentError(
                f"cannot use rank={rank!r}: rank must be a whole number of at least 1, or None for Adam"
            )
