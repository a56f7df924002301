"""Do effects that depend on the state predict better? ``python benchmarks/state_responses.py [--only PART …]``.

Parts: ``starts`` (effects from each state of the simulator, against the same cells grown with and without the
perturbation), ``cells`` (E-distance of predicted from observed cells), ``planning`` (which perturbations turn one fate
into another), ``acting`` (the same, by what the agents' environment pays), ``kang``, ``kang_held_out`` and ``larry``
(measured cells, found in the folder that WADDINGTON_DATA names). Set ``OMP_NUM_THREADS=1`` to time one core.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.decomposition import PCA

from waddington.twin.data.conditions import Condition, Perturbation, condition_label, make_condition, parse_label
from waddington.twin.data.splits import Split
from waddington.twin.datasets import FATES, default_conditions, edit_sets, reach_probability, simulate
from waddington.twin.dynamics import Dynamics, build_dynamics
from waddington.twin.evaluate import e_distance, energy_test
from waddington.twin.plan.env import CellTask
from waddington.twin.respond import LatentResponse, StateDependent, Training, fit_model
from waddington.twin.simulate.cascade import Cascade, Wiring
from waddington.twin.simulate.dynamics import MYELOID_KINETICS, Edits, integrate
from waddington.twin.simulate.fates import STATE_NAMES, STATES
from waddington.twin.simulate.network import MYELOID
from waddington.twin.simulate.truth import natural_units

Array = npt.NDArray[np.floating]

_GENES = 200
_BOOTSTRAPS = 2000


class Screen:
    """A simulated screen, log-normalized."""

    def __init__(self, seed: int, wiring: int, conditions: Sequence[Condition], n_cells: int, controls: float) -> None:
        mdata = simulate(
            n_cells=n_cells, n_genes=_GENES, n_peaks=0, n_proteins=0, conditions=conditions, n_truth_cells=0,
            control_fraction=controls, seed=seed, wiring_seed=wiring,
        )  # fmt: skip
        counts = mdata["rna"].layers["counts"].toarray()
        self.x = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
        columns = zip(mdata.obs["perturbation"].astype(str), mdata.obs["perturbation_mode"].astype(str), strict=True)
        self.labels = np.array([_label(gene, mode) for gene, mode in columns])
        self.types = mdata.obs["cell_type"].astype(str).to_numpy()
        self.names = mdata["rna"].var_names.to_numpy().astype(str)

    def training(self, without: Sequence[str] = ()) -> Training:
        split = Split(
            kind="perturbation", labels=self.labels, control="control", train=np.ones(len(self.x), bool), split_of={}
        )
        return Training(values={"rna": self.x}, split=split, names={"rna": self.names}).without(without)

    def unedited(self, label: str) -> npt.NDArray[np.bool_]:
        return ~np.isin(self.names, [one.gene for one in parse_label(label)])


@functools.cache
def _label(gene: str, mode: str) -> str:
    genes, modes = gene.split("+"), mode.split("+")
    if gene == "control":
        return "control"
    modes = modes * len(genes) if len(modes) == 1 else modes
    return condition_label(make_condition(Perturbation(g, m) for g, m in zip(genes, modes, strict=True)))


def grown_from(state: str, conditions: Sequence[Condition], wiring: int, *, hours: float, n_cells: int) -> Array:
    """Give noise-free profiles of the same cells of one state under each condition, (conditions, cells, genes)."""
    wired = Wiring.draw(n_genes=_GENES, n_peaks=0, n_proteins=0, seed=wiring)
    center = STATES[:, STATE_NAMES.index(state), None]
    found = []
    for batch in _batches(conditions, 8):
        rng = np.random.default_rng([7])
        scatter = rng.standard_normal((len(MYELOID), n_cells), dtype=np.float32)
        single = np.maximum(center + np.sqrt(center / np.float32(MYELOID_KINETICS.system_size)) * scatter, 0)
        start, edits = np.tile(single, (1, len(batch))), Edits.of(MYELOID, batch, [n_cells] * len(batch))
        cascade = Cascade(wired, start)
        x = integrate(
            MYELOID, MYELOID_KINETICS, edits.apply(start.copy()), hours=hours, rng=rng, edits=edits, n_steps=192,
            replicas=len(batch), observe=cascade, observe_every=3,
        )  # fmt: skip
        profiles = np.log1p(natural_units(cascade.profiles(x))["rna"])
        found.append(profiles.reshape(_GENES, len(batch), n_cells).transpose(1, 2, 0))
    return np.concatenate(found).astype(np.float64)


def _batches(conditions: Sequence[Condition], n: int) -> list[Sequence[Condition]]:
    return [conditions[start : start + n] for start in range(0, len(conditions), n)]


def starts(worlds: int) -> pd.DataFrame:
    """Compare predicted effects from each state with those of the same cells grown both ways, after 96 hours."""
    rows = []
    for world in range(worlds):
        conditions = default_conditions()
        screen = Screen(world, world % 3, conditions, 5000, 0.4)
        labels = [condition_label(one) for one in conditions if one]
        doubles = [label for label in labels if "+" in label]
        whole, without = StateDependent.fit(screen.training()), StateDependent.fit(screen.training(doubles))
        print(f"  world {world}: {whole.choice.reason}", flush=True)
        resting = screen.labels == "control"
        for state in STATE_NAMES:
            grown = grown_from(state, conditions, world % 3, hours=96.0, n_cells=200).mean(axis=1)
            start = {"rna": screen.x[resting & (screen.types == state)].mean(axis=0, dtype=np.float64)}
            for asked, model, which in (("measured", whole, labels), ("doubles held out", without, doubles)):
                for label in which:
                    keep = screen.unedited(label)
                    true = (grown[1 + labels.index(label)] - grown[0])[keep]
                    shared, own = model.predict(label)["rna"][keep], model.predict(label, start=start)["rna"][keep]
                    rows.append({
                        "asked": asked, "state": state, "unit": f"{world} {label}", "energy": true @ true,
                        "shared": (shared - true) @ (shared - true), "state-dependent": (own - true) @ (own - true),
                    })  # fmt: skip
    table = pd.DataFrame(rows)
    fates = table[table["state"] != "Progenitor"].assign(state="all fates")
    return pd.concat([
        _ratios(part, ["shared", "state-dependent"]).assign(asked=asked, state=state)
        for (asked, state), part in pd.concat([table, fates]).groupby(["asked", "state"], sort=False)
    ])  # fmt: skip


def _ratios(table: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """Pool squared errors over units; bootstrap the last model's ratio less each other's over units."""
    sums = table.groupby("unit")[["energy", *models]].sum().to_numpy()
    drawn = np.random.default_rng(0).integers(len(sums), size=(_BOOTSTRAPS, len(sums)))
    ratio = sums.sum(axis=0)[1:] / sums.sum(axis=0)[0]
    total = sums[drawn].sum(axis=1)
    row: dict[str, object] = dict(zip(models, ratio.tolist(), strict=True))
    for place, model in enumerate(models[:-1]):
        low, high = np.quantile((total[:, -1] - total[:, 1 + place]) / total[:, 0], [0.025, 0.975])
        interval = f" [{low:.3f}, {high:.3f}]" if len(sums) > 1 else ""
        row[f"less {model}"] = f"{ratio[-1] - ratio[place]:.3f}{interval}"
    return pd.DataFrame([{**row, "n": len(sums)}])


def cells(worlds: int) -> pd.DataFrame:
    """Compare predicted cells with those of a second screen of the same genome, by E-distance in 30 components."""
    rows = []
    for world in range(worlds):
        conditions = default_conditions()
        screen, other = (Screen(seed, world % 3, conditions, 5000, 0.4) for seed in (world, 100 + world))
        labels = [condition_label(one) for one in conditions if one]
        doubles = [label for label in labels if "+" in label]
        pca = PCA(30, random_state=0).fit(screen.x)
        control = {"rna": other.x[other.labels == "control"][:400]}
        for asked, which, left_out in (("measured", labels, ()), ("doubles held out", doubles, doubles)):
            model = StateDependent.fit(screen.training(left_out))
            for label in which:
                observed = pca.transform(other.x[other.labels == label])
                shared = np.clip(control["rna"] + model.shared.predict(label)["rna"], screen.x.min(0), screen.x.max(0))
                predicted = {
                    "no change": control["rna"],
                    "shared": shared,
                    "state-dependent": model.predict_cells(label, control)["rna"],
                    "replicate": screen.x[screen.labels == label],
                }
                for name, made in predicted.items():
                    test = energy_test(pca.transform(np.asarray(made, np.float32)), observed, n_permutations=99)
                    rows.append({"asked": asked, "model": name, "unit": f"{world} {label}",
                                 "distance": test.distance, "told apart": test.p_value <= 0.05})  # fmt: skip
    return _distances(pd.DataFrame(rows), ["asked"])


def _distances(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Average over units; bootstrap each model's distance less the shared one's over units."""
    found = []
    for key, part in table.groupby(keys, sort=False):
        wide = part.pivot_table(index="unit", columns="model", values="distance", sort=False)
        drawn = np.random.default_rng(0).integers(len(wide), size=(_BOOTSTRAPS, len(wide)))
        for model in part["model"].unique():
            less = (wide[model] - wide["shared"]).to_numpy()
            low, high = np.quantile(less[drawn].mean(axis=1), [0.025, 0.975])
            found.append(dict(zip(keys, key, strict=True)) | {
                "model": model, "E-distance": wide[model].mean(), "less shared": less.mean(), "low": low, "high": high,
                "told apart": part.loc[part["model"] == model, "told apart"].mean(), "n": len(wide),
            })  # fmt: skip
    return pd.DataFrame(found)


def planning(worlds: int) -> pd.DataFrame:
    """Choose at most two edits that turn cells of a state into a fate, and score the odds that they do.

    Chosen is the set whose predicted mean is nearest to the fate's, or that brings the most predicted cells nearer to
    it than to any other state (among equals the nearest mean cell).
    """
    rows = []
    sets = edit_sets(2)
    labels = [condition_label(one) for one in sets]
    for world in range(min(worlds, 3)):
        screen = _planning_screen(sets, world)
        model = StateDependent.fit(screen.training())
        resting = screen.labels == "control"
        profile = {one: screen.x[resting & (screen.types == one)].mean(axis=0, dtype=np.float64) for one in STATE_NAMES}
        keep = ~np.isin(screen.names, list(MYELOID.genes))
        for state in STATE_NAMES:
            start, cells = {"rna": profile[state]}, {"rna": screen.x[resting & (screen.types == state)]}
            grown = grown_from(state, [(), *sets], world, hours=144.0, n_cells=48).mean(axis=1)
            shared = np.stack([model.predict(label)["rna"] for label in labels])
            means = {
                "shared": shared,
                "state-dependent": np.stack([model.predict(one, start=start)["rna"] for one in labels]),
                "true effect": grown[1:] - grown[0],
            }
            moved = {
                "shared": np.stack([_nearness(cells["rna"] + one, profile, keep) for one in shared]),
                "state-dependent": np.stack(
                    [_nearness(model.predict_cells(one, cells)["rna"], profile, keep) for one in labels]
                ),
            }
            for place, fate in enumerate(FATES):
                if fate == state:
                    continue
                odds = np.concatenate([reach_probability(part, state, fate) for part in _batches(sets, 64)])
                chosen = {
                    (name, "mean"): np.square((profile[state] + effects - profile[fate])[:, keep]).sum(axis=1).argmin()
                    for name, effects in means.items()
                } | {
                    (name, "cells"): np.lexsort((near[:, place, 1], -near[:, place, 0]))[0]
                    for name, near in moved.items()
                }
                for (name, by), best in chosen.items():
                    regret = odds.max() - odds[best]
                    rows.append({
                        "from": "progenitor" if state == "Progenitor" else "fate", "model": name, "by": by,
                        "unit": f"{world} {state} {fate}", "regret": regret, "within": regret <= 0.05,
                    })  # fmt: skip
    return _within(pd.DataFrame(rows), "mean")


def _within(table: pd.DataFrame, simplest: str) -> pd.DataFrame:
    """Give the share of choices within .05 of the best odds, less that of the shared effect by the simplest means."""
    found = []
    for (origin, name, by), part in table.groupby(["from", "model", "by"], sort=False):
        base = table[(table["from"] == origin) & (table["model"] == "shared") & (table["by"] == simplest)]
        less = part.set_index("unit")["within"].astype(float) - base.set_index("unit")["within"].astype(float)
        drawn = np.random.default_rng(0).integers(len(less), size=(_BOOTSTRAPS, len(less)))
        low, high = np.quantile(less.to_numpy()[drawn].mean(axis=1), [0.025, 0.975])
        found.append({
            "from": origin, "model": name, "by": by,
            "regret": part["regret"].mean(), "within .05": part["within"].mean(),
            f"less shared by {simplest}": f"{less.mean():.3f} [{low:.3f}, {high:.3f}]", "n": len(part),
        })  # fmt: skip
    return pd.DataFrame(found)


def acting(worlds: int) -> pd.DataFrame:
    """Choose at most two edits by what the agents' environment pays for them, and score the odds that they work.

    Every set is begun at once, without noise or drift, on all cells of a state, in 16 standardized components: paid is
    the drop of the distance to the fate's mean, or the chance of being in that state rather than in any other. Beside
    them stand cells that move by their own effect (the state-dependent model of the same components), by both.
    """
    rows = []
    sets = edit_sets(2)
    labels = [condition_label(one) for one in sets]
    odds = {
        (state, fate): np.concatenate([reach_probability(part, state, fate) for part in _batches(sets, 64)])
        for state in STATE_NAMES
        for fate in FATES
        if fate != state
    }
    for world in range(worlds):
        screen = _planning_screen(sets, world)
        z = PCA(16, random_state=0).fit_transform(screen.x).astype(np.float32)
        z = (z - z.mean(axis=0)) / z.std(axis=0)
        split = Split(
            kind="perturbation", labels=screen.labels, control="control", train=np.ones(len(z), bool), split_of={}
        )
        response = LatentResponse.fit(z, screen.labels)
        dynamics = build_dynamics(response, noise_fraction=0.0, drift_rate=0.0, disturbance_prob=0.0, clip=100.0)
        model = StateDependent.fit(Training(values={"z": z}, split=split))
        resting = screen.labels == "control"
        states = np.stack([z[resting & (screen.types == one)].mean(axis=0) for one in STATE_NAMES])
        for state in STATE_NAMES:
            cells = z[resting & (screen.types == state)]
            ends = {
                "shared": np.stack([_carried_out(dynamics, cells, one) for one in labels]),
                "state-dependent": np.stack([model.predict_cells(one, {"z": cells})["z"] for one in labels]),
            }
            for fate in FATES:
                if fate == state:
                    continue
                goal = states[STATE_NAMES.index(fate)][None]
                task = CellTask(dynamics=dynamics, starts=cells, goals=goal, states=states)
                for name, by in itertools.product(ends, ("distance", "chance")):
                    paid = [_paid(task, one.astype(np.float32), by) for one in ends[name]]
                    regret = odds[state, fate].max() - odds[state, fate][int(np.argmax(paid))]
                    rows.append({
                        "from": "progenitor" if state == "Progenitor" else "fate", "model": name, "by": by,
                        "unit": f"{world} {state} {fate}", "regret": regret, "within": regret <= 0.05,
                    })  # fmt: skip
    return _within(pd.DataFrame(rows), "distance")


def _carried_out(dynamics: Dynamics, cells: Array, label: str) -> Array:
    """Give where cells end that begin every perturbation of a set, (cells, dimensions)."""
    state, rng = dynamics.reset(cells), np.random.default_rng(0)
    for edit in parse_label(label):
        dynamics.apply(state, np.full(len(cells), dynamics.perturbations.index(str(edit))))
    for _ in range(dynamics.duration):
        dynamics.step(state, rng)
    return state["z"]


def _paid(task: CellTask, cells: Array, by: str) -> float:
    """Give what episodes are paid whose cells end here, on average and up to a constant."""
    if by == "chance":
        return float(task.chance(cells, np.zeros(len(cells), np.int64)).mean())
    return -float(np.square(cells - task.goals[0]).mean())


def _planning_screen(sets: Sequence[Condition], world: int) -> Screen:
    """Give a screen with all single edits and 40 of the doubles, 100 cells each and 400 controls."""
    doubles = [one for one in sets if len(one) == 2]
    drawn = np.random.default_rng(world).choice(len(doubles), 40, replace=False)
    conditions = [(), *(one for one in sets if len(one) == 1), *(doubles[i] for i in drawn)]
    n_cells = 400 + 100 * (len(conditions) - 1)
    return Screen(world, world, conditions, n_cells, 400 / n_cells)


def _nearness(cells: Array, profile: dict[str, Array], keep: npt.NDArray[np.bool_]) -> Array:
    """Give, for each state, the share of cells that are nearest to it, and their mean squared distance, (states, 2)."""
    centers = np.stack([one[keep] for one in profile.values()])
    far = np.square(np.maximum(cells, 0.0)[:, None, keep] - centers).sum(axis=2)
    share = np.bincount(far.argmin(axis=1), minlength=len(centers)) / len(cells)
    return np.stack([share, far.mean(axis=0)], axis=1)


def _kang() -> tuple[Array, npt.NDArray[np.str_], npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """Read profiles, conditions, cell types and donors."""
    data = ad.read_h5ad(Path(os.environ["WADDINGTON_DATA"]) / "kang2018_ifnb/kang_celltypes_1556cells.h5ad")
    labels = np.where(data.obs["stim"].astype(str) == "stim", "IFNB:cytokine", "control")
    counts = data.X.toarray()
    x = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    return x, labels, data.obs["cell_type"].astype(str).to_numpy(), data.obs["donor"].astype(str).to_numpy()


def kang() -> pd.DataFrame:
    """Predict what interferon does to each cell type, one half of the cells from the other, 10 halvings."""
    x, labels, types, _ = _kang()
    return halved(x, labels, types, "control", "perturbation")


def kang_held_out() -> pd.DataFrame:
    """Predict what interferon does to a type, or to a donor's types, not seen stimulated; 10 halvings of controls."""
    x, labels, types, donors = _kang()
    target, rows = "IFNB:cytokine", []
    for seed, (held, groups) in itertools.product(range(10), (("type", types), ("donor", donors))):
        rng = np.random.default_rng(seed)
        for group in sorted(set(groups.tolist())):
            away = groups == group
            split = Split(kind="perturbation", labels=labels, control="control", train=~away, split_of={})
            data = Training(values={"rna": x}, split=split, groups=types)
            models = {name: fit_model(name, data) for name in ("mean", "similarity-weighted", "state-dependent")}
            for cell_type in sorted(set(types[away].tolist())):
                resting = rng.permutation(np.flatnonzero(away & (types == cell_type) & (labels == "control")))
                start, seen = x[resting[: len(resting) // 2]], x[away & (types == cell_type) & (labels == target)]
                rest = x[resting[len(resting) // 2 :]]
                noise = (rest.var(axis=0, ddof=1) / len(rest) + seen.var(axis=0, ddof=1) / len(seen)).sum()
                true = seen.mean(axis=0, dtype=np.float64) - rest.mean(axis=0, dtype=np.float64)
                row = {"held out": held, "unit": f"{group} {cell_type}", "energy": true @ true - noise}
                for name, model in models.items():
                    effect = model.predict(target, start={"rna": start.mean(axis=0, dtype=np.float64)})["rna"]
                    row[name] = (effect - true) @ (effect - true) - noise
                    row[f"r {name}"] = np.corrcoef(effect, true)[0, 1]
                rows.append(row)
    table = pd.DataFrame(rows)
    return pd.concat([
        _ratios(part, ["mean", "similarity-weighted", "state-dependent"]).assign(
            **{"held out": held}, **part.filter(like="r ").mean().to_dict()
        )
        for held, part in table.groupby("held out", sort=False)
    ])  # fmt: skip


def larry() -> pd.DataFrame:
    """Predict what two days do to each state, day 4 to 6, one half of the cells from the other, 10 halvings."""
    data = ad.read_h5ad(Path(os.environ["WADDINGTON_DATA"]) / "larry_weinreb/larry_781cells.h5ad")
    days, states = data.obs["time_info"].astype(str).to_numpy(), data.obs["state_info"].astype(str).to_numpy()
    known = np.isin(days, ["4", "6"]) & np.isin(states, ["undiff", "Monocyte", "Baso", "Neutrophil", "Mast"])
    x = np.log1p(data.X.toarray() if hasattr(data.X, "toarray") else data.X).astype(np.float32)
    return halved(x[known], days[known], states[known], "4", "time")


def halved(
    x: Array, labels: npt.NDArray[np.str_], groups: npt.NDArray[np.str_], control: str, kind: str
) -> pd.DataFrame:
    """Fit on one half of the cells, score each group on the other half: noise-corrected error, and E-distance."""
    (target,) = set(labels.tolist()) - {control}
    rows = []
    chosen = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        train = np.zeros(len(x), bool)
        for label, group in itertools.product((control, target), sorted(set(groups.tolist()))):
            here = np.flatnonzero((labels == label) & (groups == group))
            train[rng.permutation(here)[: len(here) // 2]] = True
        split = Split(kind=kind, labels=labels, control=control, train=train, split_of={})
        model = StateDependent.fit(Training(values={"rna": x}, split=split, groups=groups))
        chosen.append(model.choice.form)
        pca = PCA(30, random_state=0).fit(x[train])
        for group in sorted(set(groups.tolist())):
            resting, seen = (x[~train & (labels == one) & (groups == group)] for one in (control, target))
            noise = (resting.var(axis=0, ddof=1) / len(resting) + seen.var(axis=0, ddof=1) / len(seen)).sum()
            true = seen.mean(axis=0, dtype=np.float64) - resting.mean(axis=0, dtype=np.float64)
            start = {"rna": x[train & (labels == control) & (groups == group)].mean(axis=0, dtype=np.float64)}
            names = np.full(len(resting), group)
            moved = {
                "shared": np.clip(resting + model.shared.predict(target)["rna"], x[train].min(0), x[train].max(0)),
                "state-dependent": model.predict_cells(target, {"rna": resting}, groups=names)["rna"],
                "no change": resting,
                "replicate": x[train & (labels == target) & (groups == group)],
            }
            row = {"unit": group, "state": group, "energy": true @ true - noise}
            shared, own = model.shared.predict(target)["rna"], model.predict(target, start=start)["rna"]
            for name, effect in (("shared", shared), ("state-dependent", own)):
                row[name] = (effect - true) @ (effect - true) - noise
            observed = pca.transform(seen)
            for name, made in moved.items():
                row[f"E {name}"] = e_distance(pca.transform(np.asarray(made, np.float32)), observed)
            rows.append(row)
    print(f"  chosen in {len(chosen)} halvings: {pd.Series(chosen).value_counts().to_dict()}", flush=True)
    table = pd.DataFrame(rows)
    distances = [column for column in table if column.startswith("E ")]
    every = pd.concat([table, table.assign(state="all")])
    return pd.concat([
        _ratios(part, ["shared", "state-dependent"]).assign(state=state, **part[distances].mean().to_dict())
        for state, part in every.groupby("state", sort=False)
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[], pd.DataFrame]] = {
        "starts": lambda: starts(options.worlds),
        "cells": lambda: cells(options.worlds),
        "planning": lambda: planning(options.worlds),
        "acting": lambda: acting(options.worlds),
        "kang": kang,
        "kang_held_out": kang_held_out,
        "larry": larry,
    }
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--worlds", type=int, default=6, help="screens, over three wirings")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    record = {}
    for name in options.only:
        if name in ("kang", "kang_held_out", "larry") and "WADDINGTON_DATA" not in os.environ:
            print(f"{name}: skipped, WADDINGTON_DATA names no folder of data")
            continue
        print(f"{name}: {str(globals()[name].__doc__).splitlines()[0]}", flush=True)
        table = parts[name]()
        print(table.to_string(index=False, float_format="{:.3f}".format), flush=True)
        record[name] = table.to_dict(orient="records")
    if options.json:
        options.json.write_text(json.dumps(record, indent=1, default=float))


if __name__ == "__main__":
    main()
