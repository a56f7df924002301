"""Tasks on models of transformers: sentences, worked problems, GPT-2, folders of weights, and the papers' arms."""

from __future__ import annotations

import math
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from scipy import stats
from sklearn import metrics

from waddington import bench
from waddington.bench.arm import build_optimizer
from waddington.bench.datasets import GLUE_TASKS, WordProblem
from waddington.bench.tasks import recipes
from waddington.bench.tasks._letters import LetterTokenizer
from waddington.bench.tasks._sentences import END, START, UNKNOWN, glue_measures, word_encoder
from waddington.bench.tasks._transformers import image_resnet, local_weights, small_image_resnet
from waddington.bench.tasks.glue import passes
from waddington.bench.tasks.gpt2 import gpt2_model
from waddington.bench.tasks.gsm8k import _answered, _Worked, is_right, prompt
from waddington.errors import ArgumentError, DataError


def tiny(name: str, **parameters: object) -> bench.Problem:
    found = bench.get_task(name)
    settings = {key: value for key, value in found.tiny.items() if key != "steps"}
    return found.problem(0, **{**settings, **parameters})


def test_measures_are_those_of_the_libraries() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(60, 2, generator=draw), torch.randint(0, 2, (60,), generator=draw)
    said = logits.argmax(-1)
    found = glue_measures(logits, labels, GLUE_TASKS["CoLA"])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, said))
    assert found["matthews"] == pytest.approx(metrics.matthews_corrcoef(labels, said))
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, said))
    scores = torch.randn(60, generator=draw)
    pearson = glue_measures(logits[:, :1], scores, GLUE_TASKS["STS-B"])["pearson"]
    assert pearson == pytest.approx(stats.pearsonr(logits[:, 0], scores).statistic)
    assert glue_measures(torch.ones(5, 2), labels[:5], GLUE_TASKS["CoLA"])["matthews"] == 0.0


def test_words_are_numbered_by_training_texts_and_pairs_are_cut_alike() -> None:
    encode, size = word_encoder([("A cat, a dog.",), ("a Cat",)], 7, 8)
    assert size == 7
    ((tokens, segments),) = encode([("a cat", "a bird flies over a house")])
    assert tokens == [START, 4, 5, END, 4, UNKNOWN, END]
    assert segments == [0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("dataset", GLUE_TASKS)
def test_every_task_of_glue_has_its_loss_and_its_measure(dataset: str) -> None:
    problem = tiny("glue-bert", dataset=dataset)
    problem.loss(problem.model, problem.batch(torch.Generator().manual_seed(0), 0)).backward()
    with torch.no_grad():
        found = problem.evaluate(problem.model.eval(), "test")
    assert {"loss", GLUE_TASKS[dataset].metric} <= found.keys()
    assert all(map(math.isfinite, found.values()))


def test_steps_are_three_passes_in_the_papers_batches() -> None:
    assert passes("RTE") == 3 * (2241 // 32)
    assert passes("QQP") == 3 * (int(363846 * 0.9) // 128)
    assert passes("RTE", 16, 1) == 2241 // 16


def test_what_fills_up_changes_nothing() -> None:
    problem = tiny("glue-bert", dropout=0.0)
    batch = problem.batch(torch.Generator().manual_seed(0), 0)
    longer = {**batch}
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        longer[name] = torch.nn.functional.pad(batch[name], (0, 3))
    with torch.no_grad():
        assert torch.allclose(problem.loss(problem.model, batch), problem.loss(problem.model, longer))


def write_tokenizer(folder: Path, words: list[str], **special: str) -> None:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", **special)
    fast.save_pretrained(folder)


@pytest.fixture
def roberta(tmp_path: Path) -> Path:
    """Write a tiny RoBERTa and a tokenizer into a folder, as weights are downloaded."""
    import transformers

    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "quick", "brown", "fox"]
    write_tokenizer(tmp_path, words, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    config = transformers.RobertaConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, num_labels=2,
    )  # fmt: skip
    transformers.RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    return tmp_path


def test_llama_is_read_from_a_folder_and_trains_in_bfloat16_with_checkpointing(tmp_path: Path) -> None:
    import transformers

    words = ["<unk>", "<s>", "</s>", "Question", "Answer", ":", "apples", *map(str, range(10))]
    write_tokenizer(tmp_path, words, bos_token="<s>", eos_token="</s>")  # Llama-2's has no token that fills up
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    problem = tiny("gsm8k-llama", weights=str(tmp_path), precision="bfloat16", checkpointing=True)
    assert {p.dtype for p in problem.model.parameters()} == {torch.bfloat16}
    assert any(getattr(module, "gradient_checkpointing", False) for module in problem.model.modules())
    optimizer = torch.optim.AdamW(problem.model.parameters(), lr=1e-2)
    found = bench.train(problem, optimizer, bench.Schedule(), bench.Plan(steps=6, seed=0, evaluations=1, test=True))
    assert found.curve[-1]["loss"] < found.curve[0]["loss"]


def test_weights_are_read_from_a_folder(roberta: Path) -> None:
    problem = tiny("glue-roberta", weights=str(roberta))
    batch = problem.batch(torch.Generator().manual_seed(0), 0)
    assert set(batch["input_ids"].flatten().tolist()) <= {1, 3, 5, 6, 7, 8}
    assert problem.loss(problem.model, batch) > 0
    (roberta / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(DataError, match="cannot read ModelForSequenceClassification from"):
        tiny("glue-roberta", weights=str(roberta))


def test_missing_weights_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADDINGTON_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"models/roberta-base. Get them from .*hf download FacebookAI/roberta-base"):
        tiny("glue-roberta", weights="roberta-base")
    with pytest.raises(DataError, match="hf download meta-llama/Llama-2-7b-hf"):
        tiny("gsm8k-llama", weights="Llama-2-7b-hf")
    (tmp_path / "models" / "here").mkdir(parents=True)
    (tmp_path / "models" / "here" / "config.json").write_text("{}")
    assert local_weights("here", "it", "https://huggingface.co/x/y") == tmp_path / "models" / "here"


def test_only_answers_are_learned() -> None:
    problems = [WordProblem("1+1?", "It is\n#### 2"), WordProblem("A longer question?", "#### 3")]
    tokenizer = LetterTokenizer(text for one in problems for text in (prompt(one), one.answer))
    batch = _Worked(problems, tokenizer, 100).batch(torch.tensor([0, 1]), "cpu")
    for row, one in enumerate(problems):
        learned = batch["labels"][row][batch["labels"][row] >= 0]
        assert tokenizer.decode(learned.tolist()) == f" {one.answer}"
        assert learned[-1] == tokenizer.eos_token_id
        whole = batch["input_ids"][row][batch["attention_mask"][row] == 1]
        assert tokenizer.decode(whole.tolist()) == f"{prompt(one)} {one.answer}"
    cut = _Worked(problems, tokenizer, 5).batch(torch.tensor([0]), "cpu")
    assert (cut["labels"] < 0).all()


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (" 16-3=13\n#### 13", True),
        (" The answer is 13.0", True),
        (" 13\nQuestion: What is 5+5?\nAnswer: 10\n#### 10", True),
        (" #### 14", False),
        (" none", False),
    ],
)
def test_an_answer_is_right_if_its_number_is(said: str, right: bool) -> None:
    assert is_right(said, WordProblem("?", "16-3=<<16-3=13>>13\n#### 13")) is right


class Knowing:
    """Answers every question with the same words; sees questions filled up before, never behind."""

    def __init__(self, said: list[int]) -> None:
        self.said = said

    def generate(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **settings: object) -> torch.Tensor:
        assert settings["do_sample"] is False
        assert (attention_mask[:, -1] == 1).all()
        assert ((input_ids == settings["pad_token_id"]) == (attention_mask == 0)).all()
        return torch.cat([input_ids, torch.tensor(self.said).expand(len(input_ids), -1)], 1)


def test_the_share_of_exact_answers_is_counted() -> None:
    problems = [WordProblem(f"{'long ' * i}?", f"#### {i}") for i in range(1, 21)]
    tokenizer = LetterTokenizer([*map(prompt, problems), "#### 0123456789 so it is"])
    model = Knowing(tokenizer.encode(" so it is 7", add_special_tokens=False))
    assert _answered(model, problems, tokenizer, 10, "cpu") == 1 / 20


def test_gpt2_is_nanogpts(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = tiny("gpt2")
    assert problem.clip == 1.0
    assert problem.parameters is not None
    matrices, vectors = problem.parameters(problem.model)
    assert vectors["weight_decay"] == 0.0
    assert all(p.ndim == 1 for p in vectors["params"])
    counted = {id(p) for group in (matrices, vectors) for p in group["params"]}
    assert counted == {id(p) for p in problem.model.parameters()}
    assert problem.model.lm_head.weight is problem.model.transformer.wte.weight
    with pytest.raises(ArgumentError, match="'1B'"):
        tiny("gpt2", size="1B")


@pytest.mark.parametrize(("size", "millions"), [("125M", 124), ("355M", 354), ("770M", 774)])
def test_gpt2_has_the_size_it_is_called_after(size: str, millions: int) -> None:
    with torch.device("meta"):
        model = gpt2_model(size)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=1.5)


@pytest.mark.parametrize(("depth", "millions"), [(18, 11.7), (50, 25.6), (101, 44.5), (152, 60.2)])
def test_resnets_have_the_size_they_are_called_after(depth: int, millions: float) -> None:
    with torch.device("meta"):
        whole, small = image_resnet(depth, 1000), small_image_resnet(depth, 10)
    assert sum(p.numel() for p in whole.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)
    assert small.resnet.embedder.embedder.convolution.stride == (1, 1)


def test_a_forward_pass_in_bfloat16_trains() -> None:
    problem = tiny("cifar-vit", autocast=True)
    plan = bench.Plan(steps=2, seed=0, evaluations=1)
    optimizer = torch.optim.AdamW(problem.model.parameters())
    assert not bench.train(problem, optimizer, bench.Schedule(), plan).diverged


TASKS = ("glue-roberta", "gsm8k-llama", "gpt2", "cifar-vgg16")


@cache
def arms_of(name: str) -> dict[str, bench.Arm]:
    """Give the paper's arms of a task; made where a test runs, for they import a library of optimizers."""
    makers = {
        "glue-roberta": recipes.glue_arms,
        "gsm8k-llama": recipes.gsm8k_arms,
        "gpt2": recipes.gpt2_arms,
        "cifar-vgg16": partial(recipes.amvt_arms, period=10),
    }
    return {arm.name: arm for arm in makers[name]()}


def test_arms_have_the_papers_settings() -> None:
    by_name = {name: arms_of(name) for name in TASKS}
    low_rank = {"beta1": 0.9, "beta2": 0.99}
    assert by_name["glue-roberta"]["LDAdam"].arguments == {"weight_decay": 0.01, "rank": 8, **low_rank}
    assert by_name["glue-roberta"]["GaLore"].arguments["rank"] == 8
    assert by_name["gsm8k-llama"]["LDAdam"].arguments == {"weight_decay": 0.0, "rank": 512, **low_rank}
    assert by_name["gsm8k-llama"]["MicroAdam"].arguments["window"] == 10
    assert by_name["gpt2"]["AlphaAdam"].arguments["beta2"] == 0.95
    assert [arms["AdamW"].space["lr"].values[0] for arms in map(by_name.get, ("glue-roberta", "gpt2"))] == [1e-5, 6e-4]
    assert recipes.gpt2_arms("770M")[0].space["lr"].values == (2e-4, 6e-4, 3e-4)
    assert by_name["cifar-vgg16"]["SGD"].schedule == bench.Schedule(name="restarts", period=10)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_arm_of_a_paper_trains_its_task(task: str) -> None:
    for arm in arms_of(task).values():
        if arm.name == "Adam8bit":  # compiles for half a minute
            continue
        problem = tiny(task)
        parameters = problem.parameters or (lambda model: model.parameters())
        optimizer = build_optimizer(arm.reference, parameters(problem.model), {**arm.arguments, "lr": 1e-4})
        plan = bench.Plan(steps=2, seed=0, evaluations=1)
        assert not bench.train(problem, optimizer, arm.schedule or bench.Schedule(), plan).diverged, arm.name
