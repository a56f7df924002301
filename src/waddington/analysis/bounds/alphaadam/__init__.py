"""The theory of AlphaAdam as calculators, and the arithmetic of its tables.

Chang, Li and Yuan (2025), "AlphaAdam: Asynchronous Masked Optimization with Dynamic Alpha for Selective Updates"
(arXiv 2501.18094):

- Corollary 3.4, what momentum does to variance: :func:`variance_factor`;
- Theorem 3.3, sharpness between two positive constants: :func:`measure_blocks`, :func:`sharpness_bounds`;
- Theorem 3.5, asynchronous against synchronous masks: :func:`compare_masks`, :func:`correlation_gap`;
- Theorem 3.6, the strength α: :func:`strength_slopes`, :func:`orthogonality_bound`;
- Theorem 3.8 with Lemmas E.2 to E.4: :class:`Descent`, :func:`step_bound`, :func:`convergence_bound`;
- F.4, how many tensors have an α: :func:`count_tensors`;
- Tables 1 to 3: :func:`glue_gain`, :func:`accuracy_gap`, :func:`ablation_order`, of the numbers in :mod:`.tables`.
"""

from __future__ import annotations

from waddington.analysis.bounds.alphaadam import tables
from waddington.analysis.bounds.alphaadam.architectures import (
    TensorCount,
    count_tensors,
    gpt2_shapes,
    llama_shapes,
    printed_as_layers,
    roberta_shapes,
)
from waddington.analysis.bounds.alphaadam.arithmetic import (
    AblationMean,
    AccuracyGap,
    GlueGain,
    ablation_means,
    ablation_order,
    accuracy_gap,
    attainable_percent,
    correlation_error,
    glue_errors,
    glue_gain,
    glue_means,
    matthews_error,
    mcnemar_p,
    share_error,
)
from waddington.analysis.bounds.alphaadam.blocks import (
    BlockStructure,
    block_structure,
    dense_hessian,
    measure_blocks,
    sharpness_bounds,
)
from waddington.analysis.bounds.alphaadam.comparison import (
    MaskComparison,
    MaskShares,
    compare_masks,
    mask_shares,
)
from waddington.analysis.bounds.alphaadam.convergence import (
    MaskedNorm,
    convergence_bound,
    fitted_bound,
    masked_gradient_norm,
)
from waddington.analysis.bounds.alphaadam.lemmas import (
    Descent,
    attained_step_factor,
    descent_bound,
    second_moment_bound,
    step_bound,
    step_factor,
)
from waddington.analysis.bounds.alphaadam.masks import (
    MaskedUpdates,
    correlation_gap,
    expected_agreement,
    masked_updates,
)
from waddington.analysis.bounds.alphaadam.momentum import (
    MomentumSpread,
    displacement_factor,
    printed_off_diagonal_factor,
    simulate_momentum,
    variance_factor,
)
from waddington.analysis.bounds.alphaadam.strength import (
    StrengthBand,
    StrengthSlopes,
    compensated_length,
    mask_strength,
    orthogonality_bound,
    orthogonality_dimension,
    strength_band,
    strength_slope,
    strength_slopes,
)

__all__ = [
    "AblationMean",
    "AccuracyGap",
    "BlockStructure",
    "Descent",
    "GlueGain",
    "MaskComparison",
    "MaskShares",
    "MaskedNorm",
    "MaskedUpdates",
    "MomentumSpread",
    "StrengthBand",
    "StrengthSlopes",
    "TensorCount",
    "ablation_means",
    "ablation_order",
    "accuracy_gap",
    "attainable_percent",
    "attained_step_factor",
    "block_structure",
    "compare_masks",
    "compensated_length",
    "convergence_bound",
    "correlation_error",
    "correlation_gap",
    "count_tensors",
    "dense_hessian",
    "descent_bound",
    "displacement_factor",
    "expected_agreement",
    "fitted_bound",
    "glue_errors",
    "glue_gain",
    "glue_means",
    "gpt2_shapes",
    "llama_shapes",
    "mask_shares",
    "mask_strength",
    "masked_gradient_norm",
    "masked_updates",
    "matthews_error",
    "mcnemar_p",
    "measure_blocks",
    "orthogonality_bound",
    "orthogonality_dimension",
    "printed_as_layers",
    "printed_off_diagonal_factor",
    "roberta_shapes",
    "second_moment_bound",
    "share_error",
    "sharpness_bounds",
    "simulate_momentum",
    "step_bound",
    "step_factor",
    "strength_band",
    "strength_slope",
    "strength_slopes",
    "tables",
    "variance_factor",
]
