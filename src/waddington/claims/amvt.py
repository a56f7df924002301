"""The claims of paper 004, which proposes AMVT: momentum with variance tracking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from waddington.analysis.bounds import amvt as theory
from waddington.claims.claim import Answer, Claim, Need, Paper, Part
from waddington.claims.finding import Finding, found

__all__ = ["PAPER"]

_FIGURES = {(one.place, one.statement): one for one in theory.figures()}
_RULE = "the computed figure rounds to the printed one"


def _of(place: str, statement: str) -> Callable[[Mapping[str, Any]], Finding]:
    """Make a check of one figure of the paper against what follows from its own numbers."""

    def check(numbers: Mapping[str, Any]) -> Finding:
        one = replace(_FIGURES[place, statement], printed=numbers["printed"])
        words = f"{one.how} = {float(one.computed):.4g}; printed is {one.printed}"
        return found(one.agrees, words, computed=float(one.computed), printed=float(one.printed))

    return check


def _figure(name: str, place: str, statement: str, said: str, *, right: str) -> Part:
    """Make a part of a figure; `right` is what would agree, or another figure where the printed one does."""
    return Part(
        name=name,
        statement=said,
        source=f"Section {place}" if place != "abstract" else "abstract",
        check=_of(place, statement),
        numbers={"printed": _FIGURES[place, statement].printed},
        opposite={"printed": right},
        rule=_RULE,
    )


def _cifar(words: str, seeds: int = 5) -> Need:
    return Need(
        kind="hardware",
        words=f"a GPU for {words}, and CIFAR-10 on disk, which python -m waddington.bench.datasets fetches.",
        command="waddington bench run cifar-resnet --set task.depth=50 --optimizer AMVT --optimizer AdamW"
        f" --optimizer SGD --seeds {seeds}",
    )


V1 = Claim(
    id="V1",
    paper="004",
    title="fewer epochs on CIFAR-10",
    statement="ResNet-50 reaches 90 % training accuracy on CIFAR-10 in 42 epochs; Adam needs 54, SGD 68.",
    source="5.1",
    parts=(
        _figure("Adam slower", "5.1", "Adam is slower, %", "By these epochs Adam is 22 % slower.", right="29"),
        _figure("SGD slower", "5.1", "SGD is slower, %", "By these epochs SGD is 38 % slower.", right="62"),
        _figure("abstract", "abstract", "faster, %", "AMVT converges 23 % faster.", right="22"),
        Part(name="epochs", statement="AMVT needs 42 epochs, Adam 54 and SGD 68.", source="5.1", need=_cifar("hours")),
    ),
    traps=("42 epochs are 22.2 % fewer than 54; 54 are 28.6 % more than 42.",),
)

V2 = Claim(
    id="V2",
    paper="004",
    title="higher test accuracy",
    statement="Test accuracy is higher than that of Adam, AdamW and SGD on CIFAR-10, CIFAR-100, ImageNet and MNIST.",
    source="5.2",
    parts=(
        _figure(
            "abstract", "abstract", "accuracy over Adam, points", "It is up to 3.2 points over Adam's.", right="2.5"
        ),
        _figure(
            "at least", "6", "accuracy over Adam, at least, points", "It is at least 2 points over Adam's.", right="0"
        ),
        Part(
            name="CIFAR-10", statement="On CIFAR-10 it is 95.8 % against 93.4, 94.1 and 94.5.", source="5.2",
            need=_cifar("hours"),
        ),
        Part(
            name="CIFAR-100", statement="On CIFAR-100 it is 78.3 % against 75.8, 76.4 and 76.9.", source="5.2",
            need=Need(
                kind="hardware",
                words="a GPU for days, and CIFAR-100 on disk.",
                command="waddington bench run cifar-resnet --set task.depth=101 --set task.classes=100"
                " --optimizer AMVT --optimizer AdamW --optimizer SGD --seeds 5",
            ),
        ),
        Part(
            name="ImageNet", statement="On ImageNet it is 77.2 % against 76.1, 76.5 and 76.8.", source="5.2",
            need=Need(
                kind="hardware",
                words="several GPUs for days, and ImageNet on disk.",
                command="waddington bench run imagenet-resnet50 --optimizer AMVT --optimizer AdamW --optimizer SGD"
                " --seeds 3",
            ),
        ),
    ),
)  # fmt: skip

V4 = Claim(
    id="V4",
    paper="004",
    title="what it costs",
    statement="An iteration takes 5 to 7 % more time than Adam's and less than 2 % more memory; training is 24 to 31 %"
    " shorter.",
    source="5.4, 5.11",
    parts=(
        _figure(
            "time an epoch", "5.4", "longer per epoch, %",
            "An epoch of ResNet-50 takes 5 to 7 % longer than Adam's.", right="-9",
        ),
        _figure(
            "state over SGD", "5.11", "more state than SGD with momentum, %",
            "It keeps 50 % more state than SGD with momentum.", right="200",
        ),
        _figure(
            "state over Adam", "5.11", "more state than Adam, which is comparable, %",
            "Its state is comparable to Adam's.", right="50",
        ),
        _figure(
            "hours saved", "5.4", "time saved, ResNet-50, CIFAR-10, %",
            "The hours of Section 5.4 are 29 % less for ResNet-50 on CIFAR-10.", right="20",
        ),
        Part(
            name="training time", statement="ResNet-50 on CIFAR-10 trains in 29 % less time than with Adam.",
            source="Section 5.4", need=_cifar("hours"),
        ),
    ),
    traps=("Where activations fill the memory, 50 % more state is a small share; how small depends on the model.",),
)  # fmt: skip

V6 = Claim(
    id="V6",
    paper="004",
    title="recurrent and attention networks",
    statement="An LSTM on Penn Treebank reaches a perplexity of 58.3 against 61.7, and ViT-B/16 77.8 % against 76.4.",
    source="5.6",
    parts=(
        Part(
            name="LSTM", statement="An LSTM on Penn Treebank reaches 58.3 against Adam's 61.7.", source="5.6",
            need=Need(
                kind="data",
                words="Penn Treebank's training text, which is licensed.",
                command="waddington bench run ptb-lstm-large --optimizer AMVT --optimizer AdamW --seeds 5",
            ),
        ),
        Part(
            name="ViT", statement="ViT-B/16 on ImageNet reaches 77.8 % against Adam's 76.4.", source="5.6",
            need=Need(
                kind="hardware",
                words="several GPUs for days, and ImageNet on disk.",
                command="waddington bench run imagenet-vit --optimizer AMVT --optimizer AdamW --seeds 3",
            ),
        ),
    ),
)  # fmt: skip

PAPER = Paper(
    number="004",
    title="AMVT: momentum with variance tracking",
    claims=(V1, V2, V4, V6),
    answers=(Answer(question="Is AMVT's state comparable to Adam's?", claim="V4", part="state over Adam"),),
)
