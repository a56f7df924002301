"""G8 and G10: AMGT beside Adam, with compressed updates, with constraints, and what the spectrum is good for."""

from __future__ import annotations

from waddington.claims.claim import Claim, Part
from waddington.claims.experiments import compressed, constrained, own_rates, spectral, studies
from waddington.claims.measurement import measurements

__all__ = ["G8", "G10"]

_TUNED = tuple(
    job
    for name in ("AMGT", "Adam")
    for job in measurements(own_rates.reached, seeds=10, optimizer=name, curvature=True)
)
"""Both on digits, at rates of their own."""

G8 = Claim(
    id="G8",
    paper="002",
    title="AMGT against Adam, and with compressed updates",
    statement="AMGT surpasses Adam in convergence, and is robust to quantized and sparsified updates.",
    source="abstract, discussion",
    parts=(
        Part(
            name="convergence",
            statement="AMGT surpasses Adam in convergence.",
            source="abstract",
            measurements=studies.of_studies({"AMGT": "moments", "AdamW": "moments"}, [("AMGT", "AdamW")]),
            judge=studies.is_better,
            picture=studies.picture,
            rule="over the eight tasks of the study `moments`, each at tuned rates, the interval of AMGT's test metric"
            " over AdamW's lies below 1, and on no task it is worse by more than could be detected",
        ),
        Part(
            name="convergence on digits",
            statement="On a small network AMGT surpasses Adam in convergence.",
            source="abstract",
            measurements=_TUNED,
            judge=own_rates.is_better,
            picture=own_rates.draw_flatness,
            tier="minutes",
            rule="on digits, both at tuned rates, the ratio of AMGT's test loss to Adam's lies below 1 with its"
            " interval",
        ),
        Part(
            name="compression",
            statement="AMGT supports quantized and sparsified updates.",
            source="abstract, discussion",
            measurements=tuple(
                job for name in compressed.ARMS for job in measurements(compressed.losses, seeds=10, optimizer=name)
            ),
            judge=compressed.is_robust,
            picture=compressed.draw_losses,
            tier="minutes",
            rule="the upper end of the ratio of test losses, with compression over without, is 1.05 at most, for"
            " quantization to 4 and 16 levels and for the largest 1 % and 10 %; Adam is compressed alike",
        ),
    ),
    traps=(
        "λ below 1 shrinks the momentum, which is another β1; Adam's rate is tuned as AMGT's is.",
        "Robustness is compared with that of Adam under the same compression, with error feedback for both.",
    ),
)

G10 = Claim(
    id="G10",
    paper="002",
    title="what the discussion says besides",
    statement="AMGT avoids sharp minima, is suited to constrained problems, and the spectrum gives efficient rates.",
    source="Discussion",
    parts=(
        Part(
            name="sharp minima",
            statement="AMGT avoids sharp minima.",
            source="Discussion",
            measurements=_TUNED,
            judge=own_rates.is_flatter,
            picture=own_rates.draw_flatness,
            tier="minutes",
            rule="at tuned rates the ratio of the largest Hessian eigenvalues at the end, AMGT over Adam, lies below 1"
            " with its interval",
        ),
        Part(
            name="constraints",
            statement="AMGT is suited to constrained problems.",
            source="Introduction, discussion",
            measurements=measurements(constrained.gap, seeds=10),
            judge=constrained.reaches_the_minimum,
            picture=constrained.draw_gaps,
            tier="minutes",
            rule="least squares on digits with weights of 0 or more, by projected AMGT: at most a thousandth of the"
            " first excess over the exact minimum is left, on every seed",
        ),
        Part(
            name="rates from the spectrum",
            statement="Spectral information selects efficient rates: fast convergence, and stable.",
            source="Application 2, discussion",
            measurements=measurements(spectral.descents, seeds=10),
            judge=spectral.is_efficient,
            picture=spectral.draw_losses,
            tier="minutes",
            rule="on a network gradient descent at 2/(λ_max + λ_min) of the first Hessian never ends above its start,"
            " and the upper end of its loss over that of the best multiple of 2/λ_max is 1.05 at most",
        ),
    ),
    traps=(
        "Sharpness scales with the rate: rates are tuned for both, and the eigenvalue is given times the squared length"
        " of the parameters, too.",
    ),
)
