"""What a run's numbers say, in words, by a stated rule.

An answer is given only where it can be measured: conditions whose replicates do not agree take no part (see
:mod:`waddington.twin.evaluate.measurable`), and where none is left every verdict is "not measurable".

Contestants are compared as :mod:`waddington.twin.run.comparison` says. Nothing here is typed in.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from waddington._text import counted
from waddington.optim import registry
from waddington.twin.evaluate.measurability import CIRCULAR
from waddington.twin.evaluate.metrics import get_metric
from waddington.twin.evaluate.paper import is_published
from waddington.twin.report.page import Verdict
from waddington.twin.run.agent_jobs import IDLE, RANDOM
from waddington.twin.run.comparison import Comparison, compare
from waddington.twin.run.optimizers import OptimizerSetting

__all__ = ["verdicts"]

_RIVALS = (
    *("no change", "mean", "additive", "scaled additive", "hierarchical additive"),
    *("pca", "untrained", "random projection"),
)
"""Rivals of the encoder: the strongest that are known, not only the simplest."""

_ONE_SEED = "One seed alone shows no scatter, so nothing can be told apart; a run of two seeds or more may tell."


def verdicts(
    metrics: pd.DataFrame,
    *,
    optimizers: tuple[str, ...],
    best: Mapping[str, str] | None = None,
    measurability: pd.DataFrame | None = None,
) -> list[Verdict]:
    """Answer the questions that a reader of the report asks, from tidy metrics.

    Parameters
    ----------
    metrics
        Tidy metrics of the whole run.
    optimizers
        The optimizers compared, in order.
    best
        Optimizer whose model stands for ``"response"`` and for ``"agent"``, chosen on training and validation cells: a
        winner that was picked on test cells would flatter itself. The first optimizer where not given.
    measurability
        Which conditions can be measured: columns modality, condition, measurable, reason, half_r. Where none can,
        nothing is answered. None: taken for granted.
    """
    found: list[Verdict] = []
    chosen = {"response": optimizers[0], "agent": optimizers[0], **(best or {})}
    held_out = metrics[metrics["protocol"] == "held-out"]
    if "conditions" in held_out.columns:
        held_out = held_out[held_out["conditions"] == "measurable"]
    if (metrics["protocol"] == "held-out").any():
        found += [
            _against(
                held_out, "response", chosen["response"],
                "Does the trained encoder predict change that it never saw better than its rivals?",
                _RIVALS, metric="mse",
            ),
            _against(
                held_out, "response", chosen["response"],
                "Does training the encoder pay, under the same head?",
                ("untrained", "random projection", "pca"), metric="mse",
            ),
            _against(
                held_out, "agent", chosen["agent"],
                "Do the agents, which are told the target, lead cells to states they never saw?",
                (IDLE, "no change", RANDOM), metric="mse",
            ),
            *_optimizer_verdicts(held_out, optimizers),
        ]  # fmt: skip
    paper = metrics[metrics["protocol"] == "paper"]
    if len(paper):
        found.append(_published(paper, optimizers))
    if measurability is not None and not measurability["measurable"].any():
        return [_unanswered(verdict, measurability) for verdict in found]
    return found


def _unanswered(verdict: Verdict, measurability: pd.DataFrame) -> Verdict:
    """Take an answer back where no condition can be measured."""
    if (measurability["reason"] == CIRCULAR).all():
        return Verdict(
            question=verdict.question,
            answer="not measurable",
            sentence="The conditions are stages of an order of the same cells, which agree by construction, in noise "
            "as well: nothing here tells a right prediction from a wrong one.",
        )
    n, modalities = measurability["condition"].nunique(), measurability["modality"].nunique()
    strongest = measurability["half_r"].max()
    return Verdict(
        question=verdict.question,
        answer="not measurable",
        sentence=f"Replicates agree on none of {counted(n, 'condition')}"
        f"{f' in any of {modalities} modalities' if modalities > 1 else ''}: nothing here tells a right prediction "
        "from a wrong one.",
        evidence=f"Strongest agreement of two halves of the experiment: r = {strongest:.2f}.",
    )


def _against(
    metrics: pd.DataFrame, predictor: str, optimizer: str, question: str, baselines: tuple[str, ...], *, metric: str
) -> Verdict:
    """Compare the best model with each baseline, and say all of it."""
    outcomes = {
        name: compare(metrics, {"predictor": predictor, "optimizer": optimizer}, {"predictor": name}, metric)
        for name in baselines
    }
    known = {name: outcome for name, outcome in outcomes.items() if outcome is not None}
    if not known:
        return _incomparable(question)
    beaten = [name for name, outcome in known.items() if outcome.better]
    lost = [name for name, outcome in known.items() if outcome.worse]
    level = [name for name in known if name not in beaten + lost]
    parts = [
        f"it {verb} {_join(names)}"
        for verb, names in (("beats", beaten), ("is worse than", lost), ("cannot be told from", level))
        if names
    ]
    return Verdict(
        question=question,
        answer=_answer(known),
        sentence=_ONE_SEED
        if _single(known)
        else f"Trained with {optimizer} (the best in validation), {'; '.join(parts)}.",
        evidence=f"{_what(metric)} ({_counted(known)}): "
        + "; ".join(f"{name} {outcome.text}" for name, outcome in known.items()),
    )


def _answer(known: dict[str, Comparison]) -> str:
    """Answer yes if all are beaten, partly if some are, no if none is and some are better.

    Where neither is known of any, the question is open; a single seed answers nothing.
    """
    if _single(known):
        return "not measurable"
    better = sum(outcome.better for outcome in known.values())
    if not better and not any(outcome.worse for outcome in known.values()):
        return "undecided"
    return "yes" if better == len(known) else "partly" if better else "no"


def _single(known: Mapping[str, Comparison]) -> bool:
    """Whether there is one seed alone, whose scatter nobody knows."""
    return all(outcome.seeds < 2 for outcome in known.values())


def _optimizer_verdicts(metrics: pd.DataFrame, optimizers: tuple[str, ...]) -> list[Verdict]:
    """Ask of encoders and of agents whether a switching optimizer beats Adam."""
    found = []
    for predictor, what in (("response", "encoders"), ("agent", "agents")):
        plain = {name: OptimizerSetting.of(name).optimizer for name in optimizers}
        rivals = [name for name, optimizer in plain.items() if registry.get(optimizer).switching]
        reference = next((name for name, optimizer in plain.items() if optimizer == "Adam"), None)
        if reference is None or not rivals:
            continue
        adam = {"predictor": predictor, "optimizer": reference}
        outcomes = {name: compare(metrics, {"predictor": predictor, "optimizer": name}, adam, "mse") for name in rivals}
        known = {name: outcome for name, outcome in outcomes.items() if outcome is not None}
        question = f"Do switching optimizers train better {what} than Adam?"
        if not known:
            found.append(_incomparable(question))
            continue
        better = [name for name, outcome in known.items() if outcome.better]
        worse = [name for name, outcome in known.items() if outcome.worse]
        sentence = (
            _ONE_SEED if _single(known)
            else "; ".join(
                f"{_join(names)}: {which} error than Adam"
                for names, which in ((better, "lower"), (worse, "higher"))
                if names
            ) + "." if better or worse
            else "This run does not tell them apart."
        )  # fmt: skip
        found.append(
            Verdict(
                question=question,
                answer=_answer(known),
                sentence=sentence,
                evidence=f"Change in MSE against Adam, 95 % interval over seeds ({_counted(known)}): "
                + "; ".join(f"{name} {outcome.text}" for name, outcome in known.items()),
            )
        )
    return found


def _published(metrics: pd.DataFrame, optimizers: tuple[str, ...]) -> Verdict:
    """Say what the published tables measure: whether any trained agent beats one that does nothing."""
    published = metrics[metrics["split"].map(is_published) & (metrics["modality"] == "all")]
    outcomes = {
        name: compare(published, {"predictor": "agent", "optimizer": name}, {"predictor": IDLE}, "mse")
        for name in optimizers
    }
    known = {name: outcome for name, outcome in outcomes.items() if outcome is not None}
    better = [name for name, outcome in known.items() if outcome.better]
    level = [name for name, outcome in known.items() if not outcome.better and not outcome.worse]
    question = "Does any agent beat doing nothing in the published evaluation?"
    if not known:
        return _incomparable(question)
    return Verdict(
        question=question,
        answer="not measurable" if _single(known) else "yes" if better else "undecided" if level else "no",
        sentence=(
            _ONE_SEED
            if _single(known)
            else f"Closer to the original cell than doing nothing: {_join(better)}."
            if better
            else f"Not told from doing nothing by this run: {_join(level)}."
            if level
            else "No agent: the published error compares the final state with the original one, "
            "so the less a policy moves, the better it scores."
        ),
        evidence="Change in MSE against doing nothing, 95 % interval over seeds: "
        + "; ".join(f"{name} {outcome.text}" for name, outcome in known.items()),
    )


def _incomparable(question: str) -> Verdict:
    return Verdict(
        question=question, answer="not measurable", sentence="No pair of values over measurable conditions was found."
    )


def _counted(known: Mapping[str, Comparison]) -> str:
    """Say how many conditions stand behind some comparisons."""
    most: dict[str, int] = {}
    for outcome in known.values():
        for split, n in outcome.conditions.items():
            most[split] = max(n, most.get(split, 0))
    return "conditions: " + ", ".join(f"{split} {n}" for split, n in most.items())


def _what(metric: str) -> str:
    row = get_metric(metric)
    return f"{'Change' if row.is_error else 'Gain'} in {row.label}, 95 % interval over seeds"


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
