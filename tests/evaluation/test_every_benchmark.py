"""Every benchmark goes through trace and prune, in every format that can ask it, on a tiny model."""

import json
from pathlib import Path

import benchmark_rows
import families
import numpy as np
import pytest
import torch

import layercliff
from layercliff.choices import Format
from layercliff.models.model import Model
from layercliff.tasks import registry
from layercliff.tasks.question import Task

FAST = {"cloze": list(benchmark_rows.ROWS)[:10], "letter": ["mmlu", "boolq"]}  # the others' rows take the same way
FAST["cloze"] += ["copa", "basic_skills_coding"]
CASES = [
    pytest.param(name, form, marks=() if name in FAST[form] else pytest.mark.slow)
    for name in benchmark_rows.ROWS
    for form in ("cloze", "letter")
]


def task(name: str, directory: Path, n: int = 8) -> Task:
    path = directory / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in benchmark_rows.many(name, n)))
    return registry.load(f"{name}={path}")[0]


@pytest.mark.parametrize(("name", "form"), CASES)
def test_trace_and_prune(tiny: Model, tmp_path: Path, name: str, form: Format) -> None:
    asked = task(name, tmp_path)
    found = layercliff.trace(tiny, asked, format=form)
    assert np.isfinite(found.trace.scores[:, found.trace.mask]).all()
    assert len(found.trace.questions) == 8
    pruned = layercliff.prune(tiny, asked, format=form, out=tmp_path / "run", remove=1, assess=False)
    assert len(pruned.steps) == 2


@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_options_in_the_context_score_the_same_text(tiny: Model, tmp_path: Path, batch_tokens: int) -> None:
    """WinoGrande: the sum of log-probabilities of what follows the blank, of each sentence run by itself; shared
    beginnings or not."""
    found = layercliff.trace(tiny, task("winogrande", tmp_path), batch_tokens=batch_tokens)
    for i, question in enumerate(found.trace.questions):
        before, after = question.text.split("_")
        for o, option in enumerate(question.options):
            ids = tiny.tokenizer(before + option + after).input_ids
            begin = len(tiny.tokenizer(before + option).input_ids)
            with torch.inference_mode():
                steps = tiny.network(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            expected = sum(float(steps[p - 1, ids[p]]) for p in range(begin, len(ids)))
            assert found.trace.scores[-1, i, o] == pytest.approx(expected, rel=1e-4)
    by_character = found.by("char").trace
    sizes = np.array([[len(q.text.split("_")[1].strip())] * 2 for q in by_character.questions])
    np.testing.assert_allclose(by_character.scores, found.trace.scores / sizes, rtol=1e-4)


@pytest.mark.parametrize("sampler", ["fixed", "first_n", "per_item"])
def test_worked_examples(tiny: Model, tmp_path: Path, sampler: str) -> None:
    asked = task("arc_easy", tmp_path)
    found = layercliff.trace(tiny, asked, shots=1, sampler=sampler, out=tmp_path / "run")  # type: ignore[arg-type]
    assert found.subject.sampler == sampler
    again = layercliff.trace(tiny, asked, shots=1, sampler=sampler, out=tmp_path / "run")  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.trace.scores, again.trace.scores)
    plain = layercliff.trace(tiny, asked).trace
    kept = [i for i, q in enumerate(plain.questions) if q in found.trace.questions]
    assert not np.allclose(found.trace.scores[-1], plain.scores[-1, kept], equal_nan=True)


def test_the_subject_of_a_question_is_kept(tiny: Model, tmp_path: Path) -> None:
    from layercliff.analyses.trace import result as traced

    layercliff.trace(tiny, task("mmlu", tmp_path), out=tmp_path / "run")
    again = traced.read(traced.open_run(tmp_path / "run"))
    assert again is not None
    assert {question.subject for question in again.trace.questions} == {"elementary mathematics", "professional law"}


@pytest.mark.usefixtures("reloads_here")
def test_export_finds_the_file_of_a_benchmark_again(tmp_path: Path) -> None:
    """The proof of an exported step asks the report questions once more."""
    model = families.saved(tmp_path / "model")
    task("winogrande", tmp_path)
    named = f"winogrande={tmp_path / 'winogrande.jsonl'}"
    layercliff.prune(model, named, out=tmp_path / "run", remove=1, assess=False)
    layercliff.export(tmp_path / "run", to=tmp_path / "checkpoint", step=1)
    assert (tmp_path / "checkpoint" / "config.json").exists()
