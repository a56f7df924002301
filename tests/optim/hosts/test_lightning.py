"""Lightning clips, accumulates, schedules, saves and resumes with our optimizers as with torch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from optim.hosts.hosted import SWITCHED, Hosted, assert_close, assert_equal, batch, each_hosted, loss_of, net, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory:UserWarning:lightning"),
]

BATCHES = 6  # of an epoch
EPOCHS = 4
ACCUMULATED = 2
CLIPPED_AT = 0.5


class Automatic(lightning.LightningModule):
    def __init__(self, hosted: Hosted) -> None:
        super().__init__()
        self.hosted = hosted
        self.net = net(dtype=torch.float32)

    def training_step(self, rows: Any, index: int) -> torch.Tensor:
        x, y = rows
        return torch.nn.functional.mse_loss(self.net(x[0]), y[0])

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.hosted.build(self.net.parameters())
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Manual(Automatic):
    """One optimizer for the first layer and one for the rest, turn by turn, as adversaries are trained."""

    def __init__(self, hosted: Hosted) -> None:
        super().__init__(hosted)
        self.automatic_optimization = False

    def training_step(self, rows: Any, index: int) -> None:
        optimizer = self.optimizers()[index % 2]
        self.toggle_optimizer(optimizer)
        optimizer.zero_grad()
        self.manual_backward(super().training_step(rows, index))
        self.clip_gradients(optimizer, gradient_clip_val=CLIPPED_AT, gradient_clip_algorithm="norm")
        optimizer.step()
        self.untoggle_optimizer(optimizer)
        self.lr_schedulers()[index % 2].step()

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        optimizers = [self.hosted.build(part.parameters()) for part in (self.net[:1], self.net[1:])]
        return optimizers, [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9) for optimizer in optimizers]


def fit(module: Automatic, folder: Path, epochs: int = EPOCHS, resume: Path | None = None, **kwargs: Any) -> Any:
    rows = torch.utils.data.TensorDataset(
        *(torch.stack(s) for s in zip(*map(float_batch, range(BATCHES)), strict=True))
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1, enable_version_counter=False)],
        **kwargs,
    )
    trainer.fit(module, torch.utils.data.DataLoader(rows), ckpt_path=resume, weights_only=True if resume else None)
    return trainer


def float_batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return batch(step, dtype=torch.float32)


def figures(trainer: Any) -> list[dict[str, float]]:
    return [optimizer.diagnostics() for optimizer in trainer.optimizers]


AUTOMATIC = {"gradient_clip_val": CLIPPED_AT, "accumulate_grad_batches": ACCUMULATED}


@each_hosted
def test_trains_as_a_loop_by_hand(hosted: Hosted, tmp_path):
    module = Automatic(hosted)
    trainer = fit(module, tmp_path, **AUTOMATIC)
    model = net(dtype=torch.float32)
    optimizer = hosted.build(model.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for _ in range(EPOCHS):
        for first in range(0, BATCHES, ACCUMULATED):
            optimizer.zero_grad()
            for step in range(first, first + ACCUMULATED):
                (loss_of(model, step) / ACCUMULATED).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIPPED_AT)
            optimizer.step()
            scheduler.step()
    assert_close(weights(module.net), weights(model), rtol=1e-6)
    assert figures(trainer) == [pytest.approx(optimizer.diagnostics(), rel=1e-5)]


@each_hosted
def test_a_checkpoint_resumes_as_if_nothing_had_happened(hosted: Hosted, tmp_path):
    check_that_it_resumes(hosted, Automatic, AUTOMATIC, tmp_path)


def test_two_optimizers_stepped_by_hand_resume_too(tmp_path):
    check_that_it_resumes(SWITCHED, Manual, {}, tmp_path)


def check_that_it_resumes(hosted: Hosted, kind: Any, kwargs: dict[str, Any], tmp_path: Path) -> None:
    module, resumed = kind(hosted), kind(hosted)
    trainer = fit(module, tmp_path / "whole", **kwargs)
    fit(kind(hosted), tmp_path / "half", epochs=EPOCHS // 2, **kwargs)
    checkpoint = tmp_path / "half" / f"epoch={EPOCHS // 2 - 1}.ckpt"
    again = fit(resumed, tmp_path / "half", resume=checkpoint, **kwargs)
    assert_equal(weights(resumed.net), weights(module.net))
    assert figures(again) == figures(trainer)
    assert len(figures(again)) == (2 if kind is Manual else 1)


def test_two_optimizers_by_hand_do_not_touch_each_other(tmp_path):
    module = Manual(SWITCHED)
    first, rest = figures(fit(module, tmp_path, epochs=1))
    model = net(dtype=torch.float32)
    parts = [model[:1], model[1:]]
    optimizers = [SWITCHED.build(part.parameters()) for part in parts]
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9) for optimizer in optimizers]
    for step in range(BATCHES):
        model.zero_grad()
        loss_of(model, step).backward()
        torch.nn.utils.clip_grad_norm_(parts[step % 2].parameters(), CLIPPED_AT)
        optimizers[step % 2].step()
        schedulers[step % 2].step()
    assert_close(weights(module.net), weights(model), rtol=1e-6)
    assert first == pytest.approx(optimizers[0].diagnostics(), rel=1e-5)
    assert rest == pytest.approx(optimizers[1].diagnostics(), rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@each_hosted
def test_trains_in_other_precisions(hosted: Hosted, precision, tmp_path):
    module = Automatic(hosted)
    before = weights(module.net)
    trainer = fit(module, tmp_path, epochs=2, precision=precision)
    after = weights(module.net)
    assert all(after[name].isfinite().all() for name in after)
    assert not any(torch.equal(before[name], after[name].to(before[name].dtype)) for name in before)
    assert figures(trainer)[0]["skipped_steps"] == 0
