"""The arithmetic of the paper's tables, and bytes as they are."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from waddington.analysis.bounds.amvt import (
    ACCURACY,
    GAPS,
    HOURS,
    Figure,
    activation_bytes,
    figures,
    memory_share,
    more,
    saved,
    state_bytes,
    time_per_epoch,
)
from waddington.errors import ArgumentError
from waddington.optim import AMVT


def computed(place: str, start: str) -> list[Figure]:
    return [each for each in figures() if each.place == place and each.statement.startswith(start)]


def test_fewer_and_slower_are_two_figures() -> None:
    assert saved(Fraction(42), Fraction(54)) == Fraction(200, 9)  # 22.2 % fewer epochs
    assert more(Fraction(54), Fraction(42)) == Fraction(200, 7)  # 28.6 % slower
    (adam,), (sgd,) = computed("5.1", "Adam is slower"), computed("5.1", "SGD is slower")
    assert (float(adam.computed), adam.agrees) == (pytest.approx(28.571, abs=1e-3), False)
    assert (float(sgd.computed), sgd.agrees) == (pytest.approx(61.905, abs=1e-3), False)


@given(st.fractions(1, 100), st.fractions(1, 100))
def test_what_is_saved_of_the_larger_undoes_what_it_is_more(first: Fraction, second: Fraction) -> None:
    assert (1 - saved(first, second) / 100) * (1 + more(second, first) / 100) == 1


def test_an_epoch_is_shorter_though_an_iteration_is_said_to_be_longer() -> None:
    assert float(time_per_epoch()) == pytest.approx(-9.2437, abs=1e-4)
    saving = [float(each.computed) for each in computed("5.4", "time saved by fewer epochs")]
    assert saving == pytest.approx([18.333, 16.778], abs=1e-3)
    assert not any(each.agrees for each in computed("5.4", "longer per epoch"))


def test_the_column_of_savings_agrees_with_its_hours() -> None:
    rows = computed("5.4", "time saved, ")
    assert len(rows) == len(HOURS)
    assert all(each.agrees for each in rows)
    assert [round(float(each.computed), 1) for each in rows] == [29.4, 30.6, 24.1]


def test_the_abstract_has_figures_that_no_table_has() -> None:
    verdicts = {each.statement: each.agrees for each in figures() if each.place == "abstract"}
    assert verdicts == {
        "faster, %": False,
        "training time saved, %": True,
        "accuracy over Adam, points": False,
        "accuracy over Adam, %": False,
    }
    gains = [row[0] - row[1] for row in ACCURACY.values()]
    assert [float(each) for each in gains] == pytest.approx([2.4, 2.5, 1.1, 0.2])
    assert GAPS["AdamW"] == Fraction("3.2")  # the one 3.2 there is: AdamW's generalization gap


def test_a_figure_agrees_where_it_rounds_to_what_is_printed() -> None:
    def figure(printed: str, found: str) -> Figure:
        return Figure(place="1", statement="a", printed=printed, computed=Fraction(found), how="b")

    assert figure("22", "22.5").agrees
    assert not figure("22", "22.6").agrees
    assert figure("3.2", "3.249").agrees
    assert not figure("3.2", "3.3").agrees
    assert figure("3.2", "3.3").sentence == "1: a, printed 3.2, b = 3.3: does not agree"


def test_state_is_half_as_much_again_as_adams_and_three_times_that_of_sgd() -> None:
    assert [state_bytes(name) for name in ("AMVT", "Adam", "SGD")] == [12.0, 8.0, 4.0]
    assert state_bytes(lambda params: AMVT(params, variance="moments", compile=False)) == 8.0
    assert [each.agrees for each in figures() if each.place == "5.11"] == [False, False]


def test_memory_of_all_by_hand() -> None:
    assert memory_share(100.0, 2400.0) == pytest.approx(400.0 / 4000.0)
    assert memory_share(1.0, 0.0) == 0.25  # four tensors before, one more


def test_activations_by_hand() -> None:
    # a linear layer keeps its input (8 × 4 floats), tanh its output (8 × 5), the next its input: the same
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    assert activation_bytes(model, torch.randn(8, 4)) == 4 * (32 + 40)
    assert activation_bytes(model, torch.randn(16, 4)) == 2 * 4 * (32 + 40)


def test_the_printed_share_of_memory_depends_on_model_and_batch() -> None:
    """ResNet-50 keeps 25.5 MB for an image of CIFAR-10 and 85.9 MB for one of ImageNet (measured by this function)."""
    cifar, imagenet = (23_520_842, 25.5e6), (25_557_032, 85.9e6)
    shares = [
        100 * memory_share(parameters, batch * each)
        for (parameters, each), batch in ((cifar, 128), (cifar, 64), (imagenet, 256), (imagenet, 32))
    ]
    assert shares == pytest.approx([2.58, 4.68, 0.456, 3.24], abs=0.01)


@pytest.mark.slow  # transformers takes its time to import
def test_resnet_50_keeps_that_much() -> None:
    pytest.importorskip("transformers")
    from waddington.bench.tasks._transformers import Logits, small_image_resnet

    model = Logits(small_image_resnet(50, 10)).train()
    one, two = (activation_bytes(model, torch.randn(batch, 3, 32, 32)) for batch in (1, 2))
    assert (two - one) / 1e6 == pytest.approx(25.5, abs=0.1)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="optimizer"):
        state_bytes("Adamw")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="parameters"):
        memory_share(0.0, 1.0)
    with pytest.raises(ArgumentError, match="more"):
        saved(Fraction(1), Fraction(0))
    with pytest.raises(ArgumentError, match="needs no gradient"):
        activation_bytes(nn.Flatten(), torch.ones(2, 2))
