"""The path of a run through the space of parameters: how far, how straight, how steadily downhill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count, check_in_range
from waddington.analysis.records import Arrays, Saved
from waddington.analysis.vectors import parameter_vector, trainable
from waddington.errors import ArgumentError

__all__ = ["Path", "PathRecorder", "compare_paths", "oscillation"]


@dataclass(frozen=True)
class Path(Saved):
    """What was recorded of a run.

    Attributes
    ----------
    losses, rates
        Loss and learning rate at each of T records, of shape (T,); NaN where none was given.
    lengths
        Length of each step between two records, of shape (T - 1,).
    displacements
        Distance from the first record, of shape (T,).
    turns
        Angle between each step and the next, in radians, of shape (T - 2,); NaN beside a step of length 0.
    snapshots
        Parameters, of shape (S, n), or their sketch, of shape (S, dimensions).
    snapshot_at
        Which records they are, of shape (S,).
    """

    losses: Arrays
    rates: Arrays
    lengths: Arrays
    displacements: Arrays
    turns: Arrays
    snapshots: Arrays
    snapshot_at: Arrays

    @property
    def length(self) -> float:
        """Length of the whole path."""
        return float(self.lengths.sum())

    @property
    def displacement(self) -> float:
        """Distance from the first record to the last."""
        return float(self.displacements[-1])

    @property
    def tortuosity(self) -> float:
        """Path length over displacement: 1 is straight, √T a random walk of T steps.

        Infinite for a closed path, NaN where nothing moved.
        """
        if self.displacement == 0.0:
            return float("inf") if self.length > 0.0 else float("nan")
        return self.length / self.displacement

    @property
    def mean_turn(self) -> float:
        """Mean turning angle in radians: 0 goes straight on, π/2 is what random steps do, π goes back and forth."""
        return float(np.nanmean(self.turns)) if np.isfinite(self.turns).any() else float("nan")

    @property
    def oscillation(self) -> float:
        """Share of the loss's movement that goes upwards; see :func:`oscillation`."""
        return oscillation(self.losses)


class PathRecorder:
    """Record the path of a run: call :meth:`record` before the first step, and after each.

    Lengths, displacements and angles are exact and of every record. Of the parameters themselves so many snapshots are
    held, evenly over the run: when there is no room, every second one goes, and from then on every second record is
    taken. Memory is ``(snapshots + 3) * n`` numbers; see :attr:`nbytes`.

    Parameters
    ----------
    model
        Its parameters that require grad.
    snapshots
        How many are held at most, at least 4.
    sketch
        With a number of dimensions, snapshots are random projections to so many (count sketches: each coordinate is
        added to one dimension, with a random sign). Squared distances between them are right on average, with a
        relative standard deviation of about ``√(2 / sketch)``. They serve :func:`path_directions`, not a landscape.
    seed
        Of the sketch.
    """

    def __init__(self, model: nn.Module, *, snapshots: int = 64, sketch: int | None = None, seed: int = 0) -> None:
        check_count("snapshots", snapshots, 4)
        check_count("seed", seed, 0, 2**63 - 1)
        self._model, self._capacity = model, snapshots
        self._params = trainable(model)
        start = parameter_vector(model)
        self._start, self._before, self._step = start, start, torch.zeros_like(start)
        self._place: tuple[torch.Tensor, torch.Tensor] | None = None
        self._dimensions = sketch
        if sketch is not None:
            check_count("sketch", sketch, 1)
            generator = torch.Generator("cpu").manual_seed(int(seed))
            at = torch.randint(0, sketch, start.shape, generator=generator, device="cpu")
            signs = torch.randint(0, 2, start.shape, generator=generator, dtype=torch.int8, device="cpu") * 2 - 1
            self._place = at.to(start.device), signs.to(start.device)
        self._losses: list[float] = []
        self._rates: list[float] = []
        self._lengths: list[float] = []
        self._displacements: list[float] = []
        self._turns: list[float] = []
        self._held: list[tuple[int, torch.Tensor]] = []
        self._stride = 1

    def record(self, loss: float | torch.Tensor = float("nan"), lr: float | torch.Tensor = float("nan")) -> None:
        """Record where the parameters are.

        Parameters
        ----------
        loss
            Loss there.
        lr
            Rate of the step that led there.

        Raises
        ------
        ArgumentError
            The loss or the rate is no number, or other parameters require grad than when the recorder was made: a path
            has one space.
        """
        at = len(self._losses)
        value, rate = _number("loss", loss), _number("lr", lr)
        self._check_space()
        here = parameter_vector(self._model)
        self._losses.append(value)
        self._rates.append(rate)
        self._displacements.append(float((here - self._start).norm()) if at else 0.0)
        if at == 0:
            self._start = here
        else:
            step = here - self._before
            self._lengths.append(float(step.norm()))
            if at > 1:
                self._turns.append(_angle(self._step, step))
            self._step = step
        self._before = here
        if at % self._stride == 0:
            self._hold(at, here)

    @property
    def nbytes(self) -> int:
        """Memory that is held now, in bytes."""
        vectors = [self._start, self._before, self._step, *(self._place or ()), *(held for _, held in self._held)]
        return sum(vector.nbytes for vector in {vector.data_ptr(): vector for vector in vectors}.values())

    def path(self) -> Path:
        """Give what was recorded; the last record is always among the snapshots.

        Raises
        ------
        ArgumentError
            Fewer than two records were made.
        """
        last = len(self._losses) - 1
        if last < 1:
            raise ArgumentError(f"cannot make a path of {last + 1} records; accepted: at least 2")
        held = list(self._held)
        if held[-1][0] != last:
            held.append((last, self._reduced(self._before)))
        return Path(
            losses=np.array(self._losses),
            rates=np.array(self._rates),
            lengths=np.array(self._lengths),
            displacements=np.array(self._displacements),
            turns=np.array(self._turns),
            snapshots=torch.stack([vector for _, vector in held]).cpu().numpy(),
            snapshot_at=np.array([at for at, _ in held]),
        )

    def _check_space(self) -> None:
        now = {name: param for name, param in self._model.named_parameters() if param.requires_grad}
        held = dict(self._params)
        differing = [
            name for name in held | now if name not in held or name not in now or held[name].shape != now[name].shape
        ]
        if differing:
            raise ArgumentError(
                f"cannot record: {', '.join(differing[:5])} did not require grad, or had another shape, when the"
                " recorder was made, or does not now; accepted is a path of the same parameters, and a new recorder for"
                " others"
            )

    def _hold(self, at: int, here: torch.Tensor) -> None:
        if len(self._held) == self._capacity:
            self._stride *= 2
            self._held = [(place, vector) for place, vector in self._held if place % self._stride == 0]
            if at % self._stride:
                return
        self._held.append((at, self._reduced(here)))

    def _reduced(self, vector: torch.Tensor) -> torch.Tensor:
        if self._place is None or self._dimensions is None:
            return vector
        at, signs = self._place
        return vector.new_zeros(self._dimensions).index_add_(0, at, vector * signs)


def oscillation(losses: Arrays) -> float:
    """Give the share of a loss's movement that goes upwards.

    ``Σ max(ΔL, 0) / Σ |ΔL|`` over successive records: 0 falls all the way, 1/2 moves and gets nowhere. It grows with
    the rate and with the noise of batches, so compare optimizers on the same data at equal rate
    (:func:`compare_paths`).

    Parameters
    ----------
    losses
        Of shape (T,); differences that are not finite are left out.

    Returns
    -------
    float
        In [0, 1]; NaN where the loss does not move.
    """
    moves = np.diff(np.asarray(losses, dtype=float))
    moves = moves[np.isfinite(moves)]
    total = float(np.abs(moves).sum())
    return float(moves.clip(min=0.0).sum() / total) if total > 0 else float("nan")


def compare_paths(paths: Mapping[str, Path], *, tolerance: float = 0.01) -> dict[str, dict[str, float]]:
    """Set paths of several optimizers side by side, at equal rate.

    Parameters
    ----------
    paths
        By name; recorded with the rate of each step.
    tolerance
        By what share the rates may differ, record by record.

    Returns
    -------
    dict
        By name: ``length``, ``displacement``, ``tortuosity``, ``mean_turn`` (radians), ``oscillation``, ``mean_step``.
        Where `mean_step` differs at an equal rate, the optimizers' effective rates do.

    Raises
    ------
    ArgumentError
        There is no path, numbers of records or rates differ, or rates were not recorded.
    """
    check_in_range("tolerance", tolerance, 0.0)
    if not paths:
        raise ArgumentError("cannot compare no paths; accepted: at least one")
    first_name, first = next(iter(paths.items()))
    for name, path in paths.items():
        if path.rates.shape != first.rates.shape:
            raise ArgumentError(
                f"cannot compare {first_name!r} ({len(first.rates)} records) and {name!r} ({len(path.rates)}): accepted"
                " are equal numbers"
            )
        rates, others = first.rates[1:], path.rates[1:]
        if not np.isfinite(others).all():
            raise ArgumentError(f"cannot compare {name!r}: its rates were not recorded; accepted is record(loss, lr)")
        if not np.allclose(rates, others, rtol=tolerance, atol=0.0):
            raise ArgumentError(
                f"cannot compare {first_name!r} (mean rate {rates.mean():.4g}) and {name!r} ({others.mean():.4g}): "
                "lengths and oscillation grow with the rate; accepted are equal rates"
            )
    return {
        name: {
            "length": path.length,
            "displacement": path.displacement,
            "tortuosity": path.tortuosity,
            "mean_turn": path.mean_turn,
            "oscillation": path.oscillation,
            "mean_step": float(path.lengths.mean()),
        }
        for name, path in paths.items()
    }


def _number(name: str, given: float | torch.Tensor) -> float:
    try:
        return float(given.detach() if isinstance(given, torch.Tensor) else given)
    except (TypeError, ValueError, RuntimeError) as error:
        found = f"a tensor of shape {tuple(given.shape)}" if isinstance(given, torch.Tensor) else repr(given)
        raise ArgumentError(f"cannot record {name}={found}: accepted is one number") from error


def _angle(first: torch.Tensor, second: torch.Tensor) -> float:
    """Give the angle between two steps, accurately also near 0 and π (Kahan)."""
    a, b = first.double(), second.double()
    if not a.any() or not b.any():
        return float("nan")
    a, b = a / a.norm(), b / b.norm()
    return float(2.0 * torch.atan2((a - b).norm(), (a + b).norm()))
