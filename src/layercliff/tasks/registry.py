"""Tasks by name: ``NAME``, ``NAME=SOURCE`` or a path, several joined by commas."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from layercliff.choices import Format
from layercliff.errors import TaskError, nearest, quoted
from layercliff.tasks import geography, local_files, row_files, rows, sources
from layercliff.tasks.benchmark import Benchmark
from layercliff.tasks.benchmarks import BENCHMARKS
from layercliff.tasks.question import Task

OWN_NAME = re.compile(r"[\w.-]+")
"""What a file of questions may be called by ``NAME=``."""
LONGEST = 4096
"""No path is longer."""
PIECES = 64
"""Where more stand between commas, none is looked at as a part of a path."""


@dataclass(frozen=True)
class ListedTask:
    """What the list of tasks says of one: what it asks, how many there are of what, and where it comes from."""

    about: str
    questions: str
    options: str
    chance: str
    groups: str
    default_format: Format
    licence: str
    sources: str

    @staticmethod
    def of(benchmark: Benchmark) -> "ListedTask":
        """A benchmark; what is not known is empty."""
        return ListedTask(
            benchmark.about,
            "" if benchmark.listed_rows is None else str(benchmark.listed_rows),
            benchmark.options,
            benchmark.chance,
            "" if benchmark.groups is None else str(benchmark.groups),
            benchmark.default_format,
            benchmark.licence,
            benchmark.sources,
        )


EMBEDDED: Mapping[str, Callable[[int], Task]] = {"capitals": geography.capitals, "cities": geography.cities}
"""Tasks that come with layercliff, made with a seed."""


def listed() -> dict[str, ListedTask]:
    """All named tasks, but for the subjects of benchmarks."""
    return {
        "capitals": ListedTask(
            "the capital of a country, among four of its continent",
            "161",
            "4",
            "1/4",
            "161",
            "first_token",
            geography.LICENCE,
            "embedded",
        ),
        "cities": ListedTask(
            "the country of a large city, among four of its continent",
            "about 750",
            "4",
            "1/4",
            "about 750",
            "first_token",
            geography.LICENCE,
            "embedded",
        ),
        **{name: ListedTask.of(benchmark) for name, benchmark in BENCHMARKS.items() if not benchmark.subject},
    }


def load(wanted: str, seed: int = 0, skip_bad_rows: bool = False) -> tuple[Task, ...]:
    """Load the tasks of ``a,b,c``. `seed` draws the distractors of the embedded ones.

    Each part is a known name, or ``NAME=hub``, ``NAME=FILE`` or ``NAME=DIR`` for a benchmark, or the path of a
    ``.jsonl`` or ``.csv`` file of questions. The latter takes its name from the file, or from ``NAME=`` before it.
    Raises `TaskError` for unknown names (with the nearest ones), missing files and bad rows.
    """
    tasks = tuple(replace(_load_one(part, seed, skip_bad_rows), asked_for=part) for part in parts_of(wanted))
    if not tasks:
        raise TaskError(f"No task was named: known are {', '.join(listed())}, or give a file of questions.")
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise TaskError(
            f"Two tasks have the same name in {quoted(wanted, 200)}: name each once, "
            "and files that are called the same NAME=FILE."
        )
    return tasks


def parts_of(wanted: str) -> list[str]:
    """What stands between commas, and is not empty. A file or directory that is there may have commas in its path."""
    pieces = wanted.split(",")
    found: list[str] = []
    begin = 0
    while begin < len(pieces):
        ends = range(len(pieces), begin + 1, -1) if len(pieces) <= PIECES else ()
        joined = (",".join(pieces[begin:end]).strip() for end in ends)
        part = next((name for name in joined if _is_there(name)), pieces[begin].strip())
        begin += 1 + part.count(",")
        found.append(part)
    return [part for part in found if part]


def _is_there(wanted: str) -> bool:
    """Whether a file or directory is there that is called so, or so after ``NAME=``."""
    name, _, source = wanted.partition("=")
    named = bool(source) and OWN_NAME.fullmatch(name) is not None and local_files.exists(source)
    return len(wanted) < LONGEST and (named or local_files.exists(wanted))


def _load_one(wanted: str, seed: int, skip_bad_rows: bool) -> Task:
    name, _, source = wanted.partition("=")
    if name in BENCHMARKS and source == "hub":
        return sources.from_hub(name, skip_bad_rows)
    if name in BENCHMARKS and source:
        return sources.from_path(name, local_files.spelt(source, row_files.WHAT), skip_bad_rows)
    if wanted in EMBEDDED:
        return EMBEDDED[wanted](seed)
    if wanted in BENCHMARKS:
        return sources.from_name(wanted, skip_bad_rows)
    path = local_files.spelt(wanted, row_files.WHAT)
    if path.suffix.lower() in (".jsonl", ".csv"):
        named = bool(source) and OWN_NAME.fullmatch(name) is not None and not local_files.exists(wanted)
        path = local_files.spelt(source, row_files.WHAT) if named else path
        found, bad = rows.questions(row_files.read(path), str(path), skip_bad_rows)
        shown = f"{name}={path}" if named else str(path)
        return Task(name if named else path.stem, found, shown, "the user's own", "cloze", split=path.stem, skipped=bad)
    if local_files.exists(wanted):
        raise TaskError(
            f"There is no task {quoted(wanted)}, and the file of this name is neither .jsonl nor .csv: "
            "write the questions as one of these."
        )
    offered = nearest(name[:LONGEST], [*EMBEDDED, *BENCHMARKS], listed=list(listed()))
    raise TaskError(
        f"There is no task {quoted(wanted)}: {offered} A file of questions is given by its path (.jsonl or .csv)."
    )
