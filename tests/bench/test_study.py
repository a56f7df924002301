from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bench.toys import BOWL, LINE

from waddington import bench
from waddington.bench import registered, search
from waddington.bench.arm import as_meant, build_optimizer, parse_arm, usual_space, with_ranges
from waddington.bench.cost import costs_of
from waddington.errors import ArgumentError, MissingExtraError, OutputError, UnknownNameError

OPTIMIZER = """
import torch

class Mine(torch.optim.SGD):
    def __init__(self, params, lr=0.1, betas=(0.5, 0.6)):
        super().__init__(params, lr=lr)
"""


def study(**settings: Any) -> bench.Study:
    return bench.Study.of(
        settings.pop("tasks", ["rosenbrock"]), settings.pop("arms", ["AdamW", "AMVT"]), **{"seeds": 3, **settings}
    )


def test_the_first_arm_is_the_baseline_and_seeds_are_apart() -> None:
    found = study(arms=["AdamW", "AMVT", "ASGDAdam"])
    assert found.contrasts == (("AMVT", "AdamW"), ("ASGDAdam", "AdamW"))
    assert found.evaluation_seeds == (100, 101, 102)
    assert not set(found.tuning_seeds) & set(found.evaluation_seeds)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"seeds": (1, 1)}, "1 stands there twice, and a repeated seed is no repetition"),
        ({"seeds": (1, 2), "tuning_seeds": (2, 3)}, "2 both in tuning_seeds and in evaluation_seeds"),
        ({"finalists": 2, "selection_seeds": (100,)}, "100 both in selection_seeds and in evaluation_seeds"),
        ({"finalists": 2, "selection_seeds": ()}, "selection_seeds=.*one seed at least"),
        ({"seeds": ()}, "evaluation_seeds=.*one seed at least"),
        ({"contrasts": [("AMVT", "Adam")]}, "unknown arm of a contrast 'Adam'. Did you mean 'AdamW'"),
        ({"contrasts": [("AMVT", "AMVT")]}, "against itself"),
        ({"contrasts": [("AMVT", "AdamW")] * 5}, "cannot test 5 contrasts: accepted are 4"),
        ({"arms": ["AdamW", *["SGD", "AMVT", "AMGT", "Padam", "RAdam"]]}, "cannot compare 5 arms.*--contrast"),
        ({"arms": ["AdamW", "AdamW"]}, "arms: AdamW stands there twice"),
        ({"arms": []}, "without arms"),
        ({"tasks": []}, "without tasks"),
        ({"tasks": ["rosenbrock", "rosenbrock"]}, "tasks: rosenbrock stands there twice"),
        ({"trials": 0}, "trials=0"),
        ({"search": "random"}, "search='random'"),
        ({"horizons": ["knwon"]}, "Did you mean 'known'"),
        ({"trails": 3}, "Did you mean 'trials'"),
        ({"space": {"task.dimension": bench.Choice(2, 3)}}, "Did you mean 'task.dimensions'"),
        ({"steps": 0}, "steps=0"),
        ({"arguments": {"weight_decya": 0.1}}, "Did you mean 'weight_decay'"),
        ({"arguments": {"LR": 0.1}}, "unknown argument of the arms 'LR'. Did you mean 'lr'"),
        ({"arguments": {"task.Dimensions": 4}}, "Did you mean 'task.dimensions'"),
        ({"space": {"nothing": bench.Log(0.1, 1.0)}}, "unknown argument of the arms 'nothing'"),
        ({"arguments": {"lr": 0.1}, "space": {"lr": bench.Log(0.1, 1.0)}}, "lr both fixed for all arms and searched"),
        ({"arguments": {"lr": 0.1}, "arms": [bench.Arm.of("AdamW")]}, "lr both fixed for all arms and searched"),
        ({"tasks": ["rosenbroc"]}, "Did you mean 'rosenbrock'"),
        ({"arms": ["AdamV"]}, "Did you mean 'Adam"),
    ],
)
def test_what_is_no_fair_comparison_is_refused_before_it_runs(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        study(**settings)


def test_the_hash_stands_for_all_that_records_depend_on() -> None:
    base = study()
    assert base.hash == study().hash == dataclasses.replace(base, name="other").hash
    changed = [
        study(seeds=4),
        study(trials=5),
        study(arms=["AdamW", "AMGT"]),
        study(steps=7),
        study(horizons=["open"]),
        study(arguments={"weight_decay": 0.1}),
        study(contrasts=[]),
    ]
    assert len({base.hash, *(one.hash for one in changed)}) == len(changed) + 1


def test_spaces_are_nested_and_what_is_not_is_said() -> None:
    adam, asgd = usual_space("AdamW"), usual_space("ASGDAdam")
    assert {name: asgd[name] for name in adam} == adam
    assert asgd["alpha_min"].at(1.0) == 1.0, "the small rate may equal the large one, which is Adam"
    assert study(arms=["AdamW", "ASGDAdam"]).notes == []
    assert study(arms=["AdamW", "SGD"]).notes == [
        "The arms' spaces are not nested: lr is searched in different ranges (AdamW: 0.0001 to 0.1; SGD: 0.001 to 1)."
    ]


def test_arguments_go_to_those_that_have_them() -> None:
    found = study(
        tasks=[bench.Entry.of("rosenbrock", noise=0.5)],
        arms=["AdamW", "torch.optim:Rprop"],
        arguments={"weight_decay": 0.1, "task.dimensions": 4},
        space={"task.noise": bench.Choice(1.0, 2.0), "weight_decay": bench.Log(1e-3, 1.0)},
    )
    entry, horizon = found.entries[0], found.horizons[0]
    adam, rprop = found.arms
    assert list(found.space_of(adam, entry)) == ["task.noise", "weight_decay", "lr", "beta2"]
    assert list(found.space_of(rprop, entry)) == ["task.noise", "lr"]
    run = found.run(entry, horizon, adam, {"lr": 0.1, "task.noise": 2.0}, 7, test=True)
    assert run.parameters == {"noise": 2.0, "dimensions": 4}
    assert run.arguments == {"weight_decay": 0.1, "fused": True, "lr": 0.1}
    assert found.run(entry, horizon, rprop, {"lr": 0.1}, 7, test=True).arguments == {"lr": 0.1}


def test_what_is_fixed_for_all_is_not_searched_by_arms_that_are_named() -> None:
    found = study(arguments={"lr": 0.1})
    assert list(found.arms[0].space) == ["beta2"]
    run = found.run(found.entries[0], found.horizons[0], found.arms[0], {"beta2": 0.9}, 0, test=False)
    assert run.arguments["lr"] == 0.1


@pytest.mark.parametrize(
    "settings", [{"arms": ["AdamW", bench.Arm.of("ASGDAdam", lr=0.01)]}, {"arguments": {"lr": 0.01}}]
)
def test_a_small_rate_is_a_share_of_a_large_one_that_is_fixed(settings: dict[str, Any]) -> None:
    found = study(**{"arms": ["AdamW", "ASGDAdam"], "search": "grid", **settings})
    runs = [run for run in next(search.course(found)).runs if run.optimizer == "ASGDAdam"]
    assert {run.arguments["lr"] for run in runs} == {0.01}
    rates = {run.arguments["alpha_min"] for run in runs}
    assert min(rates) == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-2)


def test_an_arm_says_its_defaults_where_they_were_others_when_the_first_studies_were_hashed() -> None:
    """Registered studies and stores of old keep their hashes and their optimizers, whatever is the default now."""
    now = parse_arm("ASGDAdam")
    assert now.arguments == {"switch": "alignment"}
    assert built(now)["switch"] == "alignment"
    for text in ("ASGDAdam,switch=relative", "ASGDAMSGrad,switch=relative"):
        of_old = parse_arm(text)
        assert of_old.arguments == {}
        assert built(of_old)["switch"] == "relative"
    assert built(parse_arm("ASGDAdam,switch=linear"))["switch"] == "linear"
    searched = bench.Arm.of("ASGDAdam", space={"switch": bench.Choice(("relative", "linear"))})
    assert searched.arguments == {}
    found = build_optimizer("ASGDAdam", [torch.ones(1, requires_grad=True)], {"large_rate_in": "flat"})
    assert found.param_groups[0]["switch"] == "relative"
    assert parse_arm("AveragedASGDAdam").arguments == {}


def built(arm: bench.Arm) -> dict[str, Any]:
    """Give the settings of an arm's optimizer."""
    optimizer = build_optimizer(arm.reference, [torch.ones(1, requires_grad=True)], arm.arguments)
    return optimizer.param_groups[0]


def test_arms_are_read_as_they_are_written(tmp_path: Path) -> None:
    assert parse_arm("asgdadam").name == "ASGDAdam"
    found = parse_arm("ASGDAdam,switch=linear,lr=1e-3,name=linear")
    assert (found.name, found.arguments) == ("linear", {"switch": "linear", "lr": 1e-3})
    assert "lr" not in found.space
    assert parse_arm("AdamW,beta1=0.8").name == "AdamW (beta1=0.8)"
    with pytest.raises(UnknownNameError, match="Did you mean 'switch'"):
        parse_arm("ASGDAdam,swich=linear")
    with pytest.raises(ArgumentError, match="found 'linear'; accepted is an optimizer, then argument=value"):
        parse_arm("ASGDAdam,linear")
    with pytest.raises(ArgumentError, match=r"cannot read the arm .*: it says lr twice"):
        parse_arm("AdamW,lr=1,lr=1")
    path = tmp_path / "mine.py"
    path.write_text(OPTIMIZER)
    mine = parse_arm(f"{path}:Mine,beta2=0.9")
    assert (mine.name, mine.optimizer, mine.source) == ("Mine (beta2=0.9)", "Mine", str(path))
    with pytest.raises(UnknownNameError, match="no 'Other'"):
        parse_arm(f"{path}:Other")


def test_arguments_of_an_optimizer_are_never_those_of_its_arm() -> None:
    found = parse_arm("AMGT,schedule=inverse_time")
    assert (found.arguments, found.schedule) == ({"schedule": "inverse_time"}, None)
    for name in ("schedule", "space", "optimizer"):
        with pytest.raises(UnknownNameError, match=f"unknown argument of AdamW '{name}'"):
            parse_arm(f"AdamW,{name}=cosine")
    with pytest.raises(ArgumentError, match="cannot use schedule='cosine' of arm 'AdamW': accepted are a Schedule"):
        bench.Arm.of("AdamW", schedule="cosine")  # type: ignore[arg-type]


def test_betas_are_said_once() -> None:
    arm = parse_arm("AdamW,betas=(0.8, 0.9)")
    assert (arm.arguments["betas"], list(arm.space)) == ((0.8, 0.9), ["lr"])
    with pytest.raises(ArgumentError, match="cannot use betas beside beta2"):
        build_optimizer("AdamW", [torch.zeros(1)], {"betas": (0.8, 0.9), "beta2": 0.5})


def test_where_a_file_lies_is_no_part_of_the_hash_and_its_text_is(tmp_path: Path) -> None:
    found = []
    for folder, text in (("a", OPTIMIZER), ("b", OPTIMIZER), ("c", OPTIMIZER + "\n# edited\n")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "mine.py"
        path.write_text(text)
        found.append(study(arms=["SGD", f"{path}:Mine"]).hash)
    assert found[0] == found[1] != found[2]


def test_ranges_of_one_arm_and_of_all() -> None:
    arm = parse_arm("AMGT")
    lr, gamma = bench.Log(1e-2, 1.0), bench.Log(1.0, 2.0)
    assert with_ranges(arm, {None: {"lr": lr, "p": gamma}}).space["lr"] == lr
    assert with_ranges(arm, {"AMGT": {"gamma": gamma}}).space["gamma"] == gamma
    assert with_ranges(arm, {"AdamW": {"lr": lr}}).space == arm.space
    with pytest.raises(UnknownNameError, match="argument of AMGT 'p'"):
        with_ranges(arm, {"AMGT": {"p": gamma}})


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OPTIMIZER)
    found = study(
        tasks=["rosenbrock", bench.Entry.of("digits", batch_size=16)],
        arms=["ASGDAdam", f"{path}:Mine", bench.Arm.of("AdamW", schedule=bench.Schedule(control="periodic"))],
        space={"weight_decay": bench.Choice(0.0, 0.1), "beta2": bench.OneMinus(bench.Log(1e-3, 0.1))},
        name="a study",
    )
    assert bench.write_study(found, tmp_path)
    again = bench.read_study(tmp_path)
    assert again == found
    assert (again.hash, again.name, again.arms[1].source) == (found.hash, "a study", str(path))
    assert not bench.write_study(found, tmp_path)
    with pytest.raises(OutputError, match=r"holds the study .* of rosenbrock, digits.*accepted: another folder"):
        bench.write_study(study(), tmp_path)


def test_a_study_that_was_changed_after_it_was_registered_is_refused(tmp_path: Path) -> None:
    bench.write_study(study(), tmp_path)
    file = tmp_path / "study.json"
    content = json.loads(file.read_text())
    content["study"]["trials"] = 1
    file.write_text(json.dumps(content))
    with pytest.raises(ArgumentError, match="a study that is as it was registered"):
        bench.read_study(tmp_path)
    for text in ("{", "{}", '{"hash": 1, "name": "", "sources": {}, "places": {}, "study": {"$type": "os.system"}}'):
        with pytest.raises(ArgumentError, match="cannot read the study"):
            registered.from_json(text)
    with pytest.raises(ArgumentError, match="accepted: a folder that `waddington bench run` has written"):
        bench.read_study(tmp_path / "nowhere")


def test_tasks_of_this_process_have_no_name_elsewhere() -> None:
    """They cannot be found again: an entry would lead nowhere, and says so when the study is made."""
    for task in (BOWL, LINE):
        with pytest.raises(UnknownNameError, match="unknown task"):
            study(tasks=[task])


def test_a_schedule_takes_the_place_of_the_horizons_but_not_of_an_arms_own() -> None:
    restarts = bench.Schedule(name="restarts", period=5)
    own = bench.Arm.of("SGD", name="own", schedule=bench.Schedule())
    found = study(arms=["AdamW", own], schedule=restarts)
    assert [(one.name, one.criterion, one.schedule) for one in found.horizons] == [
        ("known", "final", restarts),
        ("open", "anytime", restarts),
    ]
    runs = [found.run(found.entries[0], found.horizons[0], arm, {"lr": 0.1}, 0, test=False) for arm in found.arms]
    assert [run.schedule for run in runs] == [restarts, bench.Schedule()]
    with pytest.raises(
        ArgumentError, match=r"'cosine' at the horizon 'open': it knows the last step.*constant, inverse"
    ):
        study(schedule=bench.Schedule(name="cosine"))
    assert study(schedule=bench.Schedule(name="cosine"), horizons=["known"]).hash == study(horizons=["known"]).hash


def test_a_shared_range_of_the_schedule_is_searched_by_all_and_checked_before() -> None:
    found = study(space={"schedule.warmup": bench.Choice(0.0, 0.1)})
    assert [next(iter(found.space_of(arm, found.entries[0]))) for arm in found.arms] == ["schedule.warmup"] * 2
    assert {run.schedule.warmup for run in next(search.course(found)).runs} == {0.0, 0.1}
    with pytest.raises(ArgumentError, match=r"warmup=1\.5"):
        study(space={"schedule.warmup": bench.Choice(0.0, 1.5)})
    with pytest.raises(UnknownNameError, match=r"field of a schedule 'warm'.*Did you mean 'warmup'"):
        study(arguments={"schedule.warm": 0.1})
    with pytest.raises(ArgumentError, match=r"period=2\.5"):
        study(arms=["AdamW", bench.Arm.of("SGD", **{"schedule.period": 2.5})])


def test_patience_is_every_runs_and_what_it_does_to_a_comparison_is_said() -> None:
    patient = study(patience=3, horizons=["known"])
    assert patient.entries[0].patience == 3
    assert next(search.course(patient)).runs[0].patience == 3
    assert patient.notes == []
    assert study(patience=20, horizons=["known"]).notes == [
        "No run on rosenbrock stops early: its patience is 20 of 20 evaluations."
    ]
    assert study(patience=3).notes == ["Runs on rosenbrock stop early, each at its own step; all along is until there."]
    entry = bench.Entry.of("rosenbrock", patience=2)
    assert study(tasks=[entry], patience=3).entries == (entry,), "an entry says itself"


def test_what_a_file_keeps_of_names_is_no_part_of_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OPTIMIZER)
    made = study(arms=["AdamW", f"{path}:Mine"])
    bench.write_study(made, tmp_path)
    path.unlink()
    read = bench.read_study(tmp_path)
    assert read.hash == made.hash
    assert (read.arms[1].accepted, read.entries[0].parameter_names) == (
        ("lr", "betas", "beta1", "beta2"),
        ("dimensions", "noise"),
    )
    assert next(search.course(read)).runs[0].key == next(search.course(made)).runs[0].key
    written = json.loads((tmp_path / "study.json").read_text())
    written["known"]["arms"].pop()
    (tmp_path / "study.json").write_text(json.dumps(written))
    with pytest.raises(ArgumentError, match="cannot read the study: ValueError"):
        bench.read_study(tmp_path)


def test_fields_of_the_schedule_are_fixed_and_searched_like_arguments() -> None:
    low = {"schedule.low": bench.Log(1e-2, 1.0, closed="high")}
    arm = bench.Arm.of("SGD", space=low, **{"schedule.control": "periodic"})
    found = study(arms=["AdamW", arm], horizons=["known", "open"])
    for horizon, course in zip(found.horizons, ("cosine", "constant"), strict=True):
        run = found.run(found.entries[0], horizon, found.arms[1], {"schedule.low": 0.3}, 0, test=False)
        assert run.schedule == bench.Schedule(name=course, control="periodic", low=0.3)
        assert run.arguments == {"weight_decay": 0.0, "fused": True}
    with pytest.raises(UnknownNameError, match=r"field of a schedule 'lo'.*Did you mean 'low'"):
        bench.Arm.of("SGD", **{"schedule.lo": 0.1})


def test_steps_are_timed_at_the_sizes_and_arguments_of_the_study() -> None:
    arm = bench.Arm.of("SGD", momentum=0.5, **{"schedule.control": "random"})
    found = study(arms=["AdamW", arm], arguments={"task.dimensions": 5, "weight_decay": 0.1, "eps": 1e-6})
    adam, sgd = costs_of(found.entries, found.arms, found.arguments)
    assert adam.entry.parameters == sgd.entry.parameters == {"dimensions": 5}
    assert adam.arguments == {"weight_decay": 0.1, "eps": 1e-6, "fused": True}
    assert sgd.arguments == {"weight_decay": 0.1, "fused": True, "momentum": 0.5}


# --- defaults of today ---


def test_what_is_said_for_all_arms_comes_before_a_default_of_today() -> None:
    told = bench.Study.of(["rosenbrock"], ["AdamW", "ASGDAdam"], arguments={"switch": "relative", "fused": False})
    adamw, asgd = (arm.given(told.arguments).optimizer for arm in told.arms)
    assert (adamw["fused"], asgd["switch"]) == (False, "relative")
    rules = bench.Choice("relative", "alignment")
    for arm in ("ASGDAdam", bench.Arm.of("ASGDAdam")):
        searched = bench.Study.of(["rosenbrock"], ["AdamW", arm], space={"switch": rules})
        assert "switch" in searched.space_of(searched.arms[1], searched.entries[0])
    (arm,) = (with_ranges(parse_arm("ASGDAdam"), {"ASGDAdam": {"switch": rules}}),)
    assert arm.space["switch"] == rules
    given = bench.Study.of(["rosenbrock"], [bench.Arm.of("ASGDAdam", switch="mean")], arguments={"switch": "relative"})
    assert given.arms[0].given(given.arguments).optimizer["switch"] == "mean"


def test_a_class_of_ours_has_its_default_of_today_under_whatever_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from waddington.optim import ASGDAdam\n\nclass Mine(ASGDAdam): pass\n\nclass Own(ASGDAdam):\n"
        "    def __init__(self, params, lr=1e-2, switch='linear'): super().__init__(params, lr, switch=switch)\n"
    )
    for name in ("ASGDAdam", "waddington.optim:ASGDAdam", f"{path}:Mine"):
        assert bench.Arm.of(name).arguments == {"switch": "alignment"}
        assert as_meant(name, {}) == {"switch": "relative"}, "a spec that leaves it out was written before"
    assert bench.Arm.of(f"{path}:Own").arguments == {}
    assert as_meant(f"{path}:Own", {}) == {}


def test_a_reader_is_told_what_was_the_default_once() -> None:
    assert bench.Arm.of("ASGDAdam", switch="relative").at({"lr": 0.1}) == {"switch": "relative", "lr": 0.1}
    assert bench.Arm.of("ASGDAdam").at({})["switch"] == "alignment"


def test_an_arm_can_be_read_where_its_library_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.Arm.of("ScheduleFreeAdamW")

    def missing(*names: str) -> None:
        raise MissingExtraError("'schedulefree' is not installed")

    monkeypatch.setattr("waddington.optim.registry.spec.require_extra", missing)
    after = bench.Arm.of("ScheduleFreeAdamW")
    assert (after.arguments, after.space, after.schedule) == (before.arguments, before.space, before.schedule)
    with pytest.raises(MissingExtraError):
        build_optimizer("ScheduleFreeAdamW", [torch.nn.Parameter(torch.zeros(2))], {})


def test_a_file_that_has_changed_is_named(tmp_path: Path) -> None:
    text = "import torch\n\nclass Mine(torch.optim.SGD): pass\n"
    path = tmp_path / "mine.py"
    path.write_text(text)
    bench.write_study(bench.Study.of(["rosenbrock"], ["AdamW", f"{path}:Mine"]), tmp_path)
    path.write_text(text + "# changed\n")
    with pytest.raises(OutputError, match=r"mine.py changed since; accepted"):
        bench.write_study(bench.Study.of(["rosenbrock"], ["AdamW", f"{path}:Mine"]), tmp_path)
