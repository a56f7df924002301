from __future__ import annotations

import dataclasses
import pickle
import typing
from pathlib import Path

import pytest
import torch

from waddington.errors import ArgumentError, DataError, MissingExtraError, UnknownNameError
from waddington.twin.data.conditions import MODES
from waddington.twin.run import GUIDE_OPTIMIZERS, PAPER_GRID, RunConfig, config, load_toml, sections
from waddington.twin.run.config import FIELDS
from waddington.twin.run.sections import EncodeConfig, PPOConfig
from waddington.twin.trajectory.order import PARTS


def test_the_guides_parameters_are_fields_under_its_names_with_its_defaults() -> None:
    config = RunConfig()
    guide = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "switch_interval": 10, "alpha_min": 1e-4,
             "alpha_max": 1e-2, "batch_size": 128, "epochs": 50}  # fmt: skip
    assert {name: getattr(config, name) for name in guide} == guide
    assert (
        set(config.optimizer) == set(GUIDE_OPTIMIZERS) == {"Adam", "AMSGrad", "ASGDAdam", "ASGDAMSGrad", "Padam", "SGD"}
    )


def test_the_paper_preset_is_the_papers() -> None:
    config = RunConfig.of("paper")
    assert (config.paper_steps, config.seeds, config.eval_episodes, config.paper_horizon) == (50_000, 10, 30, 1000)
    assert config.paper_net == (256,) * 6
    assert config.lr_grid == PAPER_GRID
    assert config.paper_perturbations == (1, 2)


def test_an_interval_that_a_switching_optimizer_does_not_read_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"switch_interval=5 with Adam, .* rule relative or linear"):
        RunConfig(switch_interval=5)
    config = RunConfig(switch_interval=5, optimizer=("ASGDAdam", "ASGDAdam,switch=relative"))
    assert config.arguments("ASGDAdam,switch=relative", 1e-2)["switch_interval"] == 5
    assert "switch_interval" not in config.arguments("ASGDAdam", 1e-2)


def test_a_small_rate_that_is_the_large_one_stays_so_at_every_rate_of_a_grid() -> None:
    config = RunConfig(alpha_min=0.01, alpha_max=0.01)
    assert all(config.arguments("ASGDAdam", lr)["alpha_min"] <= lr for lr in PAPER_GRID)


def test_alpha_max_is_the_lr_of_the_switching_optimizers() -> None:
    config = RunConfig(alpha_max=0.02, alpha_min=0.004, lr=5e-4)
    assert config.rate("ASGDAdam") == 0.02
    assert config.rate("Padam") == config.rate("SGD") == 5e-4
    assert config.arguments("ASGDAdam", 0.02)["alpha_min"] == pytest.approx(0.004)
    assert config.arguments("ASGDAdam", 0.002)["alpha_min"] == pytest.approx(0.0004)


def test_every_optimizer_gets_the_same_moments_and_eps() -> None:
    config = RunConfig(beta1=0.8, beta2=0.99, eps=1e-6)
    for name in GUIDE_OPTIMIZERS:
        arguments = config.arguments(name, 1e-3)
        if name == "SGD":
            assert arguments["momentum"] == 0.8
        else:
            assert arguments["betas"] == (0.8, 0.99)
            assert arguments["eps"] == 1e-6


def test_tuning_and_evaluation_seeds_are_disjoint() -> None:
    config = RunConfig(seeds=50, seed=7)
    assert config.tuning_seed not in config.evaluation_seeds


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": ["Adm"]}, "Did you mean 'Adam'"),
        ({"optimizer": []}, "at least one"),
        ({"optimizer": ["ScheduleFreeAdamW"]}, "evaluates other weights than it trains"),
        ({"lr": 0.0}, r"lr=0.0: lr must be a number in \(0, inf\)"),
        ({"beta2": 1.0}, "beta2=1.0"),
        ({"alpha_min": 0.1}, "alpha_min=0.1 with alpha_max=0.01"),
        ({"lr_grid": (1e-3, -1.0)}, "lr_grid=-1"),
        ({"target_sum": 0}, r"target_sum=0.0: target_sum must be a number in \(0, inf\)"),
        ({"seeds": 0}, "seeds=0"),
        ({"seeds": 2.5}, "seeds=2.5: seeds must be a whole number"),
        ({"epochs": "many"}, "epochs='many'"),
        ({"protocol": "papers"}, "protocol='papers'"),
        ({"batchsize": 3}, "Did you mean 'batch_size'"),
        ({"file": "a.h5mu", "rna": "b.h5ad"}, "give one file or separate ones"),
    ],
)
def test_bad_fields_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RunConfig.of("default", **fields)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf", "nan"])
@pytest.mark.parametrize("name", ["lr", "eps", "beta1", "alpha_max", "alpha_min", "test_fraction", "lr_grid", "seeds"])
def test_what_is_no_finite_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=name):
        RunConfig.of(**{name: [value] if name == "lr_grid" else value})


def test_a_device_that_is_not_there_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for device in ("banana", "cuda", "cuda:0", "meta"):
        with pytest.raises(ArgumentError, match=f"device='{device}'.*accepted here: cpu"):
            RunConfig.of(device=device)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [RunConfig.of(device=name).device for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    with pytest.raises(ArgumentError, match="no such device; accepted here: cpu, cuda:0, cuda:1"):
        RunConfig.of(device="cuda:2")


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'smoke'"):
        RunConfig.of("smok")


def test_text_from_flags_becomes_the_fields_type() -> None:
    config = RunConfig.of("smoke", lr_grid="1e-4,1e-2", paper_net="32,32", seeds="2", optimizer="adam,sgd")
    assert config.lr_grid == (1e-4, 1e-2)
    assert config.paper_net == (32, 32)
    assert config.seeds == 2
    assert config.optimizer == ("Adam", "SGD")


def test_a_configuration_survives_json_and_toml(tmp_path: Path) -> None:
    config = RunConfig.of("smoke", seeds=2)
    assert RunConfig.of(**config.to_dict()) == config
    path = tmp_path / "run.toml"
    path.write_text('seeds = 4\noptimizer = ["Padam"]\nlr = 1e-2\n')
    assert RunConfig.of("smoke", **load_toml(path)).optimizer == ("Padam",)


def test_sections_and_flat_names_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'seeds = 4\n[encoder]\nepochs = 7\n[ppo]\nsteps = 64\nepochs = 2\n[read]\nlabel_keys = ["guide"]\nrna = "a"\n'
    )
    wanted = RunConfig.of("smoke", seeds=4, epochs=7, ppo_steps=64, ppo_epochs=2, label_keys="guide", rna="a")
    assert RunConfig.of("smoke", **load_toml(path)) == wanted
    assert RunConfig.of("smoke", **load_toml(path)).encoder == EncodeConfig(epochs=7)
    assert RunConfig.of(**{"encoder.epochs": "7"}) == RunConfig(epochs=7) == RunConfig(encoder=EncodeConfig(epochs=7))
    assert RunConfig.of(ppo=PPOConfig(steps=64)).ppo_steps == 64


def test_every_field_has_one_flat_name_that_reads_and_replaces_it() -> None:
    config = RunConfig.of("smoke")
    assert set(config.to_dict()) == set(FIELDS)
    for name, place in FIELDS.items():
        assert getattr(config, name) == place.of(config)
    changed = dataclasses.replace(config, epochs=9)
    assert (changed.encoder.epochs, changed.ppo, changed.epochs) == (9, config.ppo, 9)
    assert pickle.loads(pickle.dumps(changed)) == changed
    assert hash(changed) == hash(dataclasses.replace(config, encoder=EncodeConfig(epochs=9)))
    with pytest.raises(AttributeError, match="'RunConfig' object has no attribute 'batchsize'"):
        _ = config.batchsize


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoder": {"epoch": 3}}, "field of 'encoder' 'epoch'. Did you mean 'epochs'"),
        ({"encoder.epoch": 3}, "field of 'encoder' 'epoch'. Did you mean 'epochs'"),
        ({"encodr": {"epochs": 3}}, "field 'encodr'. Did you mean 'encoder'"),
        ({"epochs": 3, "encoder": {"epochs": 4}}, "epochs=4: it is given twice, also as 3"),
        ({"encoder": 3}, "encoder=3: encoder must be of class EncodeConfig or a mapping"),
        ({"encoder": PPOConfig()}, "encoder must be of class EncodeConfig or a mapping"),
        ({"lr.x": 3}, "unknown configuration field 'lr.x'"),
        ({"ppo": {"steps": 0}}, "ppo_steps=0"),
        ({"executor": "slurm"}, "executor='slurm'"),
        ({"min_cells": 5}, "min_cells=5 without a file"),
    ],
)
def test_what_no_section_takes_is_refused_by_name(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RunConfig.of(**fields)


def test_flat_names_go_into_the_constructor_too_and_unknown_ones_are_named() -> None:
    assert RunConfig(epochs=3, test_fraction=0.5).split.test_fraction == 0.5
    assert RunConfig(Epochs=3).epochs == 3
    with pytest.raises(UnknownNameError, match="Did you mean 'batch_size'"):
        RunConfig(batchsize=3)


def test_ray_is_asked_for_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'waddington\[distributed\]'"):
        RunConfig.of(executor="ray")


def test_closed_sets_are_what_the_rooms_accept() -> None:
    assert typing.get_args(sections.Mode) == MODES
    assert typing.get_args(sections.Parts) == PARTS


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_toml(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("seeds = ")
    with pytest.raises(DataError, match="a TOML file"):
        load_toml(broken)


def test_optimizers_are_names_or_classes_that_can_be_imported() -> None:
    config = RunConfig.of(optimizer=["asgdadam", torch.optim.Adam, torch.optim.SGD])
    assert config.optimizer == ("ASGDAdam", "Adam", "torch.optim.sgd:SGD")
    assert RunConfig.of(optimizer=torch.optim.SGD).arguments("torch.optim.sgd:SGD", 0.1) == {"lr": 0.1, "momentum": 0.9}
    with pytest.raises(ArgumentError, match="cannot be imported"):
        RunConfig.of(optimizer=[lambda params: torch.optim.SGD(params)])
