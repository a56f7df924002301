"""The claims of paper 003, which proposes AlphaAdam: asynchronous masks with dynamic strength."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from waddington.analysis.bounds import alphaadam as theory
from waddington.claims.checks import agrees
from waddington.claims.claim import Answer, Claim, Need, Paper, Part
from waddington.claims.experiments import momentum, tables
from waddington.claims.finding import Finding, found
from waddington.claims.measurement import measurements

__all__ = ["PAPER"]

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


def _identity(numbers: Mapping[str, Any]) -> Finding:
    """Compare both masks of many random gradients and moments."""
    draw = torch.Generator().manual_seed(0)
    higher, least, draws = 0, 0.0, int(numbers["draws"])
    for _ in range(draws):
        grad, old = (torch.randn(256, dtype=torch.float64, generator=draw) for _ in range(2))
        square = torch.rand(256, dtype=torch.float64, generator=draw)
        terms = theory.correlation_gap(grad, theory.masked_updates(grad, old, square))
        gap = float(terms.sum()) if numbers["sign"] == "as printed" else -float(terms.sum())
        higher += gap < 0.0
        least = min(least, float(terms.min()))
    word = "higher" if numbers["sign"] == "as printed" else "lower"
    words = (
        f"in {higher:,} of {draws:,} random draws the asynchronous mask has the {word} correlation; the terms by which"
        f" the synchronous one is ahead are never below {least:g}, as algebra says"
    )
    return found(higher > 0.99 * draws, words, share=higher / draws)


def _off_diagonal(numbers: Mapping[str, Any]) -> Finding:
    beta = numbers["beta"]
    printed, right = theory.printed_off_diagonal_factor(beta), theory.variance_factor(beta)
    words = f"for β = {beta:g} covariances shrink to {right:.5f}, as variances do; the square is {printed:.5f}"
    return found(abs(printed - right) < 1e-12, words, printed=printed, right=right)


def _orthogonal(numbers: Mapping[str, Any]) -> Finding:
    draw = torch.Generator().manual_seed(0)
    size = int(numbers["coordinates"])
    grad, old = (torch.randn(size, dtype=torch.float64, generator=draw) for _ in range(2))
    cosine = abs(theory.strength_slopes(grad, old).cosine)
    bound = float(theory.orthogonality_bound(0.05)(size))
    words = (
        f"with {size:,} coordinates the cosine of the two derivatives is {cosine:.3f}, the theorem's bound {bound:.3f}"
    )
    return found(cosine <= bound, words, cosine=cosine, bound=bound)


def _groups(numbers: Mapping[str, Any]) -> Finding:
    counts = {
        "GPT-2 small": [theory.count_tensors(theory.gpt2_shapes(bias=bias)).tensors for bias in (True, False)],
        "Llama-2-7B": [theory.count_tensors(theory.llama_shapes()).tensors],
    }
    right = counts[numbers["model"]]
    count = " or, without biases, ".join(map(str, right))
    words = f"{numbers['model']} has {count} tensors; printed is {numbers['printed']}"
    return found(numbers["printed"] in right, words, printed=numbers["printed"], tensors=right[0])


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
        ),
    ),
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

L5 = Claim(
    id="L5",
    paper="003",
    title="what asynchronous masks keep",
    statement="Asynchronous masks have a higher gradient correlation and a lower directional sharpness than synchronous"
    " ones.",
    source="Theorem 3.5",
    parts=(
        Part(
            name="correlation",
            statement="The gradient correlation of the asynchronous mask is the higher one.",
            source="Theorem 3.5, App. C",
            check=_identity,
            numbers={"draws": 2000, "sign": "as printed"},
            opposite={"sign": "turned round"},
            rule="it is higher in more than 99 % of random draws of g, m and v, both masks on the same ones",
        ),
    ),
    traps=("Both masks are of one gradient and one momentum: along separate runs anything may show.",),
)

L6 = Claim(
    id="L6",
    paper="003",
    title="momentum varies less",
    statement="Momentum reduces the variance of updates by (1-β)²/(1-β²), and off the diagonal by the square of that.",
    source="Corollary 3.4",
    parts=(
        Part(
            name="variance",
            statement="The variance of momentum is (1-β)²/(1-β²) of a gradient's.",
            source="Corollary 3.4",
            measurements=tuple(job for beta in (0.9, 0.99) for job in measurements(momentum.spread, beta=beta)),
            judge=momentum.is_the_factor,
            rule="simulated factors are within three standard errors, for β of 0.9 and 0.99",
        ),
        Part(
            name="off the diagonal",
            statement="Covariances between coordinates of momentum shrink by the square of (1-β)²/(1-β²).",
            source="Corollary 3.4, B.5",
            check=_off_diagonal,
            numbers={"beta": 0.9},
            opposite={"beta": 0.0},
            rule="the factor is the square of the variances'",
        ),
    ),
    traps=("It holds for gradients that are independent in time, and for updates: the displacement varies as before.",),
)

L8 = Claim(
    id="L8",
    paper="003",
    title="the strength stays in a band",
    statement="α stays in a stable band, over all parameter groups of GPT-2 and Llama, and is orthogonal to the rate.",
    source="F.4, Theorem 3.6",
    parts=(
        Part(
            name="groups of GPT-2",
            statement="GPT-2 small has 108 parameter groups.",
            source="F.4",
            check=_groups,
            numbers={"model": "GPT-2 small", "printed": 108},
            opposite={"printed": 148},
            rule="that is the number of its tensors",
        ),
        Part(
            name="groups of Llama",
            statement="Llama-2-7B has 161 parameter groups.",
            source="F.4",
            check=_groups,
            numbers={"model": "Llama-2-7B", "printed": 161},
            opposite={"printed": 291},
            rule="that is the number of its tensors",
        ),
        Part(
            name="orthogonal to the rate",
            statement="The derivatives of the update by the rate and by α are nearly orthogonal.",
            source="Theorem 3.6, D.1",
            check=_orthogonal,
            numbers={"coordinates": 10_000},
            opposite={"coordinates": 4},
            rule="their cosine is below the theorem's bound",
        ),
    ),
)

PAPER = Paper(
    number="003",
    title="AlphaAdam: asynchronous masks with dynamic strength",
    claims=(L1, L2, L3, L4, L5, L6, L8),
    answers=(Answer(question="Do asynchronous masks follow the gradient better?", claim="L5", part="correlation"),),
)
