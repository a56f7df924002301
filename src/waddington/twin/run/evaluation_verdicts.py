"""What an evaluation says in plain words: what can be predicted here, what not, and how surely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from waddington._text import counted
from waddington.twin.data.modalities import TITLES
from waddington.twin.evaluate.protocol import WAYS, Evaluation
from waddington.twin.evaluate.protocol.evaluation import EVERY
from waddington.twin.evaluate.protocol.scores import REPLICATE
from waddington.twin.report.page import Verdict
from waddington.twin.respond.registry import DEFAULT_MODEL, MODELS

__all__ = ["verdicts_of"]

_LEVEL = 0.005
"""Difference of r up to which two models are level."""

_FEWEST = 3
"""Conditions below which nothing is answered: the interval of two is their own range, and chance gives both signs."""

_FEW = 10
"""Permutations below which chance alone may pass the limit: all conditions of one share its controls."""

NULL_LIMIT = 0.15
"""Mean Pearson r on permuted labels up to which nothing was found."""


def verdicts_of(found: Evaluation) -> Iterator[Verdict]:
    """Answer the questions of an evaluation, the most important first.

    Where no condition can be measured, nothing else is answered either: an interval that holds noise, and permuted
    labels beside noise, say nothing.
    """
    yield from _measurable(found)
    for split in found.settings["splits"]:
        yield from _predictable(found, str(split))
    if found.conditions["measurable"].any():
        yield from _calibrated(found)
        yield from _null(found)


def _measurable(found: Evaluation) -> Iterator[Verdict]:
    for modality, table in found.conditions.groupby("modality", sort=False):
        known, all_ = int(table["measurable"].sum()), len(table)
        answer = "yes" if known == all_ else "partly" if known else "not measurable"
        title = TITLES.get(str(modality), str(modality))
        reasons = table.loc[~table["measurable"].astype(bool), "reason"].value_counts()
        yield Verdict(
            question=f"Do these cells show what the conditions do to {title}?",
            answer=answer,
            sentence=f"Replicates agree on {known} of {counted(all_, 'condition')}.",
            evidence="; ".join(f"{reason}: {n}" for reason, n in reasons.items()),
        )


def _predictable(found: Evaluation, split: str) -> Iterator[Verdict]:
    """Compare the default model with the baselines of a split, over its measurable conditions."""
    for modality in dict.fromkeys(found.summary["modality"]):
        rows = found.summary[
            (found.summary["split"] == split)
            & (found.summary["modality"] == modality)
            & (found.summary["metric"] == "pearson")
        ]
        title = TITLES.get(str(modality), str(modality))
        question = f"Can the change of {title} be predicted for {WAYS.get(split, split)}?"
        known = rows[(rows["conditions"] == "measurable") & (rows["n"] > 0)]
        if known.empty:
            there = rows["conditions"].eq("measurable").any()
            yield Verdict(
                question=question,
                answer="undecided" if there else "not measurable",
                sentence="No model has an answer." if there else "None of these conditions can be measured.",
            )
            continue
        yield _judged(question, known, _guesses(found, split, str(modality)))


def _guesses(found: Evaluation, split: str, modality: str) -> dict[str, int]:
    """Count the measurable conditions of a split that each model answered with a guess."""
    scores = found.scores[
        (found.scores["split"] == split)
        & (found.scores["modality"] == modality)
        & (found.scores["metric"] == "pearson")
        & found.scores["value"].notna()
        & found.scores["support"].isin(["partial", "none"])
    ]
    counts = scores.loc[scores["measurable"].astype(bool), "model"].value_counts()
    return {str(name): int(n) for name, n in counts.items()}


def _judged(question: str, rows: pd.DataFrame, guesses: Mapping[str, int]) -> Verdict:
    table = rows[rows["value"].notna()]
    known: dict[str, dict[str, Any]] = {str(row["model"]): dict(row) for _, row in table.iterrows()}
    ceiling = known.pop(REPLICATE, None)
    if not known:
        return Verdict(question=question, answer="undecided", sentence="No model has an answer.")
    asked = max(int(row["n"]) for row in known.values())
    name = (
        DEFAULT_MODEL if DEFAULT_MODEL in known else max(known, key=lambda one: (known[one]["n"], known[one]["value"]))
    )
    row = known[name]
    # Means over other conditions are shown with their number and compared with nothing.
    values = {one: float(other["value"]) for one, other in known.items() if other["n"] == row["n"]}
    best = max(values, key=lambda one: values[one])
    of_all = max(asked, 0 if ceiling is None else int(ceiling["n"]))
    over = f"{int(row['n'])} of " if row["n"] < of_all else ""
    n_guessed = guesses.get(name, 0)
    guessed = f", {'all' if n_guessed == row['n'] else n_guessed} of them with a guessed part" if n_guessed else ""
    said = f"{name}: r = {_interval(row)}, over {over}{counted(of_all, 'measurable condition')}{guessed}"
    others = [
        f"{one} {other['value']:.2f}" + ("" if other["n"] == asked else f" (of {int(other['n'])})")
        for one, other in known.items()
        if one != name
    ]
    if ceiling is not None:
        others.append(f"replicate {float(ceiling['value']):.2f}")
    evidence = f"r of others: {'; '.join(others)}" if others else ""
    if row["low"] != row["low"] or row["n"] < _FEWEST:
        few = ": too few to tell" if row["n"] > 1 else ""
        return Verdict(question=question, answer="undecided", sentence=f"{said}{few}.", evidence=evidence)
    if not row["low"] > 0:
        answer, why = ("no", "it points the wrong way") if row["high"] < 0 else ("undecided", "not told apart from 0")
        return Verdict(question=question, answer=answer, sentence=f"{said}: {why}.", evidence=evidence)
    simple = [other for other in values if other in MODELS and MODELS[other].baseline and other != name]
    rival = max(simple, key=lambda other: values[other], default="")
    behind = bool(rival) and values[rival] > values[name] + _LEVEL
    if behind:
        said = f"{said}; the simpler {rival} has {values[rival]:.2f}"
    elif values[best] > values[name] + _LEVEL:
        said = f"{said}; {best} has {values[best]:.2f}"
    return Verdict(question=question, answer="partly" if behind else "yes", sentence=f"{said}.", evidence=evidence)


def _calibrated(found: Evaluation) -> Iterator[Verdict]:
    table = found.coverage[found.coverage["support"].isin(["added", "measured", "combined", "interpolated"])]
    if table.empty:
        return
    keys = ["split", "support", "model", "modality", "features"]
    # Where nothing could be calibrated, what the model says itself stands in its place.
    table = table.assign(later=table["interval"] == "normal").sort_values("later", kind="stable").drop_duplicates(keys)
    rows = table[table["features"] == "expressed"]
    changed = {
        tuple(row[:4]): row[4] for row in table.loc[table["features"] == "changed", [*keys[:4], "coverage"]].to_numpy()
    }
    held = rows["coverage"].between(0.85, 0.95)
    shown = []
    for row in rows.itertuples(index=False):
        of_changed = changed.get((row.split, row.support, row.model, row.modality))
        said = "" if of_changed is None else f" (changed features {of_changed:.0%})"
        shown.append(
            f"{row.model}, {TITLES.get(str(row.modality), row.modality)}, {row.split}, {row.support}: "
            f"{row.coverage:.0%}{said}"
        )
    ends = dict.fromkeys(f"{share:.0%}" for share in (rows["coverage"].min(), rows["coverage"].max()))
    conformal = rows["interval"] == "conformal"
    calibrated = "Calibrated 90 %" if conformal.all() else "90 %" if conformal.any() else "The models' own 90 %"
    why = "" if conformal.all() else ", not calibrated where too few conditions tell how wide they have to be,"
    yield Verdict(
        question="Do the models say rightly how sure they are?",
        answer="yes" if held.all() else "partly" if held.any() else "no",
        sentence=f"{calibrated} intervals{why} hold {' to '.join(ends)} of expressed "
        "features where every perturbation was measured; answers that are guesses are flagged and not counted.",
        evidence="; ".join(shown),
    )


def _null(found: Evaluation) -> Iterator[Verdict]:
    rows = found.null[found.null["split"] == EVERY]
    if rows.empty:
        return
    largest = float(rows["pearson"].abs().max())
    measured = int(rows.groupby("modality")["n_measurable"].first().sum())
    total = int(rows.groupby("modality")["n_conditions"].first().sum())
    fine = largest <= NULL_LIMIT and measured == 0
    times = int(found.settings["null_repeats"])
    few = f" With {counted(times, 'permutation')} this may be chance: ask for more." if times < _FEW else ""
    yield Verdict(
        question="Is nothing found where there is nothing?",
        answer="yes" if fine else "no",
        sentence=f"On permuted labels the largest mean r of any model is {largest:.2f}, and {measured} of "
        f"{counted(total, 'condition')} count as measurable.",
        evidence="" if fine else f"Scores above should be read with this in mind.{few}",
    )


def _interval(row: Mapping[str, Any]) -> str:
    if row["low"] != row["low"]:
        return f"{row['value']:.2f} [one condition: no interval]"
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
