"""GLUE and SuperGLUE (Wang et al. 2018, 2019): a sentence judged, alone or beside another."""

from collections.abc import Sequence
from dataclasses import replace

from layercliff.errors import TaskError, quoted
from layercliff.tasks.benchmark import WITHIN, Benchmark
from layercliff.tasks.layouts import position
from layercliff.tasks.question import Lettering, Question
from layercliff.tasks.rows import FileRow, name_of, text_of

SENTIMENT = "Question: Is this sentence positive or negative?"
SAME = "Question: Do both sentences mean the same thing?"
CONNECTORS = {"cause": "because", "effect": "therefore"}


def copa(row: FileRow, line: str) -> Question:
    """COPA (Roemmele et al. 2011): a premise without its full stop, two causes or effects.

    As in lm-evaluation-harness, options begin with a space of their own.
    """
    kind = text_of(row, "question")
    if kind not in CONNECTORS:
        raise TaskError(f"the field 'question' is {quoted(kind)}, but cause and effect are possible")
    premise = text_of(row, "premise").strip()[:-1]
    choices = [text_of(row, name) for name in ("choice1", "choice2")]
    options = tuple(f" {choice[:1].lower()}{choice[1:]}" for choice in choices)
    return Question(_name(row, line), f"{premise} {CONNECTORS[kind]}", options, position(row, "label", 2), premise)


def rte(row: FileRow, line: str) -> Question:
    """RTE (Dagan et al. 2006, and later ones): does a text imply a sentence?"""
    text = f"{text_of(row, 'sentence1')}\nQuestion: {text_of(row, 'sentence2')} True or False?"
    return Question(_name(row, line), text, ("True", "False"), position(row, "label", 2), _name(row, line))


def cb(row: FileRow, line: str) -> Question:
    """CommitmentBank (de Marneffe et al. 2019): is its author committed to a clause of a text?"""
    text = f"{text_of(row, 'premise')}\nQuestion: {text_of(row, 'hypothesis')}. True, False, or Neither?"
    return Question(_name(row, line), text, ("True", "False", "Neither"), position(row, "label", 3), _name(row, line))


def sst2(row: FileRow, line: str) -> Question:
    """SST-2 (Socher et al. 2013): a phrase of a review of a film, which ends in a space."""
    options = ("negative", "positive")
    return Question(_name(row, line), text_of(row, "sentence"), options, position(row, "label", 2), _name(row, line))


def mrpc(row: FileRow, line: str) -> Question:
    """MRPC (Dolan & Brockett 2005): do two sentences of the news mean the same?"""
    text = f"Sentence 1: {text_of(row, 'sentence1')}\nSentence 2: {text_of(row, 'sentence2')}"
    return Question(_name(row, line), text, ("no", "yes"), position(row, "label", 2), _name(row, line))


def _name(row: FileRow, line: str) -> str:
    return name_of(row, "idx", line)


def sharing_sentences(questions: Sequence[Question]) -> tuple[Question, ...]:
    """Put questions into one group that share a sentence, or are linked by others that do."""
    linked: dict[str, set[str]] = {}
    for question in questions:
        sentences = _sentences(question)
        together = sentences.union(*(linked[s] for s in sentences if s in linked))
        linked.update(dict.fromkeys(together, together))
    names: dict[int, str] = {}
    found = []
    for question in questions:
        group = linked[next(iter(_sentences(question)))]
        found.append(replace(question, group=names.setdefault(id(group), question.id)))
    return tuple(found)


def _sentences(question: Question) -> set[str]:
    """The lines of the text, without what stands before a colon."""
    return {line.partition(": ")[2] or line for line in question.text.split("\n")}


BENCHMARKS: dict[str, Benchmark] = {
    "copa": Benchmark(
        about="the cause or the effect of an event",
        licence="BSD 2-Clause",
        hub="aps/super_glue",
        config="copa",
        rows={"train": 400, "validation": 100},
        wheel={"validation": "hf_datasets/super_glue/copa/validation"},
        digests={"validation": "c8887ece785d5e93"},
        make=copa,
        options="2",
        chance="1/2",
        groups=100,
        prompt="{question}",
    ),
    "rte": Benchmark(
        about="whether a text implies a sentence",
        hub="nyu-mll/glue",
        config="rte",
        rows={"train": 2490, "validation": 277},
        wheel={"validation": "hf_datasets/glue/rte/validation"},
        digests={"validation": "845666270f9705d8"},
        make=rte,
        regroup=sharing_sentences,
        options="2",
        chance="1/2",
        groups=262,
        prompt="{question}\nAnswer:",
        letter=WITHIN,
    ),
    "cb": Benchmark(
        about="whether a text's author is committed to a clause of it",
        hub="aps/super_glue",
        config="cb",
        rows={"train": 250, "validation": 56},
        wheel={"validation": "hf_datasets/super_glue/cb/validation"},
        digests={"validation": "7a167f69e86d245f"},
        make=cb,
        options="3",
        chance="1/3",
        groups=56,
        prompt="{question}\nAnswer:",
        letter=WITHIN,
    ),
    "sst2": Benchmark(
        about="whether a review of a film is positive",
        hub="nyu-mll/glue",
        config="sst2",
        rows={"train": 67349, "validation": 872},
        wheel={"validation": "hf_datasets/glue/sst2/validation"},
        digests={"validation": "53a451e0bc51c6f2"},
        make=sst2,
        options="2",
        chance="1/2",
        groups=872,
        prompt=f"{{question}}\n{SENTIMENT}\nAnswer:",
        letter=Lettering(f"{{question}}\n{SENTIMENT}\n{{options}}\nAnswer:"),
    ),
    "mrpc": Benchmark(
        about="whether two sentences mean the same",
        hub="nyu-mll/glue",
        config="mrpc",
        rows={"train": 3668, "validation": 408},
        wheel={"validation": "hf_datasets/glue/mrpc/validation"},
        digests={"validation": "fa02ccb98c5c55e6"},
        make=mrpc,
        regroup=sharing_sentences,
        options="2",
        chance="1/2",
        groups=399,
        prompt=f"{{question}}\n{SAME}\nAnswer:",
        letter=Lettering(f"{{question}}\n{SAME}\n{{options}}\nAnswer:"),
    ),
}
