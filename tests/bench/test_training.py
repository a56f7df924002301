from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.bench.toys import BOWL, LINE
from torch import nn

from waddington import bench
from waddington.bench import training
from waddington.bench.schedule import CONTROLS, COURSES, Schedule
from waddington.errors import ArgumentError
from waddington.optim import schedules


def trained(seed: int = 0, optimizer: Any = torch.optim.AdamW, **settings: Any) -> tuple[bench.Trained, bench.Problem]:
    problem = LINE.problem(seed, dropout=0.5)
    plan = bench.Plan(**{"steps": 12, "seed": seed, "evaluations": 4, **settings})
    return bench.train(problem, optimizer(problem.model.parameters(), lr=0.05), Schedule(), plan), problem


def rows(found: bench.Trained) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found.curve]


def test_the_loop_is_the_textbooks() -> None:
    """Written out: the same batches in the same order, one step after the other, then the validation loss."""
    found, _ = trained(steps=4, evaluations=2)
    problem = LINE.problem(0, dropout=0.5)
    model, generator = problem.model, torch.Generator().manual_seed(training._mixed(0, -1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    expected = []
    for step in range(4):
        model.train()
        torch.manual_seed(training._mixed(0, step))
        x, y = problem.batch(generator, step)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        model.eval()
        expected.append((float(loss.detach()), problem.evaluate(model, "validation")["loss"]))
    assert [row["step"] for row in found.curve] == [0, 2, 4]
    assert [row["loss"] for row in found.curve[1:]] == [expected[1][1], expected[3][1]]
    assert found.curve[2]["train_loss"] == pytest.approx((expected[2][0] + expected[3][0]) / 2)


def test_every_optimizer_sees_the_same_batches_and_the_same_noise() -> None:
    seen: dict[str, list[Any]] = {}
    for name, optimizer in (("AdamW", torch.optim.AdamW), ("SGD", torch.optim.SGD)):
        problem = LINE.problem(3, dropout=0.5)
        inner, noise = problem.batch, []

        def batch(generator: torch.Generator, step: int, inner: Any = inner, noise: list[Any] = noise) -> Any:
            pair = inner(generator, step)
            noise.append((pair[0].tolist(), torch.random.get_rng_state().tolist()))
            return pair

        problem.batch = batch
        bench.train(problem, optimizer(problem.model.parameters(), lr=0.1), Schedule(), bench.Plan(steps=12, seed=3))
        seen[name] = noise
    assert seen["AdamW"] == seen["SGD"]
    assert len({str(step) for step in seen["SGD"]}) == 12


def test_a_pass_shows_every_case_once_and_the_next_in_another_order() -> None:
    draw = torch.Generator().manual_seed(0)
    shuffled = bench.problem.Shuffled(20, 4)
    first, second = ([i for step in range(at, at + 5) for i in shuffled(draw, step).tolist()] for at in (0, 5))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_the_caller_keeps_its_random_numbers() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    trained()
    assert torch.equal(torch.rand(1), expected)


def test_one_seed_is_one_training_and_another_is_another() -> None:
    assert rows(trained(1)[0]) == rows(trained(1)[0]) != rows(trained(2)[0])


def test_the_test_split_is_evaluated_once_at_the_end_and_only_where_it_is_asked_for() -> None:
    problem = LINE.problem(0)
    inner, asked = problem.evaluate, []

    def evaluate(model: nn.Module, split: bench.problem.Split) -> Any:
        asked.append(split)
        return inner(model, split)

    problem.evaluate = evaluate
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.1)
    found = bench.train(problem, optimizer, Schedule(), bench.Plan(steps=4, seed=0, evaluations=2, test=True))
    assert asked == ["validation"] * 3 + ["test"]
    assert found.test is not None
    assert trained()[0].test is None


@pytest.mark.parametrize("lr", [3.0, 1e30])
def test_a_run_that_diverges_stops_and_says_so(lr: float) -> None:
    problem = BOWL.problem(0, explode_above=1e3)
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=lr)
    found = bench.train(problem, optimizer, Schedule(), bench.Plan(steps=1000, seed=0, evaluations=50, test=True))
    assert found.diverged
    assert found.test is None
    assert found.steps < 1000
    assert not math.isfinite(found.curve[-1]["loss"])


def test_a_metric_that_is_not_measured_is_named() -> None:
    with pytest.raises(ArgumentError, match="cannot compare by 'accuracy': the task's evaluate gives loss"):
        trained(metric="accuracy")


def test_weights_of_an_optimizer_with_modes_are_evaluated_in_its_mode() -> None:
    class Moded(torch.optim.SGD):
        modes: list[str]

        def train(self) -> None:
            self.modes = [*getattr(self, "modes", []), "train"]

        def eval(self) -> None:
            self.modes = [*self.modes, "eval"]

    problem = LINE.problem(0)
    optimizer = Moded(problem.model.parameters(), lr=0.1)
    inner = problem.evaluate

    def evaluate(model: nn.Module, split: bench.problem.Split) -> Any:
        assert optimizer.modes[-1] == "eval"
        assert not model.training
        return inner(model, split)

    problem.evaluate = evaluate
    bench.train(problem, optimizer, Schedule(), bench.Plan(steps=4, seed=0, evaluations=2))
    assert optimizer.modes == ["train", *["eval", "train"] * 3]


def test_patience_ends_a_run_and_the_best_weights_are_tested() -> None:
    problem = BOWL.problem(0)
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.4)
    values = iter([5.0, 3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    kept = []

    def evaluate(model: nn.Module, split: bench.problem.Split) -> dict[str, float]:
        kept.append(float(model.get_parameter("x")))
        return {"loss": next(values) if split == "validation" else kept[-1]}

    problem.evaluate = evaluate
    plan = bench.Plan(steps=100, seed=0, evaluations=100, patience=3, test=True)
    found = bench.train(problem, optimizer, Schedule(), plan)
    assert found.steps == 5
    assert found.test == {"loss": kept[2]}


def test_the_best_weights_are_those_that_were_measured_and_not_those_that_are_trained() -> None:
    class Moved(torch.optim.SGD):
        """Evaluates at the weights plus one."""

        at = 0.0

        def _to(self, at: float) -> None:
            with torch.no_grad():
                self.param_groups[0]["params"][0].add_(at - self.at)
            self.at = at

        def train(self) -> None:
            self._to(0.0)

        def eval(self) -> None:
            self._to(1.0)

    problem = BOWL.problem(0)
    values = iter([5.0, 1.0, 2.0, 2.0])
    kept = []

    def evaluate(model: nn.Module, split: bench.problem.Split) -> dict[str, float]:
        kept.append(float(model.get_parameter("x")))
        return {"loss": next(values) if split == "validation" else 0.0}

    problem.evaluate = evaluate
    plan = bench.Plan(steps=9, seed=0, evaluations=9, patience=2, test=True)
    bench.train(problem, Moved(problem.model.parameters(), lr=0.4), Schedule(), plan)
    assert kept[-1] == kept[1] != kept[-2]


@pytest.mark.parametrize("source", [np.random.rand, random.random, lambda: float(torch.rand(()))])
def test_global_random_numbers_are_the_seeds_and_come_back(source: Any) -> None:
    """In model, batches and evaluation; whatever the optimizer, whatever came before."""

    def make(seed: int) -> bench.Problem:
        problem = LINE.make(seed)
        assert isinstance(problem, bench.Problem)
        drawn = [source()]
        problem.batch = lambda generator, step: drawn.append(source())
        problem.loss = lambda model, batch: sum(p.sum() for p in model.parameters()) * drawn[-1]
        problem.evaluate = lambda model, split: {"loss": source() + len(drawn)}
        seen.append(drawn)
        return problem

    seen: list[list[float]] = []
    task = bench.Task(name="drawing", make=make, steps=4)
    losses = []
    for optimizer in (torch.optim.SGD, torch.optim.AdamW, torch.optim.SGD):
        source()
        before = np.random.get_state()[2], random.getstate()  # type: ignore[index]  # noqa: NPY002
        problem = task.problem(3)
        plan = bench.Plan(steps=4, seed=3, evaluations=2)
        found = bench.train(problem, optimizer(problem.model.parameters(), lr=0.1), Schedule(), plan)
        losses.append([row["loss"] for row in found.curve])
        assert (np.random.get_state()[2], random.getstate()) == before  # type: ignore[index]  # noqa: NPY002
    assert seen[0] == seen[1] == seen[2]
    assert len(set(seen[0])) == 5
    assert losses[0] == losses[1] == losses[2]


def test_a_checkpoint_that_cannot_be_loaded_fails_once_and_the_run_then_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    problem, plan = LINE.problem(0), bench.Plan(steps=4, seed=0, evaluations=2)
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.1)
    with pytest.raises(Exception):  # noqa: B017, PT011  # torch's own, of many kinds
        bench.train(problem, optimizer, Schedule(), plan, folder=tmp_path)
    assert bench.train(problem, optimizer, Schedule(), plan, folder=tmp_path).steps == 4


def test_accumulated_batches_make_one_step_of_their_mean() -> None:
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    models = [nn.Linear(3, 1), nn.Linear(3, 1)]
    models[1].load_state_dict(models[0].state_dict())
    for model, parts in zip(models, (1, 4), strict=True):
        pieces = iter([*zip(x.chunk(parts), y.chunk(parts), strict=True)] * 3)
        problem = bench.Problem(
            model=model,
            batch=lambda generator, step, pieces=pieces: next(pieces),  # type: ignore[misc]
            loss=lambda model, pair: nn.functional.mse_loss(model(pair[0]), pair[1]),
            evaluate=lambda model, split: {"loss": 0.0},
            accumulate=parts,
            clip=0.1,
        )
        bench.train(
            problem, torch.optim.SGD(model.parameters(), lr=0.1), Schedule(), bench.Plan(steps=3, seed=0, evaluations=1)
        )
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


class _Killed(BaseException):
    pass


def test_a_training_that_was_killed_goes_on_from_its_checkpoint_to_the_bit(tmp_path: Path) -> None:
    def run(folder: Path | None, kill_at: int | None = None) -> bench.Trained:
        problem = LINE.problem(0, dropout=0.3)
        inner = problem.batch

        def batch(generator: torch.Generator, step: int) -> Any:
            if step == kill_at:
                raise _Killed
            return inner(generator, step)

        problem.batch = batch
        optimizer = torch.optim.AdamW(problem.model.parameters(), lr=0.05)
        plan = bench.Plan(steps=13, seed=0, evaluations=13, checkpoint_s=0.0, test=True)
        return bench.train(problem, optimizer, Schedule(name="cosine"), plan, folder=folder)

    whole = run(None)
    with pytest.raises(_Killed):
        run(tmp_path / "run", kill_at=8)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint.pt"]
    again = run(tmp_path / "run")
    assert rows(again)[1:] == rows(whole)[1:]
    assert again.test == whole.test
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(), [1, 1, 1, 1]),
        (Schedule(name="cosine"), [0.853553, 0.5, 0.146447, 0]),
        (Schedule(name="cosine", end=0.5, warmup=0.5), [0.5, 1, 0.75, 0.5]),
        (Schedule(name="inverse-sqrt"), [1, 0.707107, 0.57735, 0.5]),
        (Schedule(control="periodic", period=2, low=0.1), [1, 0.1, 1, 0.1]),
        (Schedule(control="mean", share=0.5, low=0.1), [0.55] * 4),
        (Schedule(name="cosine", control="periodic", period=2, low=0.1), [0.853553, 0.05, 0.146447, 0]),
        (Schedule(name="restarts", period=2), [1, 0.5, 1, 0.5]),
    ],
    ids=str,
)
def test_rates_run_as_they_are_said_to(schedule: Schedule, expected: list[float]) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule.build(optimizer, steps=4, seed=0)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"] / 2.0)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    assert rates == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("course", COURSES)
def test_the_fields_that_a_rate_depends_on_are_those_that_change_it(course: str, control: str) -> None:
    plain = Schedule(name=course, control=control)
    other = {"warmup": 0.5, "end": 0.3, "control": "periodic", "period": 7, "share": 0.2, "low": 0.4}
    if control == "periodic":
        other["control"] = "mean"
    factors = lambda schedule: [schedule.factor(step, steps=40, seed=0) for step in range(40)]  # noqa: E731
    changing = [name for name in other if factors(dataclasses.replace(plain, **{name: other[name]})) != factors(plain)]
    assert list(plain.used) == changing


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        (Schedule(name="cosine", warmup=0.2, end=0.1), lambda o: schedules.cosine(o, 20, min_lr=0.2, warmup_steps=4)),
        (Schedule(name="inverse-sqrt"), schedules.inverse_sqrt),
        (Schedule(name="restarts", period=7), lambda o: schedules.cosine_with_restarts(o, 7)),
    ],
    ids=["cosine", "inverse-sqrt", "restarts"],
)
def test_courses_are_those_of_the_optimizers_schedules(schedule: Schedule, theirs: Any) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = theirs(optimizer)
    for step in range(20):
        assert 2.0 * schedule.factor(step, steps=20, seed=0) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


def test_the_random_control_has_its_share_and_is_the_seeds() -> None:
    def rates(seed: int) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = Schedule(control="random", share=0.3, low=0.1).build(optimizer, steps=400, seed=seed)
        assert scheduler is not None
        found = []
        for _ in range(400):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    assert rates(0) == rates(0) != rates(1)
    assert 90 < sum(rate == 1.0 for rate in rates(0)) < 150
