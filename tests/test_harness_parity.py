"""Item by item with lm-evaluation-harness itself.

Set LAYERCLIFF_LM_EVAL_PYTHON to a Python that has lm_eval (0.4.13), torch and transformers of this environment's versions; without it these
tests skip themselves. LAYERCLIFF_PARITY_LIMIT is how many questions of each task are compared.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import layercliff
from layercliff.models.surgery import cut
from layercliff.results.evaluated import Evaluated
from layercliff.tasks import registry
from layercliff.tasks.question import LETTERS, Question

PYTHON = os.environ.get("LAYERCLIFF_LM_EVAL_PYTHON", "")
LIMIT = int(os.environ.get("LAYERCLIFF_PARITY_LIMIT", "40"))
PEER = Path(__file__).parent.parent / "benchmarks" / "peer_harness.py"
MODEL = "smollm2-135m"
GONE = {"dense": (), "three blocks fewer": (10, 17, 19)}

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
"""Tasks whose documents can be rebuilt in the layout of the harness's own data set, so that its prompt is compared as well."""

TASKS = ["arc_easy", "arc_challenge"]


def documents(task: str, evaluated: Evaluated) -> list[dict[str, Any]]:
    """What the harness reads of a task: its own layout, or our contexts and options."""
    if task in OWN:
        (loaded,) = registry.load(task)
        questions = {question.id: question for question in loaded.questions}
        return [OWN[task](questions[name]) for name in evaluated.questions.filter(task=task)["id"]]
    found = []
    for _, rows in evaluated.options_of(task).group_by("question", maintain_order=True):
        choices = [c.removeprefix(" ") for c in rows["continuation"]]
        gold = rows["gold"].arg_max()
        found.append({"context": rows["context"][0], "choices": choices, "gold": gold})
    return found


def harness(checkpoint: Path, evaluated: Evaluated, folder: Path) -> dict[str, Any]:
    """Run the harness on the same questions."""
    tasks = {}
    for name in evaluated.about:
        file = folder / f"{name}.jsonl"
        file.write_text("\n".join(map(json.dumps, documents(name, evaluated))))
        tasks[name] = {"documents": str(file), "own": name in OWN, "delimiter": " "}
    request = {
        "model": "hf", "model_args": {"pretrained": str(checkpoint), "dtype": "float32"}, "batch_size": 8, "threads": torch.get_num_threads(),
        "repeats": 1, "tasks": tasks,
    }  # fmt: skip
    (folder / "request.json").write_text(json.dumps(request))
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    command = [PYTHON, str(PEER), str(folder / "request.json"), str(folder / "answer.json")]
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return found


@pytest.mark.parametrize("gone", list(GONE), ids=lambda gone: gone.replace(" ", "_"))
def test_every_option_of_every_task(gone: str, tmp_path: Path) -> None:
    model = layercliff.load(MODEL)
    cut(model.network, [block for block in range(model.n_layers) if block not in GONE[gone]])
    model.network.save_pretrained(tmp_path / "checkpoint")
    model.tokenizer.save_pretrained(tmp_path / "checkpoint")
    ours = layercliff.evaluate(str(tmp_path / "checkpoint"), ",".join(TASKS), limit=LIMIT)
    theirs = harness(tmp_path / "checkpoint", ours, tmp_path)
    for task in TASKS:
        samples = sorted(theirs["samples"][task], key=lambda sample: sample["doc_id"])
        flat = [
            (*arguments, *response[0])
            for s in samples
            for arguments, response in zip(s["arguments"], s["resps"], strict=True)
        ]
        options = ours.options_of(task)
        assert [context for context, *_ in flat] == options["context"].to_list()
        assert [continuation for _, continuation, *_ in flat] == options["continuation"].to_list()
        assert [ll for _, _, ll, _ in flat] == pytest.approx(options["log_likelihood"].to_list(), abs=1e-3, rel=0)
        assert [greedy for *_, greedy in flat] == options["greedy"].to_list()
        for metric in ("acc", "acc_norm", "acc_bytes"):
            mine = ours.questions.filter(task=task)[metric].to_list()
            assert mine == [s[metric] for s in samples]
            score = ours.scores[task][metric]
            assert score.value == pytest.approx(theirs["results"][task][f"{metric},none"])
            assert score.stderr == pytest.approx(theirs["results"][task][f"{metric}_stderr,none"])
