"""The training loop: the only one. Every optimizer of every study is trained by it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from waddington.bench import _seeding
from waddington.bench.problem import Problem, Split
from waddington.bench.schedule import Schedule
from waddington.errors import ArgumentError

__all__ = ["Plan", "Trained", "state_bytes", "train"]

_CHECKPOINT = "checkpoint.pt"
_TELL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a problem is trained.

    Attributes
    ----------
    steps
        Of the optimizer.
    seed
        Of data order and noise.
    evaluations
        Evaluations after the first, evenly over the steps; the last one is after the last step.
    metric, larger_is_better
        By which the best evaluation is found.
    patience
        Evaluations without a better one after which training stops and the best weights count; None trains to the end
        and takes the last.
    test
        Whether the test split is evaluated, once, at the end.
    checkpoint_s
        Seconds between two checkpoints.
    """

    steps: int
    seed: int
    evaluations: int = 20
    metric: str = "loss"
    larger_is_better: bool = False
    patience: int | None = None
    test: bool = False
    checkpoint_s: float = 120.0


@dataclass(kw_only=True)
class Trained:
    """What a training gave.

    Attributes
    ----------
    curve
        A row for each evaluation: ``step``, ``train_loss`` (mean over the batches since the row before), ``seconds`` of
        training until then, and the validation split's measures.
    test
        The test split's measures, if asked for and not diverged.
    diverged
        Whether a loss was no finite number; training stopped there.
    first_loss
        Of the first batch, before any step: the same for every optimizer, or the task draws what the seed does not set.
    steps
        Steps taken.
    seconds
        Of training: ``training`` in all without evaluations, ``optimizer`` of it in the optimizer's step (None on a
        GPU, which works on while this clock reads), ``evaluating`` beside.
    state_bytes
        Memory of the optimizer's state at the end.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] | None = None
    diverged: bool = False
    first_loss: float = math.nan
    steps: int = 0
    seconds: dict[str, float | None] = field(default_factory=dict)
    state_bytes: int = 0


def train(
    problem: Problem,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    plan: Plan,
    *,
    tell: Callable[[float], None] = lambda fraction: None,
    watch: Callable[[dict[str, float]], None] = lambda row: None,
    folder: Path | None = None,
) -> Trained:
    """Train a problem's model.

    Parameters
    ----------
    problem
        The problem; its model is changed.
    optimizer
        Over the model's parameters.
    schedule
        Of the rate.
    plan
        Steps, seed, evaluations.
    tell
        Told the fraction that is done.
    watch
        Told every row of the curve as it comes, for trackers.
    folder
        Where checkpoints go, so that a training that was killed goes on; None keeps none.
    """
    loop = _Loop(problem, optimizer, schedule, plan, tell, watch, folder)
    with _seeding.seeded(plan.seed):
        return loop.run()


class _Loop:
    def __init__(
        self,
        problem: Problem,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        plan: Plan,
        tell: Callable[[float], None],
        watch: Callable[[dict[str, float]], None],
        folder: Path | None,
    ) -> None:
        self.problem, self.optimizer, self.plan = problem, optimizer, plan
        self.tell, self.watch, self.folder = tell, watch, folder
        self.model = problem.model
        self.scheduler = schedule.build(optimizer, steps=plan.steps, seed=plan.seed)
        self.generator = torch.Generator().manual_seed(_mixed(plan.seed, -1))
        self.found = Trained()
        self.training_s = self.optimizer_s = self.evaluating_s = 0.0
        self.train_loss = torch.zeros((), device=problem.device)
        self.batches = 0
        self.best: dict[str, torch.Tensor] | None = None
        self.at = sorted({round(i * plan.steps / plan.evaluations) for i in range(plan.evaluations + 1)})
        self.told = self.saved = time.monotonic()

    def run(self) -> Trained:
        self.modes("train")
        step = self.resumed()
        if not self.found.curve:
            self.evaluate(0)
        due = iter([at for at in self.at if at > step])
        until = next(due, None)
        while until is not None and not self.found.diverged and not self.is_patience_spent():
            _seeding.seed_all(_mixed(self.plan.seed, step))
            begun = time.perf_counter()
            while step < until:
                self.step(step)
                step += 1
            if self.problem.device.type == "cuda":
                torch.cuda.synchronize()
            self.training_s += time.perf_counter() - begun
            self.evaluate(step)
            self.save(step)
            until = next(due, None)
        return self.ended(step)

    def step(self, step: int) -> None:
        """Take one step of the optimizer."""
        problem, optimizer = self.problem, self.optimizer
        _seeding.seed_torch(_mixed(self.plan.seed, step))
        optimizer.zero_grad()
        for _ in range(problem.accumulate):
            batch = problem.batch(self.generator, step)
            with self.precision():
                loss = problem.loss(self.model, batch)
            torch.autograd.backward(loss / problem.accumulate if problem.accumulate > 1 else loss)
            self.train_loss += loss.detach()
            self.batches += 1
            if math.isnan(self.found.first_loss) and step == 0:
                self.found.first_loss = float(loss.detach())
        if problem.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), problem.clip)
        begun = time.perf_counter()
        optimizer.step()
        self.optimizer_s += time.perf_counter() - begun
        if self.scheduler is not None:
            self.scheduler.step()

    def evaluate(self, step: int) -> None:
        """Add a row to the curve."""
        begun = time.perf_counter()
        mean = float(self.train_loss) / self.batches if self.batches else math.nan
        row = {"step": float(step), "train_loss": mean, "seconds": self.training_s, **self.measured_and_kept()}
        if self.plan.metric not in row:
            given = ", ".join(name for name in row if name not in ("step", "train_loss", "seconds")) or "nothing"
            raise ArgumentError(f"cannot compare by {self.plan.metric!r}: the task's evaluate gives {given}")
        self.train_loss.zero_()
        self.batches = 0
        self.found.curve.append(row)
        numbers = [value for name, value in row.items() if name != "train_loss" or step]
        self.found.diverged = not all(math.isfinite(value) for value in numbers)
        self.watch(row)
        self.evaluating_s += time.perf_counter() - begun
        if (now := time.monotonic()) - self.told > _TELL_S:
            self.told = now
            self.tell(step / self.plan.steps)

    def measured_and_kept(self) -> dict[str, float]:
        """Measure on the validation split; keep the best weights where training is patient.

        Kept are the weights that were measured: an optimizer that averages trains others.
        """
        self.modes("eval")
        found = self.measures("validation")
        if self.plan.patience is not None and self.plan.metric in found and self.is_best(found[self.plan.metric]):
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.modes("train")
        return found

    def measures(self, split: Split) -> dict[str, float]:
        """Measure the model as it is, in evaluation mode; random numbers are the same at every evaluation."""
        _seeding.seed_all(_mixed(self.plan.seed, -2))
        with torch.no_grad(), self.precision():
            return {name: float(value) for name, value in self.problem.evaluate(self.model, split).items()}

    def ended(self, step: int) -> Trained:
        found = self.found
        found.steps = step
        if self.plan.test and not found.diverged:
            self.modes("eval")
            if self.best is not None:
                self.model.load_state_dict(self.best)
            found.test = self.measures("test")
        is_cpu = self.problem.device.type == "cpu"
        found.seconds = {
            "training": self.training_s,
            "optimizer": self.optimizer_s if is_cpu else None,
            "evaluating": self.evaluating_s,
        }
        found.state_bytes = state_bytes(self.optimizer)
        if self.folder is not None:
            (self.folder / _CHECKPOINT).unlink(missing_ok=True)
        return found

    def is_best(self, value: float) -> bool:
        before = [one[self.plan.metric] for one in self.found.curve]
        return not before or (value > max(before) if self.plan.larger_is_better else value < min(before))

    def is_patience_spent(self) -> bool:
        if self.plan.patience is None:
            return False
        values = [one[self.plan.metric] * (-1.0 if self.plan.larger_is_better else 1.0) for one in self.found.curve]
        return len(values) - 1 - values.index(min(values)) >= self.plan.patience

    def modes(self, mode: str) -> None:
        """Put the model in a mode, and an optimizer that evaluates other weights than it trains."""
        getattr(self.model, mode)()
        switch = getattr(self.optimizer, mode, None)
        if callable(switch):
            switch()

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        if self.problem.autocast is None:
            yield
        else:
            with torch.autocast(self.problem.device.type, dtype=self.problem.autocast):
                yield

    # --- checkpoints ---

    def save(self, step: int) -> None:
        if self.folder is None or time.monotonic() - self.saved < self.plan.checkpoint_s or step >= self.plan.steps:
            return
        self.saved = time.monotonic()
        content: dict[str, Any] = {
            "step": step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler is not None else None,
            "generator": self.generator.get_state(),
            "curve": self.found.curve,
            "first_loss": self.found.first_loss,
            "seconds": [self.training_s, self.optimizer_s, self.evaluating_s],
            "best": self.best,
            "batches": self.problem.state() if self.problem.state is not None else {},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f".{_CHECKPOINT}"
        torch.save(content, beside)
        beside.replace(self.folder / _CHECKPOINT)

    def resumed(self) -> int:
        """Go on from a checkpoint; give the step it was made at, 0 without one."""
        path = None if self.folder is None else self.folder / _CHECKPOINT
        if path is None or not path.exists():
            return 0
        try:
            content = torch.load(path, map_location=self.problem.device, weights_only=True)
            self.restore(content)
        except Exception:
            path.unlink(missing_ok=True)  # half of it may be loaded: this run fails, and begins anew when it is retried
            raise
        return int(content["step"])

    def restore(self, content: dict[str, Any]) -> None:
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(content["scheduler"])
        self.generator.set_state(content["generator"].cpu())
        if self.problem.load is not None:
            self.problem.load(content["batches"])
        self.found.curve, self.found.first_loss = content["curve"], content["first_loss"]
        self.training_s, self.optimizer_s, self.evaluating_s = content["seconds"]
        self.best = content["best"]


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Give the memory of an optimizer's state."""
    return sum(
        value.nbytes
        for state in optimizer.state.values()
        for value in (state.values() if isinstance(state, dict) else ())
        if isinstance(value, torch.Tensor)
    )


def _mixed(seed: int, step: int) -> int:
    """Give a seed for a step of a run; neighbours share nothing (the multiplier is SplitMix64's)."""
    return ((seed + 1) * 0x9E3779B97F4A7C15 + (step + 2) * 0xBF58476D1CE4E5B9) % 2**63
