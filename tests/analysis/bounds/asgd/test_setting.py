"""The constants of the paper, by hand, and how they change with the units."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds import RunConstants
from waddington.analysis.bounds.asgd import MEANINGS, Setting, gamma, i1, i2, r8, r9, r10
from waddington.errors import ArgumentError

# √β2 = 0.8 and √(1-β2) = 0.6; γ is 0.5 by Eq. 15; 1 + 2 β1²/(1-β1) is 23/15; √ε is 0.5
BY_HAND = Setting(dimension=4, gradient_bound=2.0, smoothness=3.0, gap=5.0, rate=0.1, beta1=0.4, beta2=0.64, eps=0.25)
# √ε = 2 and (Z² + ε)^½ = 2.5
WIDE = replace(BY_HAND, gradient_bound=1.5, eps=4.0)
USUAL = Setting(dimension=1, gradient_bound=1.0, smoothness=1.0, gap=1.0, rate=1e-4)


def test_gamma_is_printed_in_three_ways() -> None:
    assert gamma(0.4, 0.64, "theorem-1") == pytest.approx(0.16 / 0.8)
    assert gamma(0.4, 0.64, "theorem-2") == gamma(0.4, 0.64) == pytest.approx(0.4 / 0.8)
    assert gamma(0.4, 0.64, "appendix") == pytest.approx(0.4 / 0.4096)


def test_r8_r9_and_r10_by_hand() -> None:
    assert r8(BY_HAND) == pytest.approx(2 * 2 * 5)
    assert r9(BY_HAND) == pytest.approx(2 * 8 / (0.5 * 0.6) + 2 * 4)
    assert r10(BY_HAND) == pytest.approx(2 * 3 * 4 / (0.5 * 0.6 * 0.5) * 23 / 15)
    assert r10(BY_HAND, reading="appendix") == pytest.approx(2 * 3 * 4 / (0.5 * 0.6 * (1 - 0.9765625)) * 23 / 15)


def test_mended_constants_by_hand() -> None:
    assert r8(WIDE, "mended") == pytest.approx(2 * 2.5 * 5)
    assert r9(WIDE, "mended") == pytest.approx(2 * 2.5 * (2.25 / (2 * 0.6) + 1.5 / 0.6))
    assert r10(WIDE, "mended") == pytest.approx(2 * 3 * 1.5 * 2.5 / (2 * 0.6 * 0.5) * 23 / 15)


def test_i1_and_i2_by_hand() -> None:
    # printed: rates 0.1 · (√4 + 0.4) + 0.1 = 0.34, times Z²/(√ε (1-β1)) = 1.875
    assert i1(WIDE, 0.1) == pytest.approx(2.5 * (5 + 0.34 * 1.875))
    assert i1(WIDE, 0.1, "mended") == pytest.approx(2.5 * (5 + 0.54 * 1.875))  # 4 in place of √4
    assert i2(WIDE) == pytest.approx(2.5 * 1.4 / 0.6 * 3 * 2.25 / 8)


def test_the_figures_at_the_usual_betas_and_epsilon() -> None:
    assert r10(USUAL) == pytest.approx(1.0927e8, rel=1e-4)
    assert r10(USUAL, reading="appendix") == pytest.approx(1.1078e8, rel=1e-4)
    assert r9(USUAL) == pytest.approx(2e5 + 2.0)
    assert i2(USUAL) == pytest.approx(9.5e8, rel=1e-7)
    outside = replace(USUAL, eps_place="outside")
    assert r10(outside) / r10(USUAL) == pytest.approx(1e4)


def test_eq_56_is_negative_where_the_theorem_still_holds() -> None:
    # 0.9² = 0.81 is below 0.94³ = 0.830584, and 0.9 above 0.94² = 0.8836
    assert 0.9 < 0.94**1.5
    assert r10(replace(USUAL, beta2=0.94), reading="appendix") < 0.0 < r10(replace(USUAL, beta2=0.94))
    assert r10(replace(USUAL, beta2=0.9), reading="appendix") < 0.0
    assert r10(replace(USUAL, beta1=0.25, beta2=0.5), reading="appendix") == math.inf


def test_the_sum_of_the_proof_has_the_ratio_of_theorem_2() -> None:
    """Σ n_t²/√h_t ≤ (1-β1) / (√(1-β2) (1-γ)) Σ |z_t|, the step from which γ comes, over many sequences."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        beta1, beta2 = rng.uniform(0.0, 0.99), rng.uniform(0.5, 0.999)
        if gamma(beta1, beta2) >= 1.0:
            continue
        z = rng.standard_cauchy(60) * (rng.random(60) < 0.5)
        z[0] = 1.0
        n = h = total = 0.0
        for one in z:
            n, h = beta1 * n + (1 - beta1) * one, beta2 * h + (1 - beta2) * one**2
            total += n**2 / math.sqrt(h)
        allowed = (1 - beta1) / (math.sqrt(1 - beta2) * (1 - gamma(beta1, beta2))) * np.abs(z).sum()
        assert total <= allowed * (1 + 1e-12)


scales = st.floats(1e-3, 1e3)


@given(loss=scales, length=scales, form=st.sampled_from(["printed", "mended"]))
def test_constants_have_the_units_that_are_said(loss: float, length: float, form: str) -> None:
    """A loss in other units and parameters in other units change each constant by its unit, and nothing else."""
    gradient = loss / length
    other = replace(
        WIDE,
        gradient_bound=WIDE.gradient_bound * gradient,
        smoothness=WIDE.smoothness * gradient / length,
        gap=WIDE.gap * loss,
        rate=WIDE.rate * length,
        eps=WIDE.eps * gradient**2,
    )
    assert r8(other, form) == pytest.approx(r8(WIDE, form) * gradient**2 * length)  # type: ignore[arg-type]
    assert r9(other, form) == pytest.approx(r9(WIDE, form) * gradient**2)  # type: ignore[arg-type]
    assert r10(other, form) == pytest.approx(r10(WIDE, form) * gradient**2 / length)  # type: ignore[arg-type]
    assert i1(other, other.rate, form) == pytest.approx(i1(WIDE, WIDE.rate, form) * loss * gradient)  # type: ignore[arg-type]
    assert i2(other) == pytest.approx(i2(WIDE) * gradient**2 / length)


def test_every_constant_has_a_meaning() -> None:
    assert [name for name in MEANINGS if name.startswith("R")] == [f"R{number}" for number in range(1, 11)]
    assert all("Eq" in text and "; in " in text for text in MEANINGS.values())


def test_a_setting_of_a_run_takes_its_largest_figures() -> None:
    run = RunConstants(
        **dict.fromkeys(
            (
                *("mean_square_norm", "column_norm", "column_norm_sum", "noise_variance"),
                *("least_loss", "distance", "diameter"),
            ),
            1.0,
        ),
        steps=3,
        dimension=2,
        smoothness=4.0,
        secant=6.0,
        gradient_bound=3.0,
        gradient_norm_bound=5.0,
        first_loss=3.5,
    )
    found = Setting.of_run(run, rate=0.1)
    assert (found.smoothness, found.gradient_bound, found.gap, found.eps_place) == (6.0, 3.0, 2.5, "outside")
    assert Setting.of_run(run, rate=0.1, norm="euclidean").gradient_bound == 5.0
    with pytest.raises(ArgumentError, match="smoothness"):
        Setting.of_run(replace(run, smoothness=math.nan, secant=math.nan), rate=0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("dimension", 0), ("dimension", 2.0), ("gradient_bound", 0.0), ("rate", 0.0), ("smoothness", -1.0)),
        *(("gap", -1.0), ("gap", math.nan), ("beta1", 1.0), ("beta2", 0.0), ("eps", 0.0), ("eps_place", "beside")),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=name):
        replace(USUAL, **{name: value})  # type: ignore[arg-type]


def test_readings_that_are_none_are_refused() -> None:
    with pytest.raises(ArgumentError, match="reading"):
        gamma(0.9, 0.999, "theorem-3")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="form"):
        r8(USUAL, "right")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="last_rate"):
        i1(USUAL, -0.1)
