"""Item by item with lm-evaluation-harness itself.

Set LAYERCLIFF_LM_EVAL_PYTHON to a Python that has lm_eval (0.4.13) and what layercliff depends on, in this
environment's versions; without it these tests skip themselves. LAYERCLIFF_PARITY_LIMIT is how many questions of each
task are compared (100), LAYERCLIFF_PARITY_TASKS which tasks, LAYERCLIFF_PARITY_MODELS which of the models.
"""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import polars as pl
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

import layercliff
from layercliff.evaluation.result import Evaluated
from layercliff.models import lookup
from layercliff.models.surgery import cut
from layercliff.tasks import registry
from layercliff.tasks.question import LETTERS, Question, Task

PYTHON = os.environ.get("LAYERCLIFF_LM_EVAL_PYTHON", "")
LIMIT = int(os.environ.get("LAYERCLIFF_PARITY_LIMIT", "100"))
SOURCE = Path(layercliff.__file__).parent.parent
PEER = Path(__file__).parent.parent / "benchmarks" / "peer_harness.py"
GONE = {"smollm2-135m": (10, 17, 19), "gemma-3-270m": (8, 16, 17)}
"""Three blocks of each model that can go."""
MODELS = os.environ.get("LAYERCLIFF_PARITY_MODELS", ",".join(GONE)).split(",")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.packaged,
    pytest.mark.skipif(not PYTHON, reason="LAYERCLIFF_LM_EVAL_PYTHON names no Python with lm_eval"),
]


def arc(question: Question) -> dict[str, Any]:
    """A row of ``allenai/ai2_arc``."""
    labels = list(LETTERS[: len(question.options)])
    choices = {"text": list(question.options), "label": labels}
    return {"id": question.id, "question": question.text, "choices": choices, "answerKey": labels[question.gold]}


OWN: dict[str, Callable[[Question], dict[str, Any]]] = {"arc_easy": arc, "arc_challenge": arc}
"""Tasks whose documents can be rebuilt in the layout of the harness's own data set, so that its prompt is compared as
well."""

EVERY = "arc_easy,arc_challenge,hellaswag,piqa,winogrande,boolq,openbookqa,mmlu"
TASKS = os.environ.get("LAYERCLIFF_PARITY_TASKS", EVERY).split(",")


def asked(n: int) -> tuple[Task, ...]:
    """`n` questions of each task, evenly over its file and so over the subjects of mmlu."""
    tasks = registry.load(",".join(TASKS))
    return tuple(replace(task, questions=task.questions[:: max(1, len(task.questions) // n)][:n]) for task in tasks)


def documents(task: str, evaluated: Evaluated, own: bool) -> list[dict[str, Any]]:
    """What the harness reads of a task: its own layout, or our contexts and options."""
    if own:
        (loaded,) = registry.load(task)
        questions = {question.id: question for question in loaded.questions}
        return [OWN[task](questions[name]) for name in evaluated.questions.filter(task=task)["id"]]
    found = []
    for _, rows in evaluated.options_of(task).group_by("question", maintain_order=True):
        choices = [c.removeprefix(" ") for c in rows["continuation"]]
        if apart(rows):
            found += [{"context": c, "choices": [o], "gold": 0} for c, o in zip(rows["context"], choices, strict=True)]
        else:
            found.append({"context": rows["context"][0], "choices": choices, "gold": rows["gold"].arg_max()})
    return found


def apart(rows: pl.DataFrame) -> bool:
    """Whether a question's options have contexts of their own; each is then a document for the harness, and accuracies
    are not compared."""
    return rows["context"].n_unique() > rows["question"].n_unique()


def harness(
    evaluated: Evaluated, folder: Path, model: str = "hf", own: bool = True, **model_args: str
) -> dict[str, Any]:
    """Run the harness on the same questions, with one of its models or ours; with `own`, by its own prompts where we
    can."""
    tasks = {}
    for name in evaluated.about:
        file = folder / f"{name}.jsonl"
        file.write_text("\n".join(map(json.dumps, documents(name, evaluated, own and name in OWN))))
        tasks[name] = {"documents": str(file), "own": own and name in OWN, "delimiter": " "}
    request = {
        "model": model,
        "model_args": {**model_args, "dtype": "float32"},
        "batch_size": 2,
        "threads": torch.get_num_threads(),
        "repeats": 1,
        "tasks": tasks,
    }
    (folder / "request.json").write_text(json.dumps(request))
    offline = {
        "PYTHONPATH": str(SOURCE),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(folder / "home"),
    }
    command = [PYTHON, str(PEER), str(folder / "request.json"), str(folder / "answer.json")]
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return found


def assert_equal(ours: Evaluated, theirs: dict[str, Any], task: str) -> None:
    """Texts, every option's log-likelihood and greedy flag, and where options share a context every accuracy and its
    standard error."""
    samples = sorted(theirs["samples"][task], key=lambda sample: sample["doc_id"])
    flat = [
        (*arguments, *response[0])
        for sample in samples
        for arguments, response in zip(sample["arguments"], sample["resps"], strict=True)
    ]
    options = ours.options_of(task)
    assert [context for context, *_ in flat] == options["context"].to_list()
    assert [continuation for _, continuation, *_ in flat] == options["continuation"].to_list()
    assert [value for _, _, value, _ in flat] == pytest.approx(options["log_likelihood"].to_list(), abs=1e-3, rel=0)
    assert [greedy for *_, greedy in flat] == options["greedy"].to_list()
    for metric in () if apart(options) else ("acc", "acc_norm", "acc_bytes"):
        assert ours.questions.filter(task=task)[metric].to_list() == [sample[metric] for sample in samples]
        score = ours.scores[task][metric]
        assert score.value == pytest.approx(theirs["results"][task][f"{metric},none"])
        assert score.stderr == pytest.approx(theirs["results"][task][f"{metric}_stderr,none"])


@pytest.mark.parametrize("whole", [True, False], ids=["dense", "three_blocks_fewer"])
@pytest.mark.parametrize("name", MODELS)
def test_every_option_of_every_task(name: str, whole: bool, tmp_path: Path) -> None:
    """The harness's own softmax of float32 is off by about 1e-5 a token on this kind of machine, always to one side, so
    that options of more than a hundred tokens would differ by more than is asked for: it is told to take its softmax in
    float64, which holds gigabytes for each long text of a large vocabulary."""
    model = layercliff.load(name)
    cut(model.network, [block for block in range(model.n_layers) if whole or block not in GONE[name]])
    model.network.save_pretrained(tmp_path / "checkpoint")
    model.tokenizer.save_pretrained(tmp_path / "checkpoint")
    ours = layercliff.evaluate(str(tmp_path / "checkpoint"), asked(LIMIT), out=tmp_path / "ours")
    theirs = harness(ours, tmp_path, pretrained=str(tmp_path / "checkpoint"), softmax_dtype="float64")
    for task in TASKS:
        assert_equal(ours, theirs, task)


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("name", ["gemma-3-270m", "smollm2-135m"])
def test_every_tokenizer(name: str, shots: int, tmp_path: Path) -> None:
    """A packaged model's tokenizer, which says whether a begin token stands before a text, on a small random
    network."""
    tokenizer = AutoTokenizer.from_pretrained(lookup.locate(name).location)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    network = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=4096, **shape))
    network.save_pretrained(tmp_path / "checkpoint")
    tokenizer.save_pretrained(tmp_path / "checkpoint")
    ours = layercliff.evaluate(str(tmp_path / "checkpoint"), asked(min(LIMIT, 10)), shots=shots)
    theirs = harness(ours, tmp_path, own=not shots, pretrained=str(tmp_path / "checkpoint"))
    for task in TASKS:
        assert_equal(ours, theirs, task)


@pytest.mark.parametrize(("arguments", "sentence"), [
    ("pretrained=x,dtpye=float32", "takes no argument 'dtpye': did you mean dtype"),
    ("pretraned=x", "takes no argument 'pretraned': did you mean pretrained"),
    ("dtype=float32", "needs --model_args pretrained=MODEL"),
    ("pretrained=no-such-model", "no-such-model"),
])  # fmt: skip
def test_a_mistyped_argument_is_one_sentence(arguments: str, sentence: str) -> None:
    """What the harness itself adds is taken: the last case gets as far as the model's name."""
    given = {"batch_size": 1, "max_batch_size": 2, "device": "cpu"}
    code = f"from layercliff.harness import LayercliffLM as LM; LM.create_from_arg_string({arguments!r}, {given})"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([PYTHON, "-c", code], env=environment, capture_output=True, text=True, check=False)
    _, raised, message = done.stderr.rpartition("ModelError: ")
    assert raised
    assert sentence in message


def test_the_harness_with_a_step_of_a_path(colours: Task, tmp_path: Path) -> None:
    """`layercliff.harness` inside the harness gives what eval gives; a tokenizer with a begin token."""
    families.network("llama").save_pretrained(tmp_path / "model")
    families.tokenizer(begin=True).save_pretrained(tmp_path / "model")
    layercliff.prune(str(tmp_path / "model"), colours, remove=1, assess=False, out=tmp_path / "run")
    step = f"{tmp_path / 'run'}@1"
    ours = layercliff.evaluate(step, colours)
    theirs = harness(ours, tmp_path, "layercliff", pretrained=step)
    samples = sorted(theirs["samples"]["colours"], key=lambda sample: sample["doc_id"])
    flat = [response[0] for sample in samples for response in sample["resps"]]
    assert [value for value, _ in flat] == pytest.approx(ours.options["log_likelihood"].to_list(), abs=1e-4)
    assert [greedy for _, greedy in flat] == ours.options["greedy"].to_list()
