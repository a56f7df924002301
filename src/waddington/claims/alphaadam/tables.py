"""L1 to L4: what the tables print, and the trainings that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waddington.analysis.bounds import alphaadam as theory
from waddington.claims.checks import agrees
from waddington.claims.claim import Claim, Need, Part
from waddington.claims.experiments import ablation, tables
from waddington.claims.finding import Finding, found
from waddington.claims.measurement import Measurement, measurements

__all__ = ["L1", "L2", "L3", "L4"]

_SMALL = 10
"""Seeds of the small trainings."""


def _small(*arms: str, tuned: bool = False) -> tuple[Measurement, ...]:
    """Give small trainings of arms of Table 3: at the paper's rate, or at tuned ones."""
    rate = {"rate": None} if tuned else {}
    return tuple(
        job for arm in arms or ablation.ARMS for job in measurements(ablation.curve, seeds=_SMALL, arm=arm, **rate)
    )


_METHODS = ("Adam", "Adam-8bit", "LDAdam", "GaLore", "CAdam", "MicroAdam")


def _lowest(numbers: Mapping[str, Any]) -> Finding:
    percent = numbers["percent"]
    order = theory.ablation_order(percent)
    column = theory.tables.ABLATION_PERCENT.index(percent)
    words = ", ".join(f"{arm} {theory.tables.ABLATION[arm][column]:.3f}" for arm in order)
    return found(order[0] == "asynchronous, α", f"after {percent} % of the steps Table 3 has {words}")


def _means(numbers: Mapping[str, Any]) -> Finding:
    pairs = theory.ablation_means()[numbers["arm"]]
    words = ", ".join(f"{one.computed:.4f} is printed as {one.printed:.3f}" for one in pairs)
    shifted = [abs(one.computed + numbers["shift"] - one.printed) <= 0.0006 for one in pairs]
    return found(all(shifted), f"means of {numbers['arm']}: {words}")


def _glue_mean(numbers: Mapping[str, Any]) -> float:
    return theory.glue_means()[numbers["method"]][0]


def _consistent(numbers: Mapping[str, Any]) -> Finding:
    gain = theory.glue_gain("AlphaAdam", numbers["second"])
    words = f"of seven tasks AlphaAdam wins {gain.wins} and loses {gain.losses} to {numbers['second']}"
    return found(gain.losses == 0, words, wins=gain.wins, losses=gain.losses)


def _gpt2(size: str) -> Need:
    return Need(
        kind="hardware",
        words=f"about a GPU-day for GPT-2 {size} on OpenWebText, which python -m waddington.bench.datasets names.",
        command=f"waddington bench run gpt2 --set task.size={size} --optimizer AdamW --optimizer AlphaAdam"
        " --optimizer CAdamW --seeds 3 --trials 4",
    )


_ROBERTA = Need(
    kind="hardware",
    words="a GPU, and RoBERTa-base and GLUE on disk.",
    command="waddington bench run glue-roberta --set task.dataset=RTE --optimizer AdamW --optimizer AlphaAdam"
    " --seeds 5",
)

_EVIDENCE: Mapping[str, Any] = {
    "measurements": _small("AdamW", "synchronous, count", "asynchronous, α"),
    "judge": ablation.is_lowest_at_the_end,
    "picture": ablation.draw_curves,
    "tier": "hours",
}
"""Of AlphaAdam against AdamW and Cautious AdamW, at a small size."""

L1 = Claim(
    id="L1",
    paper="003",
    title="GPT-2 on OpenWebText",
    statement="On GPT-2 of 125M, 355M and 770M parameters AlphaAdam has the lowest loss at every size.",
    source="4.2, Fig. 2, Table 5",
    parts=(
        Part(
            name="125M at the end",
            statement="At 125M AlphaAdam has the lowest validation loss at the end of training.",
            source="Table 3",
            check=_lowest,
            numbers={"percent": 100},
            opposite={"percent": 20},
            rule="no other arm of the paper's own ablation ends lower",
        ),
        *(
            Part(
                name=size,
                statement=f"At {size} AlphaAdam has the lowest loss.",
                source="Fig. 2, Table 5",
                need=_gpt2(size),
                rule="its validation loss at the end is below those of AdamW and Cautious AdamW, with its interval; a"
                " transformer of two blocks over letters is evidence",
                **_EVIDENCE if size == "125M" else {},
            )
            for size in ("125M", "355M", "770M")
        ),
    ),
    traps=("α multiplies the step: equal effective rates, and AdamW at larger ones, belong beside it.",),
)

L2 = Claim(
    id="L2",
    paper="003",
    title="ablation on GPT-2",
    statement="Asynchronous masks lower the validation loss, and dynamic strength lowers it further, at all times.",
    source="4.4, Table 3",
    parts=(
        Part(
            name="end",
            statement="At the end asynchronous masks with α have a lower loss than AdamW.",
            source="Table 3",
            check=_lowest,
            numbers={"percent": 100},
            opposite={"percent": 40},
            rule="it is the lowest of the four arms after 100 % of the steps",
        ),
        Part(
            name="early",
            statement="After a fifth of the steps asynchronous masks with α have the lowest loss.",
            source="Table 3",
            check=_lowest,
            numbers={"percent": 20},
            opposite={"percent": 100},
            need=_gpt2("125M"),
        ),
        Part(
            name="averages",
            statement="The averages that Section 4.4 gives are those of Table 3.",
            source="4.4",
            check=_means,
            numbers={"arm": "synchronous", "shift": 0.0},
            opposite={"shift": 0.01},
        ),
        Part(
            name="averages of the table",
            statement="The averages that Table 3 prints of AlphaAdam are those of its columns.",
            source="Table 3",
            check=_means,
            numbers={"arm": "asynchronous, α", "shift": 0.0},
            opposite={"arm": "synchronous"},
        ),
        Part(
            name="size",
            statement="Training GPT-2 125M for 10,000 steps gives the losses of Table 3.",
            source="Table 3",
            need=_gpt2("125M"),
            measurements=_small(),
            judge=ablation.has_the_order,
            picture=ablation.draw_curves,
            tier="hours",
            rule="in every column each arm is below the next of the paper's order, by Holm's correction; a transformer"
            " of two blocks over letters, at the paper's rate, is evidence",
        ),
        Part(
            name="tuned rates",
            statement="At tuned rates the arms keep the order of Table 3.",
            source="Table 3",
            need=_gpt2("125M"),
            measurements=_small(tuned=True),
            judge=ablation.has_the_order,
            picture=ablation.draw_curves,
            tier="hours",
            rule="in every column each arm is below the next of the paper's order, by Holm's correction; a transformer"
            " of two blocks over letters, each arm at the best of four rates, is evidence",
        ),
    ),
    traps=("Table 3 does not say what makes up for its masks without α: nothing, or n/(‖φ‖₀+1); both are run.",),
)

L3 = Claim(
    id="L3",
    paper="003",
    title="RoBERTa on GLUE",
    statement="On GLUE RoBERTa-base reaches a mean of 83.63 with AlphaAdam and of 83.24 with AdamW, consistently.",
    source="4.3.1, Table 1",
    parts=(
        Part(
            name="mean",
            statement="The mean of AlphaAdam's row of Table 1 is 83.63.",
            source="Table 1",
            check=agrees("the mean of AlphaAdam's row", _glue_mean, within=0.005),
            numbers={"method": "AlphaAdam", "printed": 83.63},
            opposite={"method": "AdamW"},
        ),
        Part(
            name="consistent",
            statement="AlphaAdam improves consistently on AdamW.",
            source="4.3.1",
            check=_consistent,
            numbers={"second": "AdamW"},
            opposite={"second": "Adam-mini"},
            rule="it loses no task of the table",
        ),
        Part(
            name="spread",
            statement="The variance of AlphaAdam's score is below 0.05 % on every task of GLUE.",
            source="4.3.1",
            measurements=measurements(tables.glue_errors, method="AlphaAdam"),
            judge=tables.is_sure_enough,
            need=_ROBERTA,
            rule="each task's variance over runs is below 0.05 %; what the sizes of the development sets give alone is"
            " evidence",
        ),
        Part(
            name="gain",
            statement="AlphaAdam's gain over AdamW on GLUE is more than chance.",
            source="Table 1",
            measurements=measurements(tables.glue, first="AlphaAdam", second="AdamW"),
            judge=tables.is_more_than_sampling,
            rule="it is above 1.96 standard errors that the development sets' sizes alone give",
        ),
        Part(
            name="training",
            statement="Fine-tuning RoBERTa-base gives the scores of Table 1.",
            source="Table 1",
            need=_ROBERTA,
        ),
    ),
    traps=("The rate was chosen on the development set that is reported; RTE has 277 examples.",),
)

L4 = Claim(
    id="L4",
    paper="003",
    title="Llama-2 on GSM8K",
    statement="Llama-2-7B answers 34.94 % of GSM8K with AlphaAdam, more than with any other method, at the lowest"
    " training loss.",
    source="4.3.2, Table 2",
    parts=(
        Part(
            name="accuracy",
            statement="AlphaAdam answers more questions than every other method, by more than chance.",
            source="Table 2",
            measurements=tuple(
                job for name in _METHODS for job in measurements(tables.gsm8k, first="AlphaAdam", second=name)
            ),
            judge=tables.is_significant,
            rule="Fisher's p is below 5 % against every row, corrected by Holm",
        ),
        Part(
            name="training",
            statement="Fine-tuning Llama-2-7B gives the accuracies and losses of Table 2.",
            source="Table 2",
            need=Need(
                kind="hardware",
                words="GPUs for 7B parameters, and the weights and GSM8K on disk.",
                command="waddington bench run gsm8k-llama --set task.weights=Llama-2-7b-hf --optimizer AdamW"
                " --optimizer AlphaAdam --seeds 3",
            ),
        ),
    ),
    traps=("A lower training loss at equal accuracy is more learnt by heart, and no evidence for generalization.",),
)
