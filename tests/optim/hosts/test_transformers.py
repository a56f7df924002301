"""The Trainer of Hugging Face trains with our optimizers, given built or to build, and resumes from its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from optim.hosts.hosted import SWITCHED, Hosted, assert_equal, each_hosted_some_slow, weights

STEPS = 8


class Sentences(torch.utils.data.Dataset):
    """Random tokens; they are learned by heart."""

    def __init__(self) -> None:
        self.tokens = torch.randint(16, (16, 6), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[index], "labels": self.tokens[index]}


def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    quiet = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=2, **quiet))


def arguments(folder: Path, **kwargs: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        save_strategy="steps",
        save_steps=STEPS // 2,
        logging_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=0,
        **kwargs,
    )


def built(hosted: Hosted, folder: Path) -> Trainer:
    net = model()
    optimizer = hosted.build(net.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    return Trainer(net, arguments(folder), train_dataset=Sentences(), optimizers=(optimizer, scheduler))


def by_class(hosted: Hosted, folder: Path) -> Trainer:
    """The Trainer makes the groups (with and without decay) and the schedule; components come by its factories."""

    def factory() -> Any:
        return lambda net, **_: hosted.build(net.parameters())

    source = factory if hosted.row.wrap else hosted.factory
    return Trainer(
        model(),
        arguments(folder, lr_scheduler_type="linear", warmup_steps=2, weight_decay=0.01, learning_rate=hosted.lr),
        train_dataset=Sentences(),
        optimizer_cls_and_kwargs=(source, {**hosted.kwargs, "lr": hosted.lr}),
    )


def ours(trainer: Trainer) -> Any:
    """Give our optimizer out of Accelerate's wrapping."""
    return getattr(trainer.optimizer, "optimizer", trainer.optimizer)


@each_hosted_some_slow
def test_trains_and_resumes_from_a_checkpoint_bit_for_bit(hosted: Hosted, tmp_path):
    check_that_it_resumes(hosted, by_class, tmp_path)


def test_one_that_is_built_before_resumes_too(tmp_path):
    check_that_it_resumes(SWITCHED, built, tmp_path)


def check_that_it_resumes(hosted: Hosted, make: Callable[[Hosted, Path], Trainer], tmp_path: Path) -> None:
    trainer = make(hosted, tmp_path / "whole")
    before = weights(trainer.model)
    trainer.train()
    after = weights(trainer.model)
    assert all(after[name].isfinite().all() and not torch.equal(after[name], before[name]) for name in before)
    resumed = make(hosted, tmp_path / "resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{STEPS // 2}"))
    assert resumed.state.global_step == trainer.state.global_step == STEPS
    assert type(ours(resumed)) is type(hosted.build(model().parameters()))
    assert_equal(weights(resumed.model), weights(trainer.model))
    assert ours(resumed).diagnostics() == ours(trainer).diagnostics()
    assert ours(trainer).diagnostics()["skipped_steps"] == 0


def test_the_trainers_groups_and_schedule_reach_it(tmp_path):
    trainer = by_class(SWITCHED, tmp_path)
    rates = []
    trainer.add_callback(_Follow(rates))
    trainer.train()
    decayed, plain = ours(trainer).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    factors = [min(t / 2, (STEPS - t) / (STEPS - 2)) for t in range(1, STEPS + 1)]
    assert rates == pytest.approx([SWITCHED.lr * factor for factor in factors])


class _Follow(transformers.TrainerCallback):
    def __init__(self, rates: list[float]) -> None:
        self.rates = rates

    def on_step_end(self, args: Any, state: Any, control: Any, optimizer: Any = None, **kwargs: Any) -> None:
        self.rates.append(float(optimizer.param_groups[0]["lr"]))
