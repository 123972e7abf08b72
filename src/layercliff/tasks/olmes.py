"""Tasks that lm-evaluation-harness has not, asked as AI2's OLMES asks them: CopyColors and Basic Skills."""

import re

from layercliff.errors import TaskError
from layercliff.tasks import prompts
from layercliff.tasks.benchmark import WITHIN, Benchmark
from layercliff.tasks.layouts import position
from layercliff.tasks.question import LETTERS, Question
from layercliff.tasks.rows import FileRow, name_of, text_of, texts_of


def copycolors(row: FileRow, line: str) -> Question:
    """CopyColors (Wiegreffe et al. 2024): the colour of a thing, which the question has just said."""
    name, choices = name_of(row, "id", line), row.get("choices")
    options = texts_of(choices if isinstance(choices, dict) else {}, "text")
    return Question(name, text_of(row, "question"), options, position(row, "answerKey", len(options)), name)


def copycolors_row(document: FileRow) -> FileRow:
    """A document of the wheel's requests, which lists the options in its text, in the layout of the hub."""
    question, *lines = document["query"].removeprefix("Question: ").removesuffix("\nAnswer:").split("\n")
    texts = [re.sub(r"^ [A-Z]\. ", "", text) for text in lines]
    choices = {"label": list(LETTERS[: len(texts)]), "text": texts}
    return {"id": document["id"], "question": question, "choices": choices, "answerKey": document["gold"]}


def basic_skill(row: FileRow, line: str) -> Question:
    """Basic Skills (Olmo et al. 2025): a text and how it may go on.

    The wheel's rows hold the options in the order of OLMES. The hub's hold the answer and the wrong ones, which are put
    in an order drawn by the id. A blank option, of which there is one, is left out.
    """
    name, hub = name_of(row, "id", line), "wrong_answers" in row
    options = (text_of(row, "answer"), *texts_of(row, "wrong_answers")) if hub else texts_of(row, "choices")
    answer = options[0 if hub else position(row, "gold", len(options))]
    if not answer.strip():
        raise TaskError("the right answer is empty")
    kept = tuple(option for option in options if option.strip())
    found = Question(name, text_of(row, "question"), kept, kept.index(answer), name)
    return prompts.shuffled(found) if hub else found


def _skill(name: str, about: str, options: str, chance: str, questions: int) -> Benchmark:
    return Benchmark(
        about=about,
        licence="ODC-BY",
        hub="allenai/basic-skills",
        config=name,
        rows={"validation": questions},
        wheel={"validation": f"oe_eval_tasks/basic_skills_{name}/rc_5shot/requests.jsonl.gz"},
        digests={"validation": DIGESTS[name]},
        make=basic_skill,
        options=options,
        chance=chance,
        groups=questions,
        prompt="{question}",
        letter=WITHIN,
    )


DIGESTS = {
    "arithmetic": "a85118a5eec5962a",
    "coding": "394c8f679f5378b0",
    "common_knowledge": "aa4c4260dd17c988",
    "logical_reasoning": "414033a149faca65",
    "pattern": "fe4f6cb567731489",
    "string_operations": "ed78151f2a7c12db",
}
SKILLS = {
    "arithmetic": _skill("arithmetic", "sums, ten results", "10", "1/10", 1047),
    "coding": _skill("coding", "the last line of a short function in Python", "4-5", "1/5", 1012),
    "common_knowledge": _skill("common_knowledge", "what everybody knows, as a sentence to end", "4-6", "1/5", 1037),
    "logical_reasoning": _skill("logical_reasoning", "what follows from two sentences", "4", "1/4", 1118),
    "pattern": _skill("pattern", "how a series goes on", "4-5", "1/4", 534),
    "string_operations": _skill("string_operations", "letters counted, reversed, replaced", "4-6", "1/5", 1219),
}
BENCHMARKS: dict[str, Benchmark] = {
    "copycolors": Benchmark(
        about="the colour of a thing, which the question says",
        licence="Apache 2.0",
        hub="sarahwie/copycolors_mcqa",
        config="10_answer_choices",
        asked="test",
        rows={"test": 100},
        wheel={"test": "oe_eval_tasks/copycolors/10way/requests.jsonl.gz"},
        digests={"test": "a7220bfc6f0390e4"},
        unpack=copycolors_row,
        make=copycolors,
        options="10",
        chance="1/10",
        groups=100,
    ),
    **{f"basic_skills_{name}": benchmark for name, benchmark in SKILLS.items()},
}
