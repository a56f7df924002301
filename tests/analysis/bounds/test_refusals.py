"""Calculators refuse what is no number by the name that they have for it, and never by an error of Python or NumPy."""

from __future__ import annotations

import functools
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from waddington.analysis import bounds
from waddington.analysis._numbers import as_numbers, as_pair
from waddington.analysis.bounds import alphaadam, amgt, amvt, asgd
from waddington.errors import ArgumentError

AT = [1.0, 2.0, 3.0]
BOUND = alphaadam.fitted_bound([2.0, 3.0], [1.0, 1.0], until=3.0)
CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "bound": ("steps", BOUND),
    "judge": ("measured", functools.partial(bounds.judge, BOUND, AT)),
    "fit_power": ("values", functools.partial(bounds.fit_power, AT)),
    "at_most": ("limit", lambda value: bounds.at_most("a", "a <= b", "here", 1.0, value)),
    "decay_factor": ("steps", functools.partial(amgt.decay_factor, 1.5)),
    "power_law": ("steps", functools.partial(amgt.power_law, 1.5)),
    "threshold_holds": ("errors", lambda value: amgt.threshold_holds(value, 0.1)),
    "threshold_errors": ("gradients", lambda value: amgt.threshold_errors(value, threshold=0.1)),
    "fitted_bound": ("curve", lambda value: alphaadam.fitted_bound([2.0, 3.0], value, until=3.0)),
    "strength_band": ("alphas", alphaadam.strength_band),
    "strength_band, sizes": ("sizes", lambda value: alphaadam.strength_band([1.0, 2.0], value)),
    "simulate_momentum": ("covariance", lambda value: alphaadam.simulate_momentum(0.9, covariance=value)),
    "expected_agreement": ("correlation", functools.partial(alphaadam.expected_agreement, 0.9)),
    "step_factor": ("betas", alphaadam.step_factor),
    "step_bound": ("multiplier", lambda value: alphaadam.step_bound(0.1, multiplier=value)),
    "logistic_optimum": ("inputs", lambda value: amvt.logistic_optimum(value, [0.0, 1.0])),
    "literal_factors": ("second_moment", asgd.literal_factors),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("value", ["x", "1", {}, 1j, [[1.0], [1.0, 2.0]], [None, "2"], 10**400], ids=repr)
def test_what_is_no_number_is_refused_by_name(name: str, value: object) -> None:
    called, function = CALLS[name]
    with pytest.raises(ArgumentError, match=rf"cannot use {called}=.*: {called} must be"):
        function(value)


def test_numbers_of_any_kind_are_taken() -> None:
    from fractions import Fraction

    assert as_numbers("a", [Fraction(1, 2), 1, np.float32(2.0), True]).tolist() == [0.5, 1.0, 2.0, 1.0]
    assert as_numbers("a", 3).shape == ()
    assert as_pair("betas", (0.9, 0.99)) == (0.9, 0.99)
    with pytest.raises(ArgumentError, match=r"cannot use betas=\(0.9,\): betas must be two numbers"):
        as_pair("betas", (0.9,))


@pytest.mark.parametrize("shapes", [alphaadam.gpt2_shapes, alphaadam.roberta_shapes, alphaadam.llama_shapes])
def test_only_what_may_be_left_out_may_be_none(shapes: Callable[..., object]) -> None:
    for name in ("width", "layers"):
        with pytest.raises(ArgumentError, match=f"cannot use {name}=None"):
            shapes(**{name: None})


@pytest.mark.parametrize(
    "command", ["asgd_theory.py --steps 1", "asgd_theory.py --runs 0", "alphaadam_theory.py --seeds 0 --only blocks"]
)
def test_scripts_of_the_theory_refuse_settings_that_would_print_nothing(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit):
        runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / command.split()[0]), run_name="__main__")
    assert "error: cannot use --s" in capsys.readouterr().err
