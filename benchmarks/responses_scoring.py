"""How `responses.py` scores predictions of effects: noise-corrected squared error, correlation, coverage, bootstraps.

The noise-corrected squared error of one prediction p of the observed effect t, whose sampling variance is v, has the
numerator |p - t|² - Σv and the denominator |t|² - Σv; both are summed over conditions, and over halvings of the
controls, before they are divided. 0 is perfect, 1 is what no change has. Intervals are 95 % of a bootstrap over
conditions, all models on the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.errors import UnsupportedError
from waddington.twin.respond import HierarchicalAdditive, ResponseModel

Array = npt.NDArray[np.float64]

RESAMPLES = 2000
Z90 = 1.6448536269514722


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What test cells show of one condition, in one modality."""

    label: str
    profile: Array
    """Mean of the condition's cells, (features,)."""
    control: Array
    """Mean of the test controls, (features,)."""
    own_noise: Array
    """Sampling variance of the profile, (features,)."""
    control_noise: Array
    scored: npt.NDArray[np.bool_]
    """Features that count, (features,)."""
    n: int
    """Cells of the condition."""

    @classmethod
    def of(cls, label: str, cells: Array, control: Array, scored: npt.NDArray[np.bool_] | None = None) -> Observed:
        """Sum up cells, (cells, features)."""
        cells, control = cells.astype(np.float64), control.astype(np.float64)
        return cls(
            label=label,
            profile=cells.mean(axis=0),
            control=control.mean(axis=0),
            own_noise=cells.var(axis=0, ddof=1) / len(cells),
            control_noise=control.var(axis=0, ddof=1) / len(control),
            scored=np.ones(cells.shape[1], dtype=np.bool_) if scored is None else scored,
            n=len(cells),
        )

    @property
    def effect(self) -> Array:
        """Profile less control."""
        return self.profile - self.control

    @property
    def noise(self) -> Array:
        """Sampling variance of the effect."""
        return self.own_noise + self.control_noise


def answer(model: ResponseModel, label: str, n_features: int, modality: str = "rna") -> Array:
    """Ask for an effect, of those parts that the model knows where it does not know all; none is no change."""
    try:
        return model.predict(label, guess=True)[modality]
    except UnsupportedError:
        parts = [part for part in label.split("+") if model.supports(part)]
        if not parts or len(parts) == label.count("+") + 1:
            return np.zeros(n_features)
        return answer(model, "+".join(parts), n_features, modality)


def unlimited(model: HierarchicalAdditive) -> HierarchicalAdditive:
    """Let predictions leave the measured ranges."""
    made = object.__new__(HierarchicalAdditive)
    made.__dict__ |= model.__dict__
    made._learned = {
        name: replace(one, low=np.full_like(one.low, -np.inf), high=np.full_like(one.high, np.inf))
        for name, one in model._learned.items()
    }
    return made


def scored(observed: Observed, predictions: Mapping[str, Array], **columns: Any) -> list[dict[str, Any]]:
    """Score predictions of one condition's effect; a row each."""
    keep = observed.scored
    truth, noise = observed.effect[keep], float(observed.noise[keep].sum())
    rows = []
    for name, effect in predictions.items():
        p = effect[keep]
        r = float(np.corrcoef(p, truth)[0, 1]) if p.std() > 0 and truth.std() > 0 else 0.0
        error, energy = float(np.square(p - truth).sum()) - noise, float(np.square(truth).sum()) - noise
        rows.append({**columns, "condition": observed.label, "model": name, "r": r, "error": error, "energy": energy})
    return rows


def scored_profile(observed: Observed, profiles: Mapping[str, Array], **columns: Any) -> list[dict[str, Any]]:
    """Score predicted profiles against the observed one; the change of what is observed counts as the energy."""
    keep = observed.scored
    noise = float(observed.own_noise[keep].sum())
    energy = float(np.square(observed.effect[keep]).sum()) - float(observed.noise[keep].sum())
    rows = []
    for name, profile in profiles.items():
        error = float(np.square(profile - observed.profile)[keep].sum()) - noise
        r = float(np.corrcoef((profile - observed.control)[keep], observed.effect[keep])[0, 1])
        rows.append({**columns, "condition": observed.label, "model": name, "r": r, "error": error, "energy": energy})
    return rows


def covered(
    model: HierarchicalAdditive,
    observed: Observed,
    variance_within: Array,
    groups: Mapping[str, npt.NDArray[np.bool_]],
    **columns: Any,
) -> list[dict[str, Any]]:
    """Say which features' observed effects lie in the posterior's 90 % interval; a row for each group of features.

    The interval is ± z √(variance + s²/n + the noise of the controls that the truth is measured from). Profiles would
    not do: the truth is another experiment, or has other controls, and what moves all its cells is no error of the
    model's. "sampling" has no variance in it.
    """
    label = observed.label
    error = np.abs(observed.effect - model.predict(label, guess=True)["rna"])
    variance = np.square(model.standard_deviation(label, guess=True)["rna"])
    noise = variance_within / observed.n + observed.control_noise
    rows = []
    for kind, total in {"posterior": variance + noise, "sampling": noise}.items():
        inside = error <= Z90 * np.sqrt(total)
        for name, chosen in groups.items():
            keep = observed.scored & chosen
            found = {"kind": kind, "genes": name, "inside": int(inside[keep].sum()), "n": int(keep.sum())}
            rows.append({**columns, "condition": label, "support": model.support(label).how, **found})
    return rows


def _units(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Sum over halvings: a row for each condition of each screen, models as columns."""
    totals = frame.groupby(["screen", "condition", "model"], sort=True)[["error", "energy"]].sum()
    totals["r"] = frame.groupby(["screen", "condition", "model"], sort=True)["r"].mean()
    return totals[list(columns)].unstack("model")


def summary(frame: pd.DataFrame, *, against: str, of: str, seed: int = 0) -> pd.DataFrame:
    """Give ncSE and r of every model with intervals, and of model `of` its ratio and difference to each other model.

    Parameters
    ----------
    frame
        Rows of :func:`scored`, of one split, with a column `screen`.
    against
        Model whose ratio is taken of all others.
    of
        Model that stands for ours.
    """
    units = _units(frame, ["error", "energy", "r"])
    drawn = np.random.default_rng(seed).integers(0, len(units), (RESAMPLES, len(units)))
    rows = []

    def ratio(name: str, rows_: npt.NDArray[np.intp] | slice, other: str | None = None) -> Array:
        top = units["error"][name].to_numpy()[rows_]
        bottom = (units["energy"][name] if other is None else units["error"][other]).to_numpy()[rows_]
        return np.asarray(top.sum(axis=-1) / bottom.sum(axis=-1))

    everything = slice(None)
    for name in frame["model"].unique():
        r = units["r"][name].to_numpy()
        difference = units["r"][of].to_numpy() - r
        found = {"model": name, "conditions": len(units), "ncse": float(ratio(name, everything)), "r": r.mean()}
        found["ncse_low"], found["ncse_high"] = np.quantile(ratio(name, drawn), [0.025, 0.975])
        found["r_low"], found["r_high"] = np.quantile(r[drawn].mean(axis=1), [0.025, 0.975])
        found["ratio"] = float(ratio(name, everything, against))
        found["ratio_low"], found["ratio_high"] = np.quantile(ratio(name, drawn, against), [0.025, 0.975])
        found["gain"] = difference.mean()
        found["gain_low"], found["gain_high"] = np.quantile(difference[drawn].mean(axis=1), [0.025, 0.975])
        rows.append(found)
    return pd.DataFrame(rows)


def shown(table: pd.DataFrame, *, title: str, against: str, of: str) -> str:
    """Write a table of :func:`summary`."""
    lines = [f"\n{title}; {table['conditions'].iloc[0]} conditions"]
    lines.append(f"{'':32}{'ncSE':>21}{'r':>23}{f'ncSE / {against}':>30}{f'r of {of[:18]} less':>32}")
    for row in table.itertuples():
        low, high = f"[{row.ncse_low:.3f}, {row.ncse_high:.3f}]", f"[{row.r_low:.3f}, {row.r_high:.3f}]"
        ratio = f"{row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}]"
        gain = f"{row.gain:+.3f} [{row.gain_low:+.3f}, {row.gain_high:+.3f}]"
        lines.append(f"{row.model:26}{row.ncse:9.3f} {low:17}{row.r:9.3f} {high:16}{ratio:>25}{gain:>32}")
    return "\n".join(lines)


def coverage_shown(frame: pd.DataFrame, by: Sequence[str], *, title: str) -> str:
    """Write the share of observed means inside the interval, over all conditions and features of a group."""
    totals = frame.groupby([*by, "genes", "kind"], sort=False)[["inside", "n"]].sum()
    share = (totals["inside"] / totals["n"]).unstack("kind")
    share["observed means"] = totals["n"].unstack("kind")["posterior"]
    return f"\n{title}\n{share.to_string(float_format=lambda x: f'{x:.3f}')}"
